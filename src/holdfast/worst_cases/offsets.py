"""The worst case of splitting noise: one value moves, and each step takes one offset from the top class. Exact."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from holdfast.errors import UsageError
from holdfast.noises.splitting import Splitting
from holdfast.stats.rounding import float_above, float_below
from holdfast.types import ClassBounds
from holdfast.worst_cases.base import REST, RIVAL, TOP, Enclosed, WorstCase, exactly, worst_case
from holdfast.worst_cases.lines import one_value
from holdfast.worst_cases.pixels import possible_votes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.noises.base import Guarantee

# More than a radius loses by rounding, and far less than a step.
_ROUNDED = Fraction(1, 2**50)


@dataclass(frozen=True)
class Offsets(WorstCase):
    """The rival wherever the noisy input is not that of an unchanged one; else a class for each offset.

    Attributes:
        place: the value that moves.
        along: 1 if it grows, -1 if it shrinks.
        top_votes: the number of offsets that vote for the top class at `x`.
        rival_votes: likewise for its rival.
    """

    place: int
    along: int
    top_votes: int
    rival_votes: int

    @property
    def unit(self) -> float:
        """One step of the grid."""
        return 1 / self._last

    @property
    def inside(self) -> float:
        """The whole steps within the radius."""
        return self._steps_inside / self._last

    @property
    def beyond(self) -> float:
        """One step more."""
        return (self._steps_inside + 1) / self._last

    def probabilities(self, size: float) -> tuple[Enclosed, Enclosed]:
        """Exact: votes counted."""
        top, rival = (Fraction(votes, self._noise.offsets) for votes in self.votes(size))
        return exactly(top), exactly(rival)

    def votes(self, size: float) -> tuple[int, int]:
        """The offsets that vote for the top class and for its rival at the changed input."""
        labels = [self._vote(row) for row in self._rows(self.changed(size))]
        return labels.count(TOP), labels.count(RIVAL)

    def answer(self, size: float) -> int | None:
        """By votes; the top class, with the lowest index, wins ties."""
        top, rival = self.votes(size)
        return TOP if top >= rival else RIVAL

    def changed(self, size: float) -> NDArray[np.float64]:
        """The value moved by whole steps, up to the end of the grid."""
        steps = self._on_grid(self.x)
        moved = steps[self.place] + self.along * round(size * self._last)
        steps[self.place] = min(max(moved, 0), self._last)
        return np.asarray(steps.reshape(self.x.shape) / self._last, dtype=np.float64)

    def classify(self, noisy: NDArray[np.floating]) -> NDArray[np.int64]:
        """By the offset that the unchanged input has there, if there is one."""
        quarters = np.rint(noisy.reshape(len(noisy), -1).astype(np.float64) * 4 * self._last).astype(np.int64)
        return np.array([self._vote(row) for row in quarters], dtype=np.int64)

    @property
    def turning(self) -> float:
        """The size from which on the top class no longer leads."""
        sizes = (steps / self._last for steps in range(self.room + 1))
        return next((size for size in sizes if self.answer(size) != TOP), math.inf)

    @property
    def room(self) -> int:
        """The steps that the value can move."""
        here = int(self._on_grid(self.x)[self.place])
        return self._last - here if self.along > 0 else here

    @property
    def _noise(self) -> Splitting:
        assert isinstance(self.noise, Splitting)
        return self.noise

    @property
    def _last(self) -> int:
        return self._noise.levels - 1

    @property
    def _steps_inside(self) -> int:
        return math.floor(Fraction(self.radius) * self._last * (1 + _ROUNDED))

    def _on_grid(self, x: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.rint(x.ravel() * self._last).astype(np.int64)

    def _rows(self, x: NDArray[np.float64]) -> NDArray[np.int64]:
        """Noisy inputs in quarter steps, by offset: each value lies between the nearest cuts, which are half steps."""
        q, last = self._noise.offsets, self._last
        shifts = self._noise.shifts(self.x.shape).ravel()
        cuts = 2 * ((np.arange(q)[:, None] + shifts) % q) + 1
        below = cuts + 2 * q * ((2 * self._on_grid(x) - cuts) // (2 * q))
        rows: NDArray[np.int64] = np.maximum(below, 0) + np.minimum(below + 2 * q, 2 * last)
        return rows

    def _vote(self, row: NDArray[np.int64]) -> int:
        rank = self._ranks.get(row.tobytes())
        if rank is None:
            return RIVAL
        return TOP if rank < self.top_votes else RIVAL if rank >= self._noise.offsets - self.rival_votes else REST

    @cached_property
    def _ranks(self) -> dict[bytes, int]:
        """Unchanged noisy inputs, and when their offset is met: the one whose cut the first step passes has rank 0."""
        q, shifts = self._noise.offsets, self._noise.shifts(self.x.shape).ravel()
        here = int(self._on_grid(self.x)[self.place])
        # The cut just above step j belongs to the offset j - shift.
        cuts = here + self.along * np.arange(q) - (self.along < 0)
        order = (cuts - shifts[self.place]) % q
        rows = self._rows(self.x)
        return {rows[offset].tobytes(): rank for rank, offset in enumerate(order.tolist())}

    @property
    def told_apart(self) -> int:
        """The number of offsets that the base classifier can tell apart at `x`."""
        return len(self._ranks)


@worst_case(Splitting, "splitting")
def offsets(
    noise: Splitting,
    theorem: Guarantee,
    x: NDArray[np.float64],
    direction: NDArray[np.float64] | None,
    p_top: float,
    p_rival: float,
) -> Offsets:
    """A single value, moved along the grid; by default the one with the most room, away from the nearer end.

    All votes are known, and the top class, with the lowest index, wins ties.
    """
    if direction is None:
        place = int(np.argmax(np.abs(x.ravel() - 0.5)))
        along = 1 if x.ravel()[place] <= 0.5 else -1
    else:
        chosen = one_value(x, direction)
        place = int(np.flatnonzero(chosen)[0])
        along = int(chosen[place])
    total = noise.offsets
    top, rival = possible_votes(total, p_top, p_rival)
    bounds = ClassBounds(TOP, float_below(Fraction(top, total)), float_above(Fraction(rival, total)), wins_ties=True)
    found = Offsets(noise, theorem, x, bounds, True, "", place, along, top, rival)
    if found.told_apart < total:
        raise UsageError(
            f"{found.told_apart:,} of the {total:,} offsets of {noise} look different at this input, and the worst "
            "case tells all apart; take a smaller half_width, or an input with more values"
        )
    if found.turning < math.inf:
        return found
    why = f"the value can move by {found.room} steps of the grid only, and no other value is moved"
    return Offsets(noise, theorem, x, bounds, False, why, place, along, top, rival)
