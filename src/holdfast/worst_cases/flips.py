"""The worst case of uniform flips: outcomes ordered by their likelihood ratio, after Neyman and Pearson. Exact."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from holdfast.noises.base import pixel_count
from holdfast.noises.masking import channel_count
from holdfast.noises.uniform_flip import MOST_FLIPS, UniformFlip
from holdfast.stats.rounding import float_above, float_below
from holdfast.types import ClassBounds
from holdfast.worst_cases.base import REST, RIVAL, TOP, Enclosed, WorstCase, exactly, worst_case
from holdfast.worst_cases.pixels import pixel_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.noises.base import Guarantee


@dataclass(frozen=True)
class Flips(WorstCase):
    """Lee et al. 2019: of m pixels, t is how many agree with the unchanged input less how many agree with the changed
    one. The top class has the outcomes of large t, its rival those of small t; each draws lots at the last t it needs.

    m is one more than the radius: this classifier is made for one changed input.

    Attributes:
        order: the pixels in the order in which they are changed; the first m matter.
        m: see above.
        p_top: probability of the top class at `x`.
        p_rival: likewise of its rival.
    """

    order: NDArray[np.int64]
    m: int
    p_top: Fraction
    p_rival: Fraction
    step: ClassVar[float | None] = 1.0

    @property
    def _kept(self) -> Fraction:
        assert isinstance(self.noise, UniformFlip)
        return Fraction(self.noise.kappa)

    @property
    def _other(self) -> Fraction:
        assert isinstance(self.noise, UniformFlip)
        return (1 - self._kept) / self.noise.others(self.x.shape)

    def masses(self, size: int) -> dict[int, Fraction]:
        """The distribution of t at the input of which the first `size` of the m pixels are changed."""
        kept, other = self._kept, self._other
        found = {0: Fraction(1)}
        for pixel in range(self.m):
            same, opposite = (other, kept) if pixel < size else (kept, other)
            wider: dict[int, Fraction] = {}
            for t, mass in found.items():
                for moved, share in ((1, same), (-1, opposite), (0, 1 - kept - other)):
                    wider[t + moved] = wider.get(t + moved, Fraction(0)) + mass * share
            found = wider
        return found

    @cached_property
    def shares(self) -> dict[int, tuple[Fraction, Fraction]]:
        """For each t the share of its outcomes that goes to the top class, and to its rival."""
        masses = self.masses(0)
        top, rival = self.p_top, self.p_rival
        upper: dict[int, Fraction] = {}
        lower: dict[int, Fraction] = {}
        for t in range(self.m, -self.m - 1, -1):
            taken = min(top, masses[t])
            upper[t], top = taken / masses[t] if masses[t] else Fraction(0), top - taken
        for t in range(-self.m, self.m + 1):
            taken = min(rival, masses[t])
            lower[t], rival = taken / masses[t] if masses[t] else Fraction(0), rival - taken
        return {t: (upper[t], lower[t]) for t in upper}

    def probabilities(self, size: float) -> tuple[Enclosed, Enclosed]:
        """Exact."""
        masses = self.masses(min(self.m, round(size)))
        top = sum((mass * self.shares[t][0] for t, mass in masses.items()), Fraction(0))
        rival = sum((mass * self.shares[t][1] for t, mass in masses.items()), Fraction(0))
        return exactly(top), exactly(rival)

    def changed(self, size: float) -> NDArray[np.float64]:
        """The first pixels of the order, moved to the other end of the grid in every channel."""
        moved = self.x.reshape(channel_count(self.x.shape), -1).copy()
        chosen = self.order[: round(size)]
        moved[:, chosen] = np.where(moved[:, chosen] < 0.5, 1.0, 0.0)
        return np.asarray(moved.reshape(self.x.shape), dtype=np.float64)

    def classify(self, noisy: NDArray[np.floating]) -> NDArray[np.int64]:
        """By t, and by lots from a generator that starts anew with each call: f may be a random function."""
        channels, chosen = channel_count(self.x.shape), self.order[: self.m]
        seen = np.rint(noisy.reshape(len(noisy), channels, -1)[:, :, chosen] * self._levels)

        def agreeing(x: NDArray[np.float64]) -> NDArray[np.int64]:
            expected = np.rint(x.reshape(channels, -1)[:, chosen] * self._levels)
            agrees: NDArray[np.int64] = (seen == expected).all(axis=1).sum(axis=1)
            return agrees

        t = agreeing(self.x) - agreeing(self.changed(self.m))
        lots = np.random.default_rng(0).random(len(noisy))
        top = np.array([float(self.shares[value][0]) for value in t.tolist()])
        rival = np.array([float(self.shares[value][1]) for value in t.tolist()])
        return np.where(lots < top, TOP, np.where(lots >= 1.0 - rival, RIVAL, REST))

    @property
    def _levels(self) -> int:
        assert isinstance(self.noise, UniformFlip)
        return self.noise.levels - 1

    @property
    def turning(self) -> float:
        """The number of changed pixels from which on the top class no longer leads."""
        return float(next((r for r in range(self.m + 1) if self.answer(float(r)) != TOP), math.inf))


def exact_bounds(p_top: float, p_rival: float) -> tuple[Fraction, Fraction, ClassBounds]:
    """The two probabilities, the second cut to what the first leaves, and both rounded outward."""
    top = Fraction(p_top)
    rival = min(Fraction(p_rival), 1 - top)
    return top, rival, ClassBounds(TOP, float_below(top), float_above(rival))


def why_not_tight(radius: float, most: int) -> str:
    """Why a radius in pixels is not the largest that follows; empty if it is."""
    return "" if radius < most else f"it states {most} pixels at most here"


@worst_case(UniformFlip, "lee")
def flips(
    noise: UniformFlip,
    theorem: Guarantee,
    x: NDArray[np.float64],
    direction: NDArray[np.float64] | None,
    p_top: float,
    p_rival: float,
) -> Flips:
    """Any pixels, one more than the theorem's radius."""
    top, rival, bounds = exact_bounds(p_top, p_rival)
    radius = theorem.radius(noise, bounds, x.shape) or 0.0
    most = min(MOST_FLIPS, pixel_count(x.shape))
    why, order = why_not_tight(radius, most), pixel_order(x, direction)
    return Flips(noise, theorem, x, bounds, not why, why, order, min(int(radius) + 1, most), top, rival)
