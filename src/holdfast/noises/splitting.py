"""Splitting noise for L1, deterministic or sampled (Levine & Feizi 2021). Derivation: docs/guarantees.md."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from hashlib import shake_256
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from holdfast.errors import UsageError
from holdfast.noises.base import Shape, check_positive, guarantee, votes_ahead, whole_numbers
from holdfast.noises.grid import GridNoise
from holdfast.noises.subsets import random_places
from holdfast.plain import plain
from holdfast.stats.rounding import float_below
from holdfast.types import ClassBounds, Norm

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from holdfast.noises.draws import Draws

# Offsets at most: each is one pass of a certificate. Steps then stay far below 2^24: float32 is exact.
_MOST_OFFSETS = 2**17
# The width of a cell is a whole number of steps if it is this close to one: half_width = 64/255 is meant as 128 steps.
_WHOLE = Fraction(1, 10**9)
# Bytes of the hash behind the shift of one value.
_SHIFT_BYTES = 8


@dataclass(frozen=True)
class Splitting(GridNoise):
    """Cut the range of every value into cells of width 2 half_width, and replace it by the middle of its cell.

    Inputs lie on the grid 0, 1/(levels - 1), ..., 1, and no cut on a value of it. A cell is q = floor(2 half_width
    (levels - 1)) steps of the grid wide, so the cuts can lie in q ways. One offset in 0..q - 1 chooses among them: for
    value i of an input, the cuts are half a step above (offset + shift_i) modulo q, and every q steps from there. The
    cells at the ends are cut to [0, 1]. The shifts are fixed. All q offsets are classified once where that is cheaper
    than sampling: then there is no randomness.

    Args:
        half_width: lambda in the paper, sqrt(3) times its sigma, in input units; 2 to 131,072 steps make a cell.
        levels: number of values of an input value; 256 for 8-bit images, 17 for the digits in the package.
        shift: number of the vector of shifts, from 0 on. It is part of the smoothed classifier: train and certify with
            the same one.

    Raises:
        UsageError: a parameter is out of range.
    """

    name: ClassVar[str] = "splitting"
    example: ClassVar[str] = "splitting:half_width=0.5"
    normalizable: ClassVar[bool] = True
    instead: ClassVar[str] = ", or take uniform noise"
    assumption: ClassVar[str] = (
        "The guarantee is for inputs on the grid. Where all offsets are taken, nothing else is assumed. Where they "
        "are sampled, the pseudo-random generator is taken for ideal randomness."
    )
    half_width: float
    levels: int = 256
    shift: int = 0

    def __post_init__(self) -> None:
        check_positive("half_width", self.half_width)
        if type(plain(self.levels)) is not int or not 2 <= self.levels <= 65536:
            raise UsageError(f"levels is a whole number from 2 to 65536, got {self.levels!r}")
        if type(plain(self.shift)) is not int or not 0 <= self.shift < 2**32:
            raise UsageError(f"shift is a whole number from 0 to 2^32 - 1, got {self.shift!r}")
        if not 2 <= self.offsets <= _MOST_OFFSETS:
            raise UsageError(
                f"2 half_width, the width of a cell, is 2 to {_MOST_OFFSETS:,} steps of the grid; {self.half_width:g} "
                f"makes {self.offsets:,} steps of 1/{self.levels - 1}. Choose another half_width or other levels"
            )

    @property
    def offsets(self) -> int:
        """The number of offsets: the width of a cell in steps of the grid."""
        return math.floor(2 * Fraction(float(self.half_width)) * (self.levels - 1) + _WHOLE)

    def draw(self, x: Tensor, draws: Draws) -> Tensor:
        """Offsets `(len(draws),)`, int64, each equally likely."""
        return random_places(x, draws, self.offsets)

    def realizations(self, shape: Shape) -> int:
        """The offsets."""
        return self.offsets

    def enumerate(self, x: Tensor, first: int, end: int) -> Tensor:
        """The offsets `first` to `end - 1`."""
        return whole_numbers(x, first, end)

    def apply_unchecked(self, x: Tensor, offsets: Tensor) -> Tensor:
        """The middles of the cells, in the shape of the input.

        All is exact in float32 up to the last division: equal cells give equal values, bit for bit.
        """
        q, top, ones = self.offsets, 2 * (self.levels - 1), (1,) * (x.dim() - 1)
        shifts = self._shifts_on(offsets, tuple(x.shape[1:]))
        cuts = (offsets.view(-1, *ones) + shifts).remainder_(q).float()
        # The last cut below value j lies half a step above cut + q floor((j - cut - 1/2)/q). Before it is rounded down,
        # the quotient is at least 1/(2q) away from a whole number, far more than float32 errs.
        below = self.nearest_steps(x).float().sub(cuts).sub_(0.5).div_(q).floor_()
        below.mul_(q).add_(cuts).mul_(2).add_(1)
        middles = below.clamp(min=0).add_(below.add_(2 * q).clamp_(max=top)).to(x.dtype)
        # By a tensor: some devices would replace division by a number with multiplication by its rounded reciprocal.
        return middles.div_(middles.new_full((), 2 * top))

    def shifts(self, shape: Shape) -> NDArray[np.int64]:
        """The shift of each value in steps of the grid, `(*shape)`, below the number of offsets."""
        return _shifts(self.shift, math.prod(shape), self.offsets).reshape(shape)

    def _shifts_on(self, offsets: Tensor, shape: Shape) -> Tensor:
        known, key = self._known, (shape, offsets.device)
        if key not in known:
            known[key] = offsets.new_tensor(self.shifts(shape))
        return known[key]

    @cached_property
    def _known(self) -> dict[tuple[Shape, object], Tensor]:
        """The shifts for a shape, on a device."""
        return {}


@lru_cache(maxsize=8)
def _shifts(number: int, values: int, offsets: int) -> NDArray[np.int64]:
    """From a hash of the number of the vector: the same on every machine and in every release."""
    words = shake_256(f"holdfast splitting {number}".encode()).digest(_SHIFT_BYTES * values)
    found: NDArray[np.int64] = (np.frombuffer(words, dtype="<u8") % np.uint64(offsets)).astype(np.int64)
    found.setflags(write=False)
    return found


@guarantee(Splitting, norm=Norm.L1, cite="Levine & Feizi 2021 (L1 smoothing)")
def splitting(noise: Splitting, bounds: ClassBounds, shape: Shape) -> float | None:
    """Half of the top class's lead in offsets, rounded down, in steps of the grid; in input units.

    A value that moves by t steps moves to another cell for t of the offsets at most. With all votes known the radius is
    min over classes c of floor((v_A - v_c - [c < A]) / 2) / (levels - 1).
    """
    ahead = votes_ahead(bounds, noise.offsets)
    if ahead is None:
        return None
    last = noise.levels - 1
    return float_below(Fraction(min(ahead // 2, math.prod(shape) * last), last))
