"""The worst case of uniform noise in Linf: what lies near one corner of the cube, against what lies beyond it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from holdfast.noises.uniform import Uniform
from holdfast.types import ClassBounds
from holdfast.worst_cases.base import REST, RIVAL, TOP, Enclosed, WorstCase, ball, enclosed, precise, worst_case
from holdfast.worst_cases.lines import all_values

if TYPE_CHECKING:
    from flint import arb
    from numpy.typing import NDArray

    from holdfast.noises.base import Guarantee


@dataclass(frozen=True)
class Corners(WorstCase):
    """All values grow together. With t the changes of the values, h the half width, m the least and M the largest t:
    the rival where M > h (outside the cube around `x`) or m >= `high`, the top class where m < `low`, others between.

    The cube around the changed input holds the corner m >= v, v from -h + r on, with the share q(v) = ((h - v)/(2h))^d.
    So the top class has q(-h + r) - q(low) and the rival 1 - q(-h + r) + q(high).

    Attributes:
        signs: 1 or -1 for each value, flat.
        low: see above, in input units.
        high: likewise.
    """

    signs: NDArray[np.float64]
    low: float
    high: float

    @property
    def _half(self) -> float:
        assert isinstance(self.noise, Uniform)
        return self.noise.half_width

    def _corner(self, place: arb) -> arb:
        """The share of a cube in which every value is `place` or more."""
        return ((ball(self._half) - place) / (2 * ball(self._half))).max(ball(0)).min(ball(1)) ** self.x.size

    def probabilities(self, size: float) -> tuple[Enclosed, Enclosed]:
        """By interval arithmetic."""
        with precise():
            start = ball(size) - ball(self._half)
            shared = self._corner(start)
            top = shared - self._corner(start.max(ball(self.low)))
            return enclosed(top), enclosed(1 - shared + self._corner(start.max(ball(self.high))))

    def changed(self, size: float) -> NDArray[np.float64]:
        """All values moved by `size`."""
        return self.x + (size * self.signs).reshape(self.x.shape)

    def classify(self, noisy: NDArray[np.floating]) -> NDArray[np.int64]:
        """By the least and the largest change."""
        moved = (noisy.reshape(len(noisy), -1).astype(np.float64) - self.x.ravel()) * self.signs
        least, most = moved.min(axis=1), moved.max(axis=1)
        rival = (most > self._half) | (least >= self.high)
        return np.where(rival, RIVAL, np.where(least < self.low, TOP, REST))

    @property
    def turning(self) -> float:
        """Where the common share of the cubes is 1 less half of the lead."""
        with precise():
            gap = self._corner(ball(-self._half)) - self._corner(ball(self.low)) - self._corner(ball(self.high))
            common = (1 - gap / 2).root(self.x.size)
            return float((2 * ball(self._half) * (1 - common)).mid())


@worst_case(Uniform, "overlap_linf")
def corners(
    noise: Uniform,
    theorem: Guarantee,
    x: NDArray[np.float64],
    direction: NDArray[np.float64] | None,
    p_top: float,
    p_rival: float,
) -> Corners:
    """All values moved by the same amount, towards one corner."""
    half, d = noise.half_width, x.size
    low = half - 2.0 * half * (1.0 - p_top) ** (1.0 / d)
    high = max(low, half - 2.0 * half * p_rival ** (1.0 / d))
    signs = np.sign(all_values(x, direction))
    case = Corners(noise, theorem, x, ClassBounds(TOP, 1.0, 0.0), True, "", signs, low, high)
    top, rival = case.probabilities(0.0)
    return Corners(noise, theorem, x, ClassBounds(TOP, top.lower, rival.upper), True, "", signs, low, high)
