"""Objects described by a name and parameters: on the command line, in manifests and in bundles.

Each kind is a family of frozen dataclasses with a class attribute `name`, whose fields are the parameters.
"""

from __future__ import annotations

from dataclasses import MISSING, asdict, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from holdfast.errors import UsageError
from holdfast.plain import Plain
from holdfast.registry import Registry
from holdfast.spec import Form, Quoted, Slashed, name_of, parse, spell_text, value_of
from holdfast.spelling import spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Named(Plain):
    """An object with a name and parameters; a subclass that sets `name` is a frozen dataclass."""

    name: ClassVar[str]
    # Parameters that are paths: in a spec they are never read as numbers, and may have commas without quotes.
    paths: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def parameters(cls) -> tuple[str, ...]:
        """The names of the parameters."""
        return tuple(field.name for field in fields(cast("Any", cls)))

    def to_dict(self) -> dict[str, Any]:
        """Name and parameters for files; `from_dict` is the inverse."""
        return {"name": self.name, **asdict(cast("Any", self))}

    def __str__(self) -> str:
        return self.spec(spelled)

    @property
    def written(self) -> str:
        """As on the command line, but without fractions: for files, which must match those of earlier versions."""
        return self.spec(str)

    def spec(self, number: Callable[[float], str]) -> str:
        """Name and parameters as on the command line, with numbers spelled by `number`; a subclass may shorten it."""
        given = ",".join(
            f"{key}={_spell(value, number, key in self.paths)}"
            for key, value in self.to_dict().items()
            if key != "name" and value is not None
        )
        return f"{self.name}:{given}" if given else self.name


AnyNamed = TypeVar("AnyNamed", bound=Named)


class Family(Registry[type[AnyNamed]]):
    """All classes of one kind of `Named`, by name."""

    def register(self, made: type[AnyNamed]) -> None:
        """Register a new class, if it sets a name.

        Raises:
            TypeError: another class has this name.
        """
        if "name" in made.__dict__:
            self.add(made.name, made, made.__module__)

    def from_spec(self, text: str) -> AnyNamed:
        """The object described by a spec, as in `gaussian:sigma=0.5`.

        Raises:
            UsageError: it is not a spec, the name is unknown, or a parameter is unknown, missing or out of range.
        """
        kind = self.find_written(name_of(text))
        spec = parse(text, Form(options=kind.parameters(), texts=kind.paths)).without_path(text)
        if "name" in spec.options:
            raise UsageError(f"{self.kind} {spec.name!r} has no parameter 'name'; the spec begins with it")
        return self.from_dict({"name": spec.name, **spec.values(kind.paths)})

    def from_dict(self, description: Mapping[str, Any]) -> AnyNamed:
        """The object described by `Named.to_dict`.

        Args:
            description: name and parameters.

        Raises:
            UsageError: the name is unknown, or a parameter is unknown, missing or out of range.
        """
        parameters, kind = dict(description), self.kind
        made = self.find(parameters.pop("name", None))
        name, taken = made.name, {field.name: field for field in fields(cast("Any", made))}
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


def _spell(value: object, number: Callable[[float], str], is_path: bool) -> str:
    if isinstance(value, tuple):
        return "/".join(str(part) for part in value)
    if not isinstance(value, str):
        return number(value) if isinstance(value, float) else str(value)
    # Quote a text that would be read as a number.
    return spell_text(value if is_path or isinstance(value_of(value), str) else Quoted(value))
