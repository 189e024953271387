"""The table that finds architectures by name, and the checks that their builders share.

An architecture maps a batch of noisy inputs to logits. It has no layer that normalizes inputs by the data set's mean
and deviation: the bundle puts that in front. Weights are drawn from torch's global generator.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, TypeVar

from torch import nn

from holdfast.errors import UsageError
from holdfast.models.normalization import Normalization
from holdfast.plain import is_real, plain
from holdfast.registry import Registry
from holdfast.spec import Form, Slashed, name_of, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from holdfast.spec import Value

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Architecture:
    """How a network of one kind is made.

    Attributes:
        builder: `(shape, num_classes, *, arg=...) -> nn.Module`.
        raw: whether it takes inputs in input units, with no normalization in front.
    """

    builder: Callable[..., nn.Module]
    raw: bool = False

    @property
    def arguments(self) -> dict[str, Parameter]:
        """The keyword-only parameters of the builder, by name."""
        parameters = signature(self.builder).parameters.values()
        return {each.name: each for each in parameters if each.kind is Parameter.KEYWORD_ONLY}


ARCHITECTURES: Registry[Architecture] = Registry(
    "architecture", "holdfast.models.architectures", "holdfast.architectures"
)
# The modules of the builders that are called while someone wants to know; see `builders_used`.
_USED: ContextVar[set[str] | None] = ContextVar("_USED", default=None)

# How many networks lie around the one that is being built, and how many can: ensembles of denoised networks, say.
_WITHIN: ContextVar[int] = ContextVar("_WITHIN", default=0)
_DEEPEST = 16

Builder = TypeVar("Builder", bound="Callable[..., nn.Module]")


def architecture(name: str, *, raw: bool = False) -> Callable[[Builder], Builder]:
    """Register a function `(shape, num_classes, *, arg=...) -> nn.Module` as an architecture.

    `shape` is that of a noisy input, such as (2, 28, 28) for ablated MNIST. Its keyword-only parameters are the
    arguments of the architecture. With `raw` it takes inputs in input units: new models get no normalization in front.
    """

    def register(function: Builder) -> Builder:
        ARCHITECTURES.add(name, Architecture(function, raw), function.__module__)
        return function

    return register


def architecture_from_spec(text: str) -> tuple[str, dict[str, Value]]:
    """Name and arguments that a spec gives, as in `resnet110:shortcut=projection`.

    Raises:
        UsageError: not a spec, or no such architecture. The arguments are checked when it is built.
    """
    known = ARCHITECTURES.find_written(name_of(text)).arguments
    spec = parse(text, Form(options=tuple(known))).without_path(text)
    types = {name: str(parameter.annotation) for name, parameter in known.items()}
    return spec.name, {
        key: value.taken_as(types.get(key, "")) if isinstance(value, Slashed) else value
        for key, value in spec.values().items()
    }


def takes_raw_inputs(name: str) -> bool:
    """Whether an architecture wants inputs in input units, without normalization."""
    found = ARCHITECTURES.get(name)
    return found is not None and found.raw


def architecture_names() -> list[str]:
    """The names of all architectures, sorted."""
    return ARCHITECTURES.names()


@contextmanager
def builders_used() -> Iterator[set[str]]:
    """The names of the modules whose builders are called within the block, at whatever depth."""
    used: set[str] = set()
    token = _USED.set(used)
    try:
        yield used
    finally:
        _USED.reset(token)


def build(name: str, shape: Shape, num_classes: int, args: Mapping[str, Any] | None = None) -> nn.Module:
    """A new base classifier with random weights.

    Args:
        name: one of `architecture_names()`.
        shape: shape of a noisy input: `(channels, height, width)`, `(features,)`; ablated `(2, features)`.
        num_classes: how many logits it returns for an input, at least 2.
        args: arguments of the architecture.

    Returns:
        A module from `(batch, *shape)` to logits `(batch, num_classes)`.

    Raises:
        UsageError: an unknown architecture or argument, a value the argument cannot have, or a shape or class count
            that the architecture cannot take.
        MissingExtraError: the architecture needs a package that is not installed.
    """
    found = ARCHITECTURES.find(name)
    builder, known = found.builder, found.arguments
    given = {key: plain(value) for key, value in (args or {}).items()}
    shape, num_classes = plain((shape, num_classes))
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UsageError(f"architecture {name!r} has no argument {unknown[0]!r}; it takes {', '.join(known) or 'none'}")
    missing = [each for each, parameter in known.items() if parameter.default is parameter.empty and each not in given]
    if missing:
        raise UsageError(f"architecture {name!r} needs the argument {missing[0]!r}")
    if type(num_classes) is not int or num_classes < 2:
        raise UsageError(f"architecture {name!r} needs at least 2 classes, got {num_classes!r}")
    if len(shape) not in (1, 2, 3) or any(type(size) is not int or size < 1 for size in shape):
        raise UsageError(
            f"inputs have the shape (features,), (channels, features) or (channels, height, width), got {tuple(shape)}"
        )
    used = _USED.get()
    if used is not None:
        used.add(builder.__module__)
    within = _WITHIN.set(_WITHIN.get() + 1)
    try:
        if _WITHIN.get() > _DEEPEST:
            raise UsageError(f"an architecture has others within it, {_DEEPEST} deep at most; {name!r} lies deeper")
        return builder(tuple(shape), num_classes, **given)
    finally:
        _WITHIN.reset(within)


def build_normalized(description: Mapping[str, Any], shape: Shape, num_classes: int) -> nn.Sequential:
    """A new base classifier with its normalization in front.

    Args:
        description: "architecture" and its "arguments"; "mean" and "std", which are subtracted from and divide each
            channel, or None. What else it says, such as where its weights came from, is not needed here.
        shape: shape of a noisy input.
        num_classes: how many logits it returns.
    """
    network = build(description["architecture"], shape, num_classes, description["arguments"])
    return nn.Sequential(Normalization(description["mean"], description["std"], len(shape)), network)


def widths_of(name: str, widths: float | Sequence[float]) -> tuple[int, ...]:
    """The argument `widths` of an architecture: of several layers, or of one. A spec gives them as float.

    Raises:
        UsageError: one is no whole number, or below 1.
    """
    given: list[Any] = list(widths) if isinstance(widths, list | tuple) else [widths]
    if not all(is_real(width) and width >= 1 and width == int(width) for width in given):
        raise UsageError(f"argument widths of {name} is positive whole numbers, as in 256/128, got {widths!r}")
    return tuple(map(int, given))


def image_size(name: str, shape: Shape, smallest: int = 1) -> tuple[int, int, int]:
    """`shape` as channels, height, width.

    Raises:
        UsageError: it is not an image's, or height or width is below `smallest` pixels.
    """
    if len(shape) != 3 or min(shape[1:]) < smallest:
        least = f" of at least {smallest} x {smallest} pixels" if smallest > 1 else ""
        raise UsageError(
            f"architecture {name!r} takes images (channels, height, width){least}, got inputs of shape {shape}; "
            f"choose another of {', '.join(architecture_names())}"
        )
    return shape[0], shape[1], shape[2]
