"""Uniform flips of pixels for L0: Lee et al. 2019. Derivation: docs/guarantees.md, "Uniform flips"."""

from __future__ import annotations

import math
from ctypes import addressof
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from holdfast.errors import UsageError
from holdfast.noises.base import Shape, guarantee, pixel_count
from holdfast.noises.grid import GridNoise
from holdfast.noises.kernel import Flips
from holdfast.noises.masking import channel_count
from holdfast.plain import is_real
from holdfast.types import ClassBounds, Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.noises.draws import Draws

# A word has 64 bits; a fraction 53, and an integer 63.
_UNUSED_BITS, _FRACTION, _MOST_INTEGER = 11, 2**53 - 1, 2**63 - 1
# The largest radius stated, in pixels.
MOST_FLIPS = 64
# The most values of a pixel: another value is drawn as an integer of 63 bits.
_MOST_VALUES = 2**63


@dataclass(frozen=True)
class UniformFlip(GridNoise):
    """Keep each pixel with probability kappa; otherwise give it another value, each of the others equally likely.

    All channels of a pixel are kept or replaced together. Inputs lie on the grid 0, 1/(levels - 1), ..., 1.

    Args:
        kappa: probability of keeping a pixel, in (0, 1), above that of any other single value.
        levels: number of values of a channel; 256 for 8-bit images, 17 for the digits in the package.

    Raises:
        UsageError: a parameter is out of range.
    """

    name: ClassVar[str] = "uniform-flip"
    example: ClassVar[str] = "uniform-flip:kappa=0.8"
    subject: ClassVar[str] = "uniform flips are"
    kappa: float
    levels: int = 256

    def __post_init__(self) -> None:
        if not (is_real(self.kappa) and 0.0 < self.kappa < 1.0):
            raise UsageError(f"kappa is a probability between 0 and 1, got {self.kappa!r}")
        if type(self.levels) is not int or not 2 <= self.levels <= 256:
            raise UsageError(f"levels is a whole number from 2 to 256, got {self.levels!r}")

    def draw(self, x: Tensor, draws: Draws) -> Tensor:
        """Steps `(len(draws), pixels)`: 0 keeps a pixel, s in 1..K moves it s values further in the cyclic order."""
        shape = tuple(x.shape)
        return random_steps(x, draws, pixel_count(shape), self.others(shape), self.kappa)

    def apply_unchecked(self, x: Tensor, draws: Tensor) -> Tensor:
        """Flipped inputs, on the grid, of the input's shape."""
        image = x if x.ndim > 2 else x.unsqueeze(1)
        grid = self.nearest_steps(image)
        steps = draws.view(draws.shape[0], 1, *image.shape[2:])
        # The digits of a step in base `levels` are the steps of the channels.
        bases = steps.new_full((image.shape[1],), self.levels)
        bases[:1].fill_(1)
        bases = bases.cumprod(0)
        digits = steps // bases.view(1, -1, *[1] * (image.ndim - 2)) % self.levels
        noisy = ((grid.long() + digits) % self.levels).to(x.dtype) / (self.levels - 1)
        return noisy if x.ndim > 2 else noisy.squeeze(1)

    def check_inputs(self, shape: Shape, low: float, high: float) -> None:
        """Raise UsageError unless inputs lie in [0, 1] and keeping a pixel is likelier than each other value."""
        self.others(shape)
        super().check_inputs(shape, low, high)

    def information(self, shape: Shape, levels: int = 256) -> float:
        """d (log2 S + kappa log2 kappa + (1 - kappa) log2((1 - kappa)/(S - 1))) for S values of a pixel.

        Source: Levine & Feizi 2020, equation 21.
        """
        values = levels ** channel_count(shape)
        kept, lost = self.kappa, 1.0 - self.kappa
        return pixel_count(shape) * (math.log2(values) + kept * math.log2(kept) + lost * math.log2(lost / (values - 1)))

    def others(self, shape: Shape) -> int:
        """K, the number of other values that a pixel of inputs of this shape can take.

        Raises:
            UsageError: there are more than can be drawn, or kappa is not above (1 - kappa)/K, which the theorem
                assumes.
        """
        pixel_count(shape)
        channels = channel_count(shape)
        # There are at least 2 levels.
        if channels >= _MOST_VALUES.bit_length() or self.levels**channels > _MOST_VALUES:
            most = next(fewer for fewer in range(63, 0, -1) if self.levels**fewer <= _MOST_VALUES)
            raise UsageError(
                f"inputs of shape {shape} have {channels} channels of {self.levels} levels; uniform flips draw the new "
                f"value of a pixel from 2^63 at most, which is {most} channels of so many levels. Take fewer channels, "
                "fewer levels, or ablation, which counts pixels, too"
            )
        count = int(self.levels**channels) - 1
        if not Fraction(self.kappa) * count > 1 - Fraction(self.kappa):
            raise UsageError(f"kappa = {self.kappa} keeps a pixel less often than it becomes one given other value")
        return count


def random_steps(x: Tensor, draws: Draws, places: int, others: int, kappa: float) -> Tensor:
    """Independent steps, int64 `(len(draws), places)`: 0 with probability `kappa`, 1 to `others` equally likely.

    The kept ones come from the upper 53 bits of lane 0, so that kappa is met to 1e-16.
    """
    below = math.ceil(Fraction(kappa) * (_FRACTION + 1))
    steps = x.new_empty((len(draws), places), dtype=x.new_empty(0).long().dtype)
    how = Flips(below, others, _last(others))

    def otherwise(rows: Tensor, draws: Draws) -> None:
        kept = (draws.words64(x, places) >> _UNUSED_BITS & _FRACTION) < below
        rows.copy_(uniform_integers(x, draws, places, others, lane=1).add_(1).masked_fill_(kept, 0))

    draws.write(steps, "flips", (addressof(how),), otherwise)
    return steps


def uniform_integers(x: Tensor, draws: Draws, places: int, count: int, lane: int) -> Tensor:
    """Integers from 0 to count - 1, exactly uniform, int64 `(len(draws), places)`.

    They are 63 bits modulo `count`; integers of the incomplete last round are drawn again, from the next lane.
    """
    last = _last(count)
    drawn = draws.words64(x, places, lane) & _MOST_INTEGER
    ahead = lane + draws.lanes_ahead(drawn.numel(), (_MOST_INTEGER - last) / 2**63)
    while last < _MOST_INTEGER and (lane < ahead or not draws.holds((drawn <= last).all())):
        lane += 1
        drawn = (draws.words64(x, places, lane) & _MOST_INTEGER).where(drawn > last, drawn)
    return drawn % count


def _last(count: int) -> int:
    """The last integer of 63 bits that belongs to a complete round of `count`."""
    return 2**63 // count * count - 1


@lru_cache(maxsize=4096)
def surviving(kappa: Fraction, others: int, r: int, p: Fraction) -> Fraction:
    """The least probability at x' of a set with probability p at x, for any x' that differs from x in r pixels.

    Only the r differing pixels matter. Each agrees with x, with x', or with neither; t, the first number minus the
    second, orders all outcomes by their likelihood ratio, and the least set takes the largest t first. Exact.
    """
    b = (1 - kappa) / others
    mass: dict[int, Fraction] = {}
    for i in range(r + 1):
        for j in range(r + 1 - i):
            ways = math.comb(r, i) * math.comb(r - i, j)
            term = ways * kappa**i * b**j * ((others - 1) * b) ** (r - i - j)
            mass[i - j] = mass.get(i - j, Fraction(0)) + term
    left, reached = p, Fraction(0)
    for t in range(r, -r - 1, -1):
        at_x, at_other = mass[t] if t in mass else Fraction(0), mass.get(-t, Fraction(0))
        if at_x >= left:
            return reached + (at_other * left / at_x if at_x else Fraction(0))
        left -= at_x
        reached += at_other
    return reached


def threshold(kappa: Fraction, others: int, r: int) -> Fraction:
    """The probability of the top class above which r changed pixels cannot take its majority. Exact."""
    # The set of outcomes with probability 1/2 at x', taken from the largest t on, is the complement of the set that an
    # adversary would take at x: the two orders are mirror images.
    return 1 - surviving(kappa, others, r, Fraction(1, 2))


@guarantee(UniformFlip, norm=Norm.L0, cite="Lee et al. 2019, section 4")
def lee(noise: UniformFlip, bounds: ClassBounds, shape: Shape) -> float | None:
    """The largest r for which the top class keeps more than any rival can get, in pixels, exactly; 64 at most.

    A rival's probability becomes at most the complement of what the complement of its set keeps. Independent of the
    number of pixels. Noise that hides nearly everything certifies more than the 64 stated: exact sums of so many
    outcomes are slow.
    """
    p_lower, p_not_rival = Fraction(bounds.p_lower), 1 - Fraction(bounds.p_upper)
    if not p_lower + p_not_rival > 1:
        return None
    kappa, others = Fraction(noise.kappa), noise.others(shape)

    def keeps(r: int) -> bool:
        return surviving(kappa, others, r, p_lower) + surviving(kappa, others, r, p_not_rival) > 1

    # What is kept falls with r: double r, then halve the interval.
    low, high = 0, min(1, pixel_count(shape))
    most = min(MOST_FLIPS, pixel_count(shape))
    while low < high and keeps(high):
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if keeps(middle) else (low, middle)
    return float(low)
