"""Registries of variants by name: Holdfast's own, and plugins from other distributions.

Holdfast's own variants are the modules in the package of their kind, all loaded at the first look-up of a name. Other
distributions declare plugins by entry points, in the group of the kind: `NAME = MODULE:OBJECT`. Entry points are read
when a user writes a name, when Holdfast does not have a name, and when all are listed; a plugin's module is loaded when
its name is looked up.
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

# All of Holdfast's groups of entry points begin with this.
_OURS = "holdfast."


class Registry(Generic[AnyVariant]):
    """All variants of one kind.

    Args:
        kind: what the variants are, in a word or two, for messages.
        package: the package with Holdfast's own, one module each.
        group: of the entry points of plugins; None for a kind without plugins.
    """

    def __init__(self, kind: str, package: str, group: str | None = None) -> None:
        self.kind = kind
        self.package = package
        self.group = group
        self._known: dict[str, AnyVariant] = {}
        self._modules: dict[str, str] = {}
        self._loaded = False
        # Reentrant, since modules may look up names while they are loaded; other threads never see a partial table.
        self._lock = RLock()
        self._found_plugins: dict[str, tuple[str, EntryPoint]] | None = None

    def add(self, name: str, variant: AnyVariant, module: str) -> None:
        """Register a variant.

        Args:
            name: its name.
            variant: the variant.
            module: that defines it.

        Raises:
            TypeError: another variant has this name.
        """
        if name in self._known:
            raise TypeError(f"two {self.kind}s are named {name!r}: that of {self._modules[name]}, and that of {module}")
        self._known[name] = variant
        self._modules[name] = module

    def remove(self, name: str) -> None:
        """Remove the variant with this name, if there is one."""
        self._known.pop(name, None)
        self._modules.pop(name, None)

    def names(self) -> list[str]:
        """All names, sorted. Plugins are not loaded."""
        self._load_own()
        return sorted({*self._known, *self._plugins()})

    def get(self, name: object) -> AnyVariant | None:
        """The variant with this name, or None."""
        if not isinstance(name, str):
            return None
        self._load_own()
        if name not in self._known and name in self._plugins():
            self._load(name)
        return self._known.get(name)

    def find(self, name: object) -> AnyVariant:
        """The variant with this name.

        Raises:
            UsageError: there is none.
        """
        found = self.get(name)
        if found is None:
            raise UsageError(f"unknown {self.kind} {name!r}; known are {', '.join(self.names())}")
        return found

    def find_written(self, name: str) -> AnyVariant:
        """`find` for a name that a user wrote, with warnings about refused entry points.

        Raises:
            UsageError: there is none.
        """
        self._load_own()
        self._plugins()
        return self.find(name)

    def all(self) -> dict[str, AnyVariant]:
        """All variants by name, sorted; plugins are loaded."""
        found = ((name, self.get(name)) for name in self.names())
        return {name: variant for name, variant in found if variant is not None}

    def _load_own(self) -> None:
        with self._lock:
            if self._loaded:
                return
            self._loaded = True
            try:
                for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__):
                    importlib.import_module(f"{self.package}.{module.name}")
            except BaseException:
                self._loaded = False
                raise

    def _plugins(self) -> dict[str, tuple[str, EntryPoint]]:
        """Name -> distribution and entry point of each plugin that is not refused."""
        if self._found_plugins is None:
            self._found_plugins = find_plugins(self.kind, self.group, self._modules) if self.group else {}
        return self._found_plugins

    def _load(self, name: str) -> None:
        distribution, entry = self._plugins()[name]
        with errors_as_warnings(self.kind, name, distribution):
            entry.load()
            if name not in self._known:
                raise UsageError(f"{entry.value} registers no {self.kind} with that name")
        if name not in self._known:
            del self._plugins()[name]


def find_plugins(kind: str, group: str, taken: Mapping[str, str]) -> dict[str, tuple[str, EntryPoint]]:
    """Name -> distribution and entry point of each plugin; warns about refused ones.

    Args:
        kind: what the plugins are, for messages.
        group: of the entry points.
        taken: name -> module of the variants that are known already.
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
def errors_as_warnings(kind: str, name: str, distribution: str) -> Iterator[None]:
    """Turn any error in the block into a warning that names the distribution."""
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
    """Group -> distributions and entry points, for Holdfast's groups; only the first distribution of a name counts."""
    from importlib.metadata import distributions

    found: dict[str, list[tuple[str, EntryPoint]]] = {}
    seen = set()
    for distribution in distributions():
        try:
            # Skip most distributions quickly: they have no plugins.
            if _OURS not in (distribution.read_text("entry_points.txt") or ""):
                continue
            name = str(distribution.metadata["Name"])
            entries = [entry for entry in distribution.entry_points if entry.group.startswith(_OURS)]
        except Exception as error:
            _warn(
                f"the entry points of {_label(distribution)} cannot be read ({type(error).__name__}: "
                f"{first_line(error)}); its plugins are left out"
            )
            continue
        if name not in seen:
            for entry in entries:
                found.setdefault(entry.group, []).append((name, entry))
        seen.add(name)
    return found


def _label(distribution: object) -> str:
    """The folder of a distribution whose metadata may be broken."""
    return str(getattr(distribution, "_path", "a distribution"))


def _module(entry: EntryPoint) -> str:
    return entry.value.partition(":")[0].strip()


def _top(module: str) -> str:
    return module.partition(".")[0]


def _warn(text: str) -> None:
    warnings.warn(text, HoldfastWarning, stacklevel=2)
