"""The interfaces of noises and guarantees, and the tables that find them by name.

Nothing here imports torch: a noise makes its tensors from the one it is given.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, final

import numpy as np

from holdfast.errors import UsageError
from holdfast.named import Family, Named
from holdfast.plain import is_real, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from holdfast.noises.draws import Draws
    from holdfast.types import ClassBounds, Norm

Shape = tuple[int, ...]


# Largest scale of a noise: float32 ends at 3e38.
_LARGEST_SCALE = 1e30

# Draws of large inputs are made in parts of about this many bytes.
_PART_BYTES = 2**22

_AXES_OF_IMAGES = 3

NOISES: Family[Noise] = Family("noise", "holdfast.noises", "holdfast.noises")


class Noise(Named, ABC):
    """A smoothing distribution: independent randomness, and a function of the input and that randomness.

    A subclass is a frozen dataclass with a class attribute `name` (its name on the command line and in manifests);
    its fields are its parameters. It defines `draw` and `apply`, and `noisy_shape` if the shape changes.
    """

    # A spec for help texts and for the tests of all noises, which use inputs of shape (1, 8, 8) among others.
    example: ClassVar[str] = ""
    # Whether noisy values keep the meaning of input values, so that a network may normalize them in the same way.
    normalizable: ClassVar[bool] = False
    # Whether draws are the positions, int64 `(num, places)`, of the pixels that a noisy input shows, and it depends on
    # no other pixel: if none of these has changed, the vote need not be computed again.
    draws_places: ClassVar[bool] = False
    # What the theorem assumes about the sampler, for the report: one or two sentences.
    assumption: ClassVar[str] = (
        "The noise comes from a pseudo-random generator, which the theorem takes for ideal randomness."
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        NOISES.register(cls)

    @abstractmethod
    def draw(self, x: Tensor, draws: Draws) -> Tensor:
        """The randomness of `len(draws)` independent draws for an input like `x`, `(len(draws), ...)`.

        Each depends on its own draw only: `draw(x, draws[2:5])` is `draw(x, draws)[2:5]`, bit for bit.

        Args:
            x: one input, `(*event)`; only its shape, dtype and device may matter, never its values.
            draws: the only source of randomness; at least one.
        """

    @abstractmethod
    def apply(self, x: Tensor, randomness: Tensor) -> Tensor:
        """Noisy inputs `(batch, *noisy event)` from `batch` inputs and `batch` draws; either number may be 1."""

    @final
    def sample(self, x: Tensor, draws: Draws) -> Tensor:
        """Independent noisy copies of one input: `(*event) -> (len(draws), *noisy event)`."""
        return self.apply(x.unsqueeze(0), self.draw(x, draws))

    def apply_unchecked(self, x: Tensor, randomness: Tensor) -> Tensor:
        """As `apply`, for inputs that have passed `check_values`."""
        return self.apply(x, randomness)

    def sample_into(self, noisy: Tensor, x: Tensor, draws: Draws) -> None:
        """Write the copies of `sample` into `noisy`, contiguous and of the dtype of `x`: `(len(draws), *noisy event)`.

        The input has passed `check_values`, so that nobody has to wait for a device to say so again. A noise may
        override it to save passes over memory; the values must be the same, bit for bit.
        """
        position = 0
        for part in draws.parts(draws_at_once(x)):
            copies = self.apply_unchecked(x.unsqueeze(0), self.draw(x, part))
            noisy[position : position + len(part)].copy_(copies)
            position += len(part)

    def noisy_shape(self, shape: Shape) -> Shape:
        """The shape of a noisy input, `(*noisy event)`, for inputs of `shape`."""
        return shape

    def realizations(self, shape: Shape) -> int | None:
        """The number of equally likely realizations of the noise for inputs of `shape`; None if infinite."""
        return None

    def enumerate(self, x: Tensor, first: int, end: int) -> Tensor:
        """The realizations number `first` to `end - 1` in a fixed order, in the form of `draw`.

        Raises:
            UsageError: the noise has no finite set of equally likely realizations.
        """
        raise UsageError(f"the realizations of {self} cannot be enumerated; draw samples of it")

    def check_inputs(self, shape: Shape, low: float, high: float) -> None:
        """Raise UsageError if inputs of this shape and range cannot be smoothed by this noise."""
        pixel_count(shape)

    def check_values(self, x: Tensor) -> None:
        """Raise InputError if an input, or one of several, has values that this noise is not defined for."""

    def fitted(self, mean: tuple[float, ...], deviation: tuple[float, ...] = ()) -> Noise:
        """This noise with the parameters that come from the training set.

        Args:
            mean: of each channel, in input units.
            deviation: standard deviation of each channel.
        """
        return self

    @property
    def grid(self) -> int | None:
        """The number of values, equally spaced from 0 to 1, that an input value can have; None if any value is allowed.

        Attacks move inputs along that grid. A noisy input then does not change smoothly, and has no gradient.
        """
        return None

    @property
    def runoff(self) -> bool:
        """Whether the smoothed classifier answers the winner of a run-off, instead of the class with the most votes.

        The base classifier then ranks all classes, and every realization of the noise is taken once.
        """
        return False

    def information(self, shape: Shape, levels: int = 256) -> float | None:
        """Bits about a uniformly distributed input in one noisy copy (mutual information); None if unknown.

        Args:
            shape: of the input.
            levels: number of values of each channel of a pixel.
        """
        return None

    def render(self, noisy: NDArray[np.float32]) -> NDArray[np.uint8]:
        """A noisy image `(channels, height, width)` in [0, 1] units as a picture `(height, width, 3)`."""
        return grey_or_rgb(noisy)

    @property
    def legend(self) -> str:
        """What a reader of the pictures must know, in a few words; empty if nothing."""
        return ""


class AdditiveNoise(Noise):
    """Continuous noise added to every value. A subclass defines `fill`."""

    normalizable: ClassVar[bool] = True
    assumption: ClassVar[str] = (
        "The theorem is about ideal continuous noise. Computers draw it in finite precision (float32 here) from a "
        "pseudo-random generator, which approximates the ideal one very closely but is not identical to it."
    )

    @abstractmethod
    def fill(self, values: Tensor, draws: Draws) -> Tensor:
        """Overwrite `values` `(len(draws), *event)`, which is contiguous, with independent noise, and return it."""

    @final
    def draw(self, x: Tensor, draws: Draws) -> Tensor:
        """Noise `(len(draws), *event)` in the precision of `x`."""
        return self.fill(x.new_empty((len(draws), *x.shape)), draws)

    @final
    def apply(self, x: Tensor, randomness: Tensor) -> Tensor:
        """`x` plus the noise."""
        return x + randomness

    @final
    def sample_into(self, noisy: Tensor, x: Tensor, draws: Draws) -> None:
        """Write the noise in place and add `x`."""
        self.fill(noisy, draws).add_(x)


def whole_numbers(x: Tensor, first: int, end: int) -> Tensor:
    """The whole numbers `first` to `end - 1`, int64, on the device of `x`, which nobody has to wait for."""
    return x.new_ones(end - first).long().cumsum(0).add_(first - 1)


def draws_at_once(x: Tensor) -> int:
    """The number of draws, each as large as the input `x`, in one part: about 4 MiB, at least one draw."""
    return max(1, _PART_BYTES // max(1, x.numel() * x.element_size()))


def noise_names() -> list[str]:
    """The names of all noises, sorted."""
    return NOISES.names()


def noise_from_dict(description: Mapping[str, Any]) -> Noise:
    """The noise described by `Noise.to_dict`.

    Raises:
        UsageError: an unknown noise, or a parameter that is unknown, missing or out of range.
    """
    return NOISES.from_dict(description)


@dataclass(frozen=True)
class Guarantee:
    """A theorem that turns class bounds into a certified radius.

    Attributes:
        name: the function's name, as in manifests and tables.
        norm: the adversary's norm.
        cite: the source, with the theorem's number.
        radius: `(noise, bounds, shape) -> radius or None`; None means abstain. Rounded toward zero.
    """

    name: str
    norm: Norm
    cite: str
    radius: Callable[[Any, ClassBounds, Shape], float | None]


_GUARANTEES: dict[type[Noise], list[Guarantee]] = {}

AnyNoise = TypeVar("AnyNoise", bound=Noise)
Theorem = TypeVar("Theorem", bound="Callable[..., float | None]")


def guarantee(noise: type[Noise], *, norm: Norm, cite: str) -> Callable[[Theorem], Theorem]:
    """Register a function as a guarantee of `noise`; the first one registered is the default."""

    def register(function: Theorem) -> Theorem:
        name = function.__name__
        _GUARANTEES.setdefault(noise, []).append(Guarantee(name, norm, cite, function))
        return function

    return register


def guarantees_of(noise: Noise) -> tuple[Guarantee, ...]:
    """All guarantees of a noise, the default first."""
    return tuple(_GUARANTEES.get(type(noise), ()))


def find_guarantee(noise: Noise, name: str | None = None) -> Guarantee:
    """The guarantee of that name, or the default one.

    Raises:
        UsageError: the noise has no such guarantee.
    """
    known = guarantees_of(noise)
    for candidate in known:
        if name is None or candidate.name == name:
            return candidate
    names = ", ".join(candidate.name for candidate in known) or "none"
    raise UsageError(f"noise {noise.name!r} has no guarantee {name!r}; it has {names}")


def votes_ahead(bounds: ClassBounds, realizations: int) -> int | None:
    """A lower bound on the lead of the top class over every other class, in equally likely realizations of the noise.

    A class probability is a multiple of 1/realizations, so a bound on it rounds to one. The lead is one less if a tie
    would go to another class; None if the bounds do not separate the classes.
    """
    if not (bounds.p_lower > bounds.p_upper or bounds.wins_ties):
        return None
    most = math.ceil(Fraction(bounds.p_lower) * realizations)
    other = math.floor(Fraction(bounds.p_upper) * realizations)
    ahead = most - other - (0 if bounds.wins_ties else 1)
    return ahead if ahead >= 0 else None


def pixel_count(shape: Shape) -> int:
    """The number of positions that an L0 adversary counts: all but the channels; or the number of features."""
    if not shape or any(size < 1 for size in shape):
        raise UsageError(f"inputs have the shape (features,) or (channels, height, width) and the like, got {shape}")
    return shape[0] if len(shape) == 1 else math.prod(shape[1:])


def is_picture(shape: Shape) -> bool:
    """Whether inputs of a shape are images that `grey_or_rgb` draws: (1 or 3, height, width)."""
    return len(shape) == _AXES_OF_IMAGES and shape[0] in (1, 3)


def grey_or_rgb(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """An image `(1 or 3, height, width)` as `(height, width, 3)` bytes; values outside [0, 1] are clipped."""
    channels = np.repeat(image, 3, axis=0) if image.shape[0] == 1 else image[:3]
    values = np.rint(np.clip(channels, 0.0, 1.0) * 255.0)
    return np.ascontiguousarray(values.transpose(1, 2, 0), dtype=np.uint8)


def check_positive(name: str, value: float) -> None:
    """Raise UsageError unless `value` is a positive finite number for which float32 can hold the noise."""
    if not (is_real(plain(value)) and value > 0):
        raise UsageError(f"{name} is a positive number in input units, got {value!r}")
    if value > _LARGEST_SCALE:
        raise UsageError(
            f"{name} is {_LARGEST_SCALE:g} at most, since float32 holds no larger noise; got {value:g}. Scale the data"
        )
