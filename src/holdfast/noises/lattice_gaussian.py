"""Gaussian noise on the grid of 8-bit inputs, drawn as integers: after Voracek & Hein 2023.

Derivation: docs/guarantees.md, "Gaussian noise on the 8-bit lattice".
"""

from __future__ import annotations

import math
from ctypes import addressof
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from flint import arb, ctx

from holdfast.errors import UsageError
from holdfast.noises.base import Shape, check_positive, guarantee
from holdfast.noises.gaussian import Gaussian, cohen
from holdfast.noises.grid import GridNoise
from holdfast.noises.kernel import Lattice
from holdfast.stats.rounding import float_above, float_below
from holdfast.types import ClassBounds, Norm

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, dtype

    from holdfast.noises.draws import Draws

# Bits of the uniform integer behind each step; those that index the table; those needed if the table is undecided.
BITS = 60
_FIRST_BITS = 16
_LOW_BITS = BITS - _FIRST_BITS
# Values to look up at a time, few enough to stay in the cache.
_PIECE = 2**14
# Words of the first bits of several values.
_PER_WORD = 64 // _FIRST_BITS
# Values to make together; what is computed on the way takes a few MiB.
_TOGETHER = 2**18
# The same on other devices, where each operation has a fixed cost.
_TOGETHER_ELSEWHERE = 2**22
# Lanes for undecided steps suffice for a draw with so many more than usual.
_DEVIATIONS = 8.0
# Values after the thresholds in a table that are above every integer.
_ABOVE = 2
# One in so many steps may be undecided before the words of a lane do not suffice.
_UNDECIDED = 16
# sigma in grid steps: below, all but one draw in 16,000 would be 0; above, the thresholds take seconds to compute.
_LEAST_STEPS, _MOST_STEPS = 0.125, 4096.0


@dataclass(frozen=True)
class LatticeGaussian(GridNoise):
    """Normal noise with standard deviation `sigma`, rounded to whole steps of the grid of the inputs.

    An input value j/(levels - 1) becomes (j + N)/(levels - 1), N an integer with P(N <= i) =
    Phi((2i + 1)/(2 (levels - 1) sigma)) up to an error of 2^-61, which the theorem pays for. Nothing is clipped. The
    noisy value is a function of j + N alone: its rounding contains no trace of j.

    Args:
        sigma: standard deviation, in input units; from 1/8 to 4096 steps of the grid.
        levels: number of values of an input value; 256 for 8-bit images, 17 for the digits in the package.

    Raises:
        UsageError: a parameter is out of range.
    """

    name: ClassVar[str] = "lattice-gaussian"
    example: ClassVar[str] = "lattice-gaussian:sigma=0.5"
    normalizable: ClassVar[bool] = True
    instead: ClassVar[str] = ", or take gaussian noise"
    assumption: ClassVar[str] = (
        "The noise is drawn as whole steps of the inputs' grid, by exact integers. Its distribution differs from the "
        "rounded normal one of the theorem by less than a known total variation, which is taken off the class bounds. "
        "The pseudo-random generator is taken for ideal randomness. The guarantee is for inputs on the grid."
    )
    sigma: float
    levels: int = 256

    def __post_init__(self) -> None:
        check_positive("sigma", self.sigma)
        if type(self.levels) is not int or not 2 <= self.levels <= 65536:
            raise UsageError(f"levels is a whole number from 2 to 65536, got {self.levels!r}")
        steps = self.sigma * (self.levels - 1)
        if not _LEAST_STEPS <= steps <= _MOST_STEPS:
            raise UsageError(
                f"sigma must lie between {_LEAST_STEPS:g} and {_MOST_STEPS:g} steps of the grid; {self.sigma:g} is "
                f"{steps:g} steps of 1/{self.levels - 1}. Choose another sigma or other levels, or take gaussian noise"
            )

    def draw(self, x: Tensor, draws: Draws) -> Tensor:
        """Steps `(len(draws), *event)`: integers, as float32, which represents them exactly.

        Each belongs to a uniform 60-bit integer (`steps_of`). Its first 16 bits, from lane 0, decide most steps, by a
        table; only the few others need the remaining 44 bits: for the j-th of a draw, those of word j from lane 1 on.
        """
        return self._fill(x.new_empty((len(draws), *x.shape)).float(), draws)

    def sample_into(self, noisy: Tensor, x: Tensor, draws: Draws) -> None:
        """Add noise in place, with the results of `apply`."""
        if noisy.dtype == self._tools_for(x)[0].dtype:
            self._divided(self._fill(noisy, draws).add_(self.nearest_steps(x)))
        else:
            super().sample_into(noisy, x, draws)

    def apply_unchecked(self, x: Tensor, randomness: Tensor) -> Tensor:
        """(j + N)/(levels - 1): the integers are added exactly, and divided last."""
        return self._divided(self.nearest_steps(x) + randomness)

    def _divided(self, steps: Tensor) -> Tensor:
        # By a tensor: some devices would replace division by a number with multiplication by its rounded reciprocal.
        return steps.div_(steps.new_full((), self.levels - 1))

    def _fill(self, steps: Tensor, draws: Draws) -> Tensor:
        """Overwrite `steps` `(len(draws), *event)`, float32 and contiguous, with independent steps."""
        rows = steps.view(len(draws), -1)
        compiled = tables(self.sigma, self.levels).for_kernel(_width(rows.shape[1]))
        draws.write(rows, "lattice", (addressof(compiled),), self._fill_otherwise)
        return steps

    def _fill_otherwise(self, rows: Tensor, draws: Draws) -> None:
        fill, together = (
            (self._fill_on_processor, _TOGETHER)
            if rows.device.type == "cpu"
            else (self._fill_elsewhere, _TOGETHER_ELSEWHERE)
        )
        size = max(1, together // max(1, rows.shape[1]))
        for start in range(0, len(draws), size):
            fill(rows[start : start + size], draws[start : start + size])

    def _fill_on_processor(self, rows: Tensor, draws: Draws) -> None:
        """With numpy on the same memory, which finds the undecided steps four times as fast."""
        count = rows.shape[1]
        words = draws.words64(rows, -(-count // _PER_WORD)).numpy()
        first = np.ascontiguousarray(words.view(np.uint16)[:, :count]).reshape(-1)
        table, out = self._tools_for(rows)[0].numpy(), rows.view(-1).numpy()
        for start in range(0, len(out), _PIECE):
            piece = slice(start, start + _PIECE)
            table.take(first[piece].astype(np.intp), out=out[piece], mode="clip")
        where = np.flatnonzero(out == np.inf)
        if len(where):
            out[where] = self._resolved(first.take(where), self._low_bits(rows, draws, where // count))

    def _fill_elsewhere(self, rows: Tensor, draws: Draws) -> None:
        """By operations on all values, since the device would have to be asked which ones are undecided."""
        count = rows.shape[1]
        table, half_word = self._tools_for(rows)
        words = draws.words64(rows, -(-count // _PER_WORD))
        first = words.view(half_word)[:, :count].long().bitwise_and_(2**_FIRST_BITS - 1)
        decided = table.index_select(0, first.flatten()).view(first.shape)
        undecided = decided.isinf()
        # The number of each undecided step in its draw, from 1 on.
        number = undecided.long().cumsum(1)
        width, lanes = _width(count), self._lanes(count)
        while not draws.holds((number[:, -1] <= lanes * width).all()):
            lanes *= 2
        low = words.new_empty((len(rows), lanes * width))
        for lane in range(lanes):
            low[:, lane * width : (lane + 1) * width] = draws.words64(rows, width, lane + 1)
        low = low.gather(1, (number - 1).clamp_(0, lanes * width - 1)).bitwise_and_(2**_LOW_BITS - 1)
        rows.copy_(self._steps_elsewhere(rows, first, low).where(undecided, decided))

    def _steps_elsewhere(self, x: Tensor, first: Tensor, low: Tensor) -> Tensor:
        """`steps_of` the integers with these first 16 and other 44 bits, on the device of `x`: a binary search."""
        if x.device not in self._thresholds:
            found = tables(self.sigma, self.levels)
            self._thresholds[x.device] = first.new_tensor(found.below), first.new_tensor(found.ends), found.most
        below, ends, most = self._thresholds[x.device]
        uniform = (first << _LOW_BITS) | low
        reached = below.index_select(0, first.flatten()).view(first.shape)
        # The last entries of `ends` are above all integers.
        for power in reversed(range(most.bit_length())):
            further = reached + 2**power
            bound = ends.index_select(0, (further - 1).clamp_(max=len(ends) - 1).flatten()).view(first.shape)
            reached = further.where(uniform >= bound, reached)
        return (reached - (len(ends) - _ABOVE) // 2).to(x.dtype)

    def _lanes(self, count: int) -> int:
        """Lanes with enough words for the undecided steps of nearly every draw of `count` values."""
        mean = count * tables(self.sigma, self.levels).undecided
        return max(1, math.ceil((mean + _DEVIATIONS * math.sqrt(mean)) / _width(count)))

    def _low_bits(self, rows: Tensor, draws: Draws, row: NDArray[np.integer]) -> NDArray[np.int64]:
        """A word for each undecided step: the next one of its draw, whose number in `draws` is in `row`, in order."""
        wanted = np.bincount(row, minlength=len(draws))
        width = _width(rows.shape[1])
        lanes = range(1, 1 + -(-int(wanted.max()) // width))
        words = np.concatenate([draws.words64(rows, width, lane).cpu().numpy() for lane in lanes], axis=1)
        found: NDArray[np.int64] = words[np.arange(words.shape[1]) < wanted[:, np.newaxis]]
        return found

    def _resolved(self, first: NDArray[np.integer], low: NDArray[np.int64]) -> NDArray[np.float32]:
        """The steps of integers with these first 16 bits and 44 low bits from random words."""
        uniform = (first.astype(np.int64) << _LOW_BITS) | (low & (2**_LOW_BITS - 1))
        return steps_of(uniform, self.sigma, self.levels).astype(np.float32)

    def _tools_for(self, x: Tensor) -> tuple[Tensor, dtype]:
        """On the device of `x`: decided steps by the first 16 bits; and the dtype int16."""
        if x.device not in self._tools:
            empty = x.new_empty(0)
            table = empty.float().new_tensor(tables(self.sigma, self.levels).decided)
            self._tools[x.device] = table, empty.short().dtype
        return self._tools[x.device]

    @cached_property
    def _tools(self) -> dict[object, tuple[Tensor, dtype]]:
        return {}

    @cached_property
    def _thresholds(self) -> dict[object, tuple[Tensor, Tensor, int]]:
        """For each device: the thresholds up to each bucket, all of them, and the most that a bucket has."""
        return {}


def _width(values: int) -> int:
    """The words that a lane has for undecided steps of a draw of so many values; the next lanes have as many more."""
    return -(-values // _UNDECIDED)


@lru_cache(maxsize=64)
def thresholds(sigma: float, levels: int = 256) -> NDArray[np.int64]:
    """2^60 Phi((2i + 1)/(2 (levels - 1) sigma)), rounded to the nearest integer, for every i where 0 < that < 2^60.

    The step N of a uniform u in 0..2^60 - 1 is the number of thresholds up to u minus half the number of thresholds:
    they belong to i = -T/2, ..., T/2 - 1, since Phi(-z) = 1 - Phi(z). The rounding is proved by interval arithmetic.

    Args:
        sigma: standard deviation in input units; the exact value of this float64.
        levels: number of values of an input value.
    """
    steps = Fraction(sigma) * (levels - 1)
    upper_tails = [_upper_tail(steps, 0)]
    while upper_tails[-1] > 0:
        upper_tails.append(_upper_tail(steps, len(upper_tails)))
    tails = np.array(upper_tails[:-1], dtype=np.int64)
    found = np.concatenate([tails[::-1], 2**BITS - tails])
    found.setflags(write=False)
    return found


def _upper_tail(steps: Fraction, i: int) -> int:
    """The integer nearest to 2^60 (1 - Phi((2i + 1)/(2 steps))) = 2^59 erfc((2i + 1)/(2 steps sqrt(2)))."""
    before, precision = ctx.prec, 128
    try:
        while True:
            ctx.prec = precision
            z = arb(2 * i + 1) * steps.denominator / (2 * steps.numerator)
            nearest = ((z / arb(2).sqrt()).erfc() * 2 ** (BITS - 1) + arb(0.5)).floor().unique_fmpz()
            if nearest is not None:
                return int(nearest)
            precision *= 2
    finally:
        ctx.prec = before


@dataclass(frozen=True)
class Tables:
    """The thresholds in each bucket, the 2^44 integers with the same first 16 bits.

    Attributes:
        below: number of thresholds up to each bucket's first integer, `(65536,)`.
        decided: the step of all integers of a bucket, `(65536,)`; infinite if they have several.
        ends: the thresholds, followed by two values above every 60-bit integer.
        most: the most thresholds that a bucket has.
        undecided: share of the buckets with several steps.
    """

    below: NDArray[np.int64]
    decided: NDArray[np.float32]
    ends: NDArray[np.int64]
    most: int
    undecided: float

    def for_kernel(self, width: int) -> Lattice:
        """The tables as the compiled kernel takes them, with the words that a lane has for a draw."""
        half = (len(self.ends) - _ABOVE) // 2
        return Lattice(self.decided.ctypes.data, self.below.ctypes.data, self.ends.ctypes.data, half, width)


@lru_cache(maxsize=16)
def tables(sigma: float, levels: int) -> Tables:
    """The tables for one noise."""
    exact = thresholds(sigma, levels)
    first = np.arange(2**_FIRST_BITS, dtype=np.int64) << _LOW_BITS
    below = exact.searchsorted(first, side="right")
    inside = exact.searchsorted(first + (2**_LOW_BITS - 1), side="right") - below
    several = inside > 0
    decided = np.where(several, np.inf, below - len(exact) // 2).astype(np.float32)
    ends = np.append(exact, [2**BITS] * _ABOVE)
    return Tables(below, decided, ends, int(inside.max()), float(several.mean()))


def steps_of(uniform: NDArray[np.int64], sigma: float, levels: int) -> NDArray[np.int64]:
    """The step of each 60-bit integer: the number of thresholds up to it minus half the number of thresholds."""
    found, exact = tables(sigma, levels), thresholds(sigma, levels)
    below = found.below.take(uniform >> _LOW_BITS)
    reached: NDArray[np.int64] = below + (uniform >= found.ends.take(below))
    # Only in the tails do several thresholds share a bucket, so few integers need the search.
    far = np.flatnonzero(uniform >= found.ends.take(below + 1))
    reached[far] = exact.searchsorted(uniform[far], side="right")
    return reached - len(exact) // 2


def total_variation(noise: LatticeGaussian, shape: Shape) -> Fraction:
    """An upper bound on the total variation between a noisy input as drawn and under the ideal rounded noise.

    For each value it is (T + 2) 2^-61, where T is the number of thresholds: each is off by 2^-61 at most, and so are
    the sums of the two tails beyond them. The values (channels x height x width) are independent: the bounds add up.
    """
    return math.prod(shape) * Fraction(len(thresholds(noise.sigma, noise.levels)) + 2, 2 ** (BITS + 1))


@guarantee(LatticeGaussian, norm=Norm.L2, cite="Cohen et al. 2019, Theorem 1; Voracek & Hein 2023")
def cohen_lattice(noise: LatticeGaussian, bounds: ClassBounds, shape: Shape) -> float | None:
    """`cohen`'s radius, in input units, for class bounds widened by the total variation.

    The votes bound the probabilities under the noise as drawn; under the ideal noise these differ by at most the total
    variation. It is paid once, not for each of n samples, as it would be if alpha were to cover it.
    """
    loss = total_variation(noise, shape)
    p_lower = float_below(max(Fraction(0), Fraction(bounds.p_lower) - loss))
    p_upper = float_above(min(Fraction(1), Fraction(bounds.p_upper) + loss))
    return cohen(Gaussian(noise.sigma), ClassBounds(bounds.top, p_lower, p_upper), shape)
