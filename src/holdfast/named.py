"""Objects that a name and parameters describe: on the command line, in manifests and in bundles.

Each kind is a family of frozen dataclasses with a class attribute `name`; their fields are the parameters.
"""

from __future__ import annotations

from dataclasses import MISSING, asdict, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from holdfast.errors import UsageError
from holdfast.plain import Plain
from holdfast.spelling import spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Slashed(tuple[float, ...]):
    """Numbers that the command line has with slashes between them: a list, or a fraction where one number is taken."""

    __slots__ = ()

    def taken_as(self, annotation: str) -> float | tuple[float, ...]:
        """The fraction that two numbers are for a parameter that is a real number; else the list.

        Args:
            annotation: of the parameter, as in `float | None`.

        Raises:
            UsageError: the second number is 0.
        """
        if len(self) != 2 or "float" not in annotation or "tuple" in annotation or "Sequence" in annotation:
            return tuple(self)
        above, below = self
        if below == 0.0:
            raise UsageError(f"{above:g}/{below:g} is no number: it divides by 0")
        return above / below


class Named(Plain):
    """An object with a name and parameters; a subclass that sets `name` is a frozen dataclass."""

    name: ClassVar[str]
    # Parameters that are paths: on the command line they may have commas and equals signs.
    paths: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def parameters(cls) -> tuple[str, ...]:
        """The names of the parameters."""
        return tuple(field.name for field in fields(cast("Any", cls)))

    def to_dict(self) -> dict[str, Any]:
        """Name and parameters, for files; `from_dict` is the inverse."""
        return {"name": self.name, **asdict(cast("Any", self))}

    def __str__(self) -> str:
        return self.spec(spelled)

    @property
    def written(self) -> str:
        """As on the command line, with decimals alone: for files, which are compared with those of earlier versions."""
        return self.spec(str)

    def spec(self, number: Callable[[float], str]) -> str:
        """Name and parameters as on the command line, numbers as `number` has them; a subclass may shorten it."""
        given = ",".join(
            f"{key}={_spell(value, number)}"
            for key, value in self.to_dict().items()
            if key != "name" and value is not None
        )
        return f"{self.name}:{given}" if given else self.name


AnyNamed = TypeVar("AnyNamed", bound=Named)


def register(known: dict[str, type[AnyNamed]], kind: str, made: type[AnyNamed]) -> None:
    """Put a new class into the table of its kind, if it has a name of its own."""
    if "name" not in made.__dict__:
        return
    if made.name in known:
        raise TypeError(f"two {kind}s are named {made.name!r}")
    known[made.name] = made


def from_dict(known: Mapping[str, type[AnyNamed]], kind: str, description: Mapping[str, Any]) -> AnyNamed:
    """The object that `Named.to_dict` described.

    Args:
        known: the classes of this kind by name.
        kind: what they are, in a word, for messages.
        description: name and parameters.

    Raises:
        UsageError: an unknown name, or a parameter that is unknown, missing or out of range.
    """
    parameters = dict(description)
    name = parameters.pop("name", None)
    if name not in known:
        raise UsageError(f"unknown {kind} {name!r}; known are {', '.join(sorted(known))}")
    made = known[name]
    taken = {field.name: field for field in fields(cast("Any", made))}
    unknown = sorted(set(parameters) - set(taken))
    if unknown:
        raise UsageError(f"{kind} {name!r} has no parameter {unknown[0]!r}; it takes {', '.join(taken) or 'none'}")
    missing = [key for key, field in taken.items() if key not in parameters and field.default is MISSING]
    if missing:
        raise UsageError(f"{kind} {name!r} needs the parameter {missing[0]!r}, as in {name}:{missing[0]}=VALUE")
    return made(**{key: _value(value, str(taken[key].type)) for key, value in parameters.items()})


def _value(value: Any, annotation: str) -> Any:
    if isinstance(value, Slashed):
        return value.taken_as(annotation)
    # JSON has no tuples.
    return tuple(value) if isinstance(value, list) else value


def _spell(value: object, number: Callable[[float], str]) -> str:
    if isinstance(value, tuple):
        return "/".join(str(part) for part in value)
    return number(value) if isinstance(value, float) else str(value)
