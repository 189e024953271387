"""Variants by name: those that lie in a package of Holdfast, and those that other distributions bring.

A variant is found by its place: every module in the package of its kind is loaded when a name is first looked up.
Other distributions name theirs by entry points, in the group of the kind: `NAME = MODULE:OBJECT`. These are read when
somebody writes a name, when Holdfast does not have one, and when all are listed; the module of a variant is loaded when
that one is asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import TYPE_CHECKING, Generic, TypeVar

from holdfast.errors import HoldfastWarning, UsageError, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.metadata import EntryPoint

AnyVariant = TypeVar("AnyVariant")

# Every group of ours begins so.
_OURS = "holdfast."


class Registry(Generic[AnyVariant]):
    """All variants of one kind.

    Args:
        kind: what they are, in a word or two, for messages.
        home: the package that has those of Holdfast, a module each.
        group: of the entry points of others; None for a kind that others cannot add to.
    """

    def __init__(self, kind: str, home: str, group: str | None = None) -> None:
        self.kind = kind
        self.home = home
        self.group = group
        self._known: dict[str, AnyVariant] = {}
        self._homes: dict[str, str] = {}
        self._loaded = False
        # Nobody sees half of a table, but for what the modules themselves ask while they are loaded.
        self._lock = RLock()
        self._brought: dict[str, tuple[str, EntryPoint]] | None = None

    def add(self, name: str, variant: AnyVariant, home: str) -> None:
        """Put a variant in.

        Args:
            name: its own.
            variant: what is found by that name.
            home: the module that it lies in.

        Raises:
            TypeError: another one has this name.
        """
        if name in self._known:
            raise TypeError(f"two {self.kind}s are named {name!r}: that of {self._homes[name]}, and that of {home}")
        self._known[name] = variant
        self._homes[name] = home

    def remove(self, name: str) -> None:
        """Forget a variant, if there is one of this name."""
        self._known.pop(name, None)
        self._homes.pop(name, None)

    def names(self) -> list[str]:
        """All names, sorted. Nothing of others is loaded."""
        self._load_own()
        return sorted({*self._known, *self._others()})

    def get(self, name: object) -> AnyVariant | None:
        """The variant of this name, or None."""
        if not isinstance(name, str):
            return None
        self._load_own()
        if name not in self._known and name in self._others():
            self._load(name)
        return self._known.get(name)

    def find(self, name: object) -> AnyVariant:
        """The variant of this name.

        Raises:
            UsageError: there is none.
        """
        found = self.get(name)
        if found is None:
            raise UsageError(f"unknown {self.kind} {name!r}; known are {', '.join(self.names())}")
        return found

    def asked(self, name: str) -> AnyVariant:
        """`find`, for a name that somebody wrote: entry points that are refused are told of, too.

        Raises:
            UsageError: there is none.
        """
        self._load_own()
        self._others()
        return self.find(name)

    def all(self) -> dict[str, AnyVariant]:
        """All variants by name, sorted; whatever others bring is loaded."""
        found = ((name, self.get(name)) for name in self.names())
        return {name: variant for name, variant in found if variant is not None}

    def _load_own(self) -> None:
        with self._lock:
            if self._loaded:
                return
            self._loaded = True
            try:
                for module in pkgutil.iter_modules(importlib.import_module(self.home).__path__):
                    importlib.import_module(f"{self.home}.{module.name}")
            except BaseException:
                self._loaded = False
                raise

    def _others(self) -> dict[str, tuple[str, EntryPoint]]:
        """Distribution and entry point of each variant of others that is not refused, by name."""
        if self._brought is None:
            self._brought = brought(self.kind, self.group, self._homes) if self.group else {}
        return self._brought

    def _load(self, name: str) -> None:
        distribution, entry = self._others()[name]
        with told(self.kind, name, distribution):
            entry.load()
            if name not in self._known:
                raise UsageError(f"{entry.value} registers no {self.kind} of that name")
        if name not in self._known:
            del self._others()[name]


def brought(kind: str, group: str, taken: Mapping[str, str]) -> dict[str, tuple[str, EntryPoint]]:
    """Distribution and entry point of each variant that other distributions bring, by name; a warning where one is
    refused.

    Args:
        kind: what they are, for messages.
        group: of the entry points.
        taken: the module of each variant that is known already, by its name.
    """
    found: dict[str, tuple[str, EntryPoint]] = {}
    for distribution, entry in _entries().get(group, ()):
        first = taken.get(entry.name)
        if entry.name in found:
            owner, other = found[entry.name]
            first = f"{_module(other)} (distribution {owner})"
        if first is None:
            found[entry.name] = distribution, entry
        elif _top(first) != _top(_module(entry)):
            _warn(
                f"the {kind} {entry.name!r} of the distribution {distribution} ({_module(entry)}) is refused: {first} "
                "has that name. Rename one of them, or uninstall the distribution"
            )
    return found


@contextmanager
def told(kind: str, name: str, distribution: str) -> Iterator[None]:
    """Whatever fails within the block is a warning that names the distribution, and no error."""
    try:
        yield
    except Exception as error:
        fault = f"{type(error).__name__}: {first_line(error)}" if str(error) else type(error).__name__
        _warn(
            f"the {kind} {name!r} of the distribution {distribution} cannot be loaded ({fault}). Update or uninstall "
            "that distribution"
        )


@cache
def _entries() -> dict[str, list[tuple[str, EntryPoint]]]:
    """Distribution and entry point, by group, of all groups that are ours; of a name twice on the path, the first."""
    from importlib.metadata import distributions

    found: dict[str, list[tuple[str, EntryPoint]]] = {}
    seen = set()
    for distribution in distributions():
        try:
            # Most have nothing for us, and are not looked into.
            if _OURS not in (distribution.read_text("entry_points.txt") or ""):
                continue
            name = str(distribution.metadata["Name"])
            entries = [entry for entry in distribution.entry_points if entry.group.startswith(_OURS)]
        except Exception as error:
            _warn(
                f"the entry points of {_label(distribution)} cannot be read ({type(error).__name__}: "
                f"{first_line(error)}); what it brings is left out"
            )
            continue
        if name not in seen:
            for entry in entries:
                found.setdefault(entry.group, []).append((name, entry))
        seen.add(name)
    return found


def _label(distribution: object) -> str:
    """A distribution whose metadata may be broken, by its folder."""
    return str(getattr(distribution, "_path", "a distribution"))


def _module(entry: EntryPoint) -> str:
    return entry.value.partition(":")[0].strip()


def _top(module: str) -> str:
    return module.partition(".")[0]


def _warn(text: str) -> None:
    warnings.warn(text, HoldfastWarning, stacklevel=2)
