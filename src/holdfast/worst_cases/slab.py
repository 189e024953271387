"""The opposite of a worst case: robust everywhere, and yet Theorem 1 certifies next to nothing.

Source: Cohen et al. 2019, Proposition 6 and Lemma 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from flint import arb
from scipy.special import ndtr, ndtri

from holdfast.errors import UsageError
from holdfast.noises.base import find_guarantee
from holdfast.noises.gaussian import Gaussian
from holdfast.types import ClassBounds
from holdfast.worst_cases.base import RIVAL, TOP, Enclosed, WorstCase, ball, enclosed, precise

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Slab(WorstCase):
    """The rival in a slab around `x`, the top class everywhere else.

    The slab holds most at its own middle (Lemma 5), and there less than half: so the top class leads everywhere.

    Attributes:
        half_width: of the slab, in input units; it is normal to the first value.
    """

    half_width: float

    @property
    def _sigma(self) -> float:
        assert isinstance(self.noise, Gaussian)
        return self.noise.sigma

    def probabilities(self, size: float) -> tuple[Enclosed, Enclosed]:
        """By interval arithmetic, for a change of the first value, away from the middle of the slab."""
        with precise():
            scale = ball(self._sigma) * arb(2).sqrt()
            # Tails as such, so that none is lost beside 1.
            above = ((ball(self.half_width) - ball(size)) / scale).erfc() / 2
            below = ((ball(self.half_width) + ball(size)) / scale).erfc() / 2
            return enclosed(above + below), enclosed(1 - above - below)

    def changed(self, size: float) -> NDArray[np.float64]:
        """The first value moved."""
        moved = self.x.ravel().copy()
        moved[0] += size
        return np.asarray(moved.reshape(self.x.shape), dtype=np.float64)

    def classify(self, noisy: NDArray[np.floating]) -> NDArray[np.int64]:
        """By the distance of the first value from that of `x`."""
        distance = np.abs(noisy.reshape(len(noisy), -1)[:, 0] - self.x.ravel()[0])
        return np.where(distance <= self.half_width, RIVAL, TOP)

    @property
    def turning(self) -> float:
        """Infinite."""
        return math.inf


def robust_everywhere(noise: Gaussian, x: NDArray[np.float64], radius: float) -> Slab:
    """A base classifier whose smoothed answer never changes, of which Theorem 1 certifies just `radius` around `x`.

    Args:
        noise: Gaussian.
        x: the input, `(*event)`.
        radius: in input units; positive, and small enough that the slab has a width.

    Raises:
        UsageError: it is not.

    Source: Cohen et al. 2019, Proposition 6.
    """
    if not (radius > 0.0 and ndtr(radius / noise.sigma) < 1.0):
        raise UsageError(
            f"the radius must be positive, and at most 8 sigma ({8.0 * noise.sigma:g}), since float64 knows no "
            f"probability nearer to 1; got {radius}"
        )
    half_width = -noise.sigma * float(ndtri(ndtr(radius / noise.sigma) / 2.0))
    theorem = find_guarantee(noise, "cohen")
    why = "the slab loses wherever it moves; the theorem knows its probability alone"
    case = Slab(noise, theorem, x, ClassBounds(TOP, 1.0, 0.0), False, why, half_width)
    top, rival = case.probabilities(0.0)
    return Slab(noise, theorem, x, ClassBounds(TOP, top.lower, rival.upper), False, why, half_width)
