"""The worst case of windows of pixels: a square patch, and the rival wherever it shows. Probabilities are exact."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from holdfast.errors import UsageError
from holdfast.noises.blocks import Blocks
from holdfast.noises.columns import Columns
from holdfast.noises.windows import Windows
from holdfast.stats.rounding import float_above, float_below
from holdfast.types import ClassBounds
from holdfast.worst_cases.base import REST, RIVAL, TOP, worst_case
from holdfast.worst_cases.pixels import Masked, check_encoding, pixel_order, possible_votes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.noises.base import Guarantee


@dataclass(frozen=True)
class Patched(Masked):
    """A square grows down and to the right from the first pixel of `order`; the windows that it meets first are the top
    class's, as long as it has any."""

    def changed(self, size: float) -> NDArray[np.float64]:
        """All pixels of the square, moved to the other end of the range in every channel."""
        side = round(size)
        row, column = self._corner
        down, right = (row + np.arange(side)) % self.x.shape[1], (column + np.arange(side)) % self.x.shape[2]
        moved = self.x.copy()
        here = np.ix_(range(len(moved)), down, right)
        moved[here] = np.where(moved[here] < 0.5, 1.0, 0.0)
        return np.asarray(moved, dtype=np.float64)

    @property
    def turning(self) -> float:
        """The side from which on the top class no longer leads."""
        sides = range(max(self.x.shape[1:]) + 1)
        return float(next((side for side in sides if self.answer(float(side)) != TOP), math.inf))

    @property
    def _corner(self) -> tuple[int, int]:
        row, column = divmod(int(self.order[0]), self.x.shape[2])
        return row, column

    @property
    def _windows(self) -> Windows:
        assert isinstance(self.noise, Windows)
        return self.noise

    def _met(self, size: int) -> int:
        return sum(first <= size for first in self._firsts)

    def _vote(self, shown: NDArray[np.int64]) -> int:
        rank = self._ranks[shown.tobytes()]
        return TOP if rank < self.top_votes else RIVAL if rank >= self._total - self.rival_votes else REST

    @cached_property
    def _firsts(self) -> list[int]:
        """For each window, the side of the smallest square that meets it."""
        rows, columns = (
            [1 if (corner - begin) % count < size else (begin - corner) % count + 1 for begin in range(count)]
            for corner, count, size in zip(
                self._corner, self._windows.positions(self.x.shape), self._windows.window(self.x.shape), strict=True
            )
        )
        return [max(down, right) for down in rows for right in columns]

    @cached_property
    def _ranks(self) -> dict[bytes, int]:
        """The pixels that a window shows, in order, and its place among the windows in the order of being met."""
        height, width = self.x.shape[1:]
        rows, columns = self._windows.window(self.x.shape)
        begins = self._windows.positions(self.x.shape)[1]
        ranks = {}
        for rank, number in enumerate(np.argsort(self._firsts, kind="stable").tolist()):
            down = (number // begins + np.arange(rows)) % height
            right = (number % begins + np.arange(columns)) % width
            ranks[np.sort((down[:, None] * width + right).ravel()).tobytes()] = rank
        return ranks

    @property
    def told_apart(self) -> int:
        """The number of windows that show different pixels."""
        return len(self._ranks)


@worst_case(Columns, "columns")
@worst_case(Blocks, "blocks")
def windows(
    noise: Windows,
    theorem: Guarantee,
    x: NDArray[np.float64],
    direction: NDArray[np.float64] | None,
    p_top: float,
    p_rival: float,
) -> Patched:
    """A patch with its upper left corner in the pixel that the direction names first.

    All votes are known, and the top class, with the lowest index, wins ties.
    """
    check_encoding(noise)
    noise.check_inputs(x.shape, 0.0, 1.0)
    total = noise.realizations(x.shape)
    top, rival = possible_votes(total, p_top, p_rival)
    bounds = ClassBounds(TOP, float_below(Fraction(top, total)), float_above(Fraction(rival, total)), wins_ties=True)
    found = Patched(noise, theorem, x, bounds, True, "", pixel_order(x, direction), top, rival)
    if found.told_apart < total:
        raise UsageError(
            f"{found.told_apart} of the {total} windows of {noise} show different pixels of inputs of shape {x.shape}, "
            "and the worst case tells all apart; take a smaller window"
        )
    return found
