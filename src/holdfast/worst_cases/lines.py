"""Worst cases along a line: two half-spaces, for Gaussian, Laplace and uniform noise and for Gaussian noise on a grid.

Cohen et al. 2019, Theorem 2, and what corresponds to it for the other noises. Derivation: docs/guarantees.md,
"Tightness".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from flint import arb
from scipy.special import ndtri

from holdfast.errors import UsageError
from holdfast.noises.gaussian import Gaussian
from holdfast.noises.laplace import Laplace
from holdfast.noises.lattice_gaussian import BITS, LatticeGaussian, thresholds
from holdfast.noises.uniform import Uniform
from holdfast.types import ClassBounds, Norm
from holdfast.worst_cases.base import (
    REST,
    RIVAL,
    TOP,
    Enclosed,
    WorstCase,
    ball,
    enclosed,
    exactly,
    precise,
    worst_case,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.noises.base import Guarantee, Noise

# The cumulative distribution function of the noise along the line, symmetric about 0.
Distribution = Callable[[arb], arb]


@dataclass(frozen=True)
class HalfSpaces(WorstCase):
    """The top class on one side of a hyperplane, its rival on the other side of another one.

    With s the coordinate along the direction, measured from `x`: the top class where s <= `low`, the rival where s >=
    `high`, others between. A change by r along the line leaves the top class F(low - r) and the rival F(r - high), F
    the distribution function of the noise along the line; they are equal where r is the mean of `low` and `high`.

    Attributes:
        along: unit vector of the direction, in L2, flat.
        low: see above, in input units.
        high: likewise.
        length: L2 length of a change of size 1 in the theorem's norm.
        distribution: F.
    """

    along: NDArray[np.float64]
    low: float
    high: float
    length: float
    distribution: Distribution

    def probabilities(self, size: float) -> tuple[Enclosed, Enclosed]:
        """By interval arithmetic."""
        with precise():
            moved = ball(size) * ball(self.length)
            return enclosed(self.distribution(self.low - moved)), enclosed(self.distribution(moved - self.high))

    def changed(self, size: float) -> NDArray[np.float64]:
        """Moved along the line."""
        moved: NDArray[np.float64] = self.x + (size * self.length * self.along).reshape(self.x.shape)
        return moved

    def classify(self, noisy: NDArray[np.floating]) -> NDArray[np.int64]:
        """By the coordinate along the line."""
        place = (noisy.reshape(len(noisy), -1).astype(np.float64) - self.x.ravel()) @ self.along
        return np.where(place <= self.low, TOP, np.where(place >= self.high, RIVAL, REST))

    @property
    def turning(self) -> float:
        """The mean of the two places."""
        return (self.low + self.high) / 2.0 / self.length


@dataclass(frozen=True)
class Steps(WorstCase):
    """The same on a grid: the top class where the value moved by `low` steps at most, the rival by `high` or more.

    Attributes:
        place: of the value that changes, in the flat input.
        sign: 1 or -1.
        low: in steps of the grid.
        high: likewise.
    """

    place: int
    sign: int
    low: int
    high: int

    @property
    def unit(self) -> float:
        """The distance of two values of the grid."""
        return 1.0 / (self._noise.levels - 1)

    @property
    def _noise(self) -> LatticeGaussian:
        assert isinstance(self.noise, LatticeGaussian)
        return self.noise

    def probabilities(self, size: float) -> tuple[Enclosed, Enclosed]:
        """Exact: those of the noise as drawn."""
        steps = round(size / self.unit)
        at_most = _up_to(self._noise, self.low - steps)
        return exactly(at_most), exactly(1 - _up_to(self._noise, self.high - 1 - steps))

    def changed(self, size: float) -> NDArray[np.float64]:
        """One value, moved along the grid."""
        moved = self.x.ravel().copy()
        start = round(moved[self.place] / self.unit)
        moved[self.place] = (start + self.sign * round(size / self.unit)) / (self._noise.levels - 1)
        return np.asarray(moved.reshape(self.x.shape), dtype=np.float64)

    def classify(self, noisy: NDArray[np.floating]) -> NDArray[np.int64]:
        """By the steps from the unchanged value."""
        values = noisy.reshape(len(noisy), -1)[:, self.place].astype(np.float64)
        steps = self.sign * np.rint((values - self.x.ravel()[self.place]) / self.unit)
        return np.where(steps <= self.low, TOP, np.where(steps >= self.high, RIVAL, REST))

    @property
    def turning(self) -> float:
        """The mean of the two places."""
        return (self.low + self.high) / 2.0 * self.unit


@worst_case(Gaussian, "cohen")
@worst_case(Gaussian, "cohen_linf")
@worst_case(Gaussian, "lecuyer")
@worst_case(Gaussian, "li")
def gaussian(
    noise: Gaussian,
    theorem: Guarantee,
    x: NDArray[np.float64],
    direction: NDArray[np.float64] | None,
    p_top: float,
    p_rival: float,
) -> HalfSpaces:
    """Cohen et al. 2019, Theorem 2: any direction in L2, all values by the same amount in Linf."""
    _check_open(noise, p_top, p_rival)

    def distribution(place: arb) -> arb:
        return (-place / ball(noise.sigma) / arb(2).sqrt()).erfc() / 2

    tight = theorem.name in ("cohen", "cohen_linf")
    why = "" if tight else "its inequality is weaker than that of Neyman and Pearson"
    low, high = noise.sigma * float(ndtri(p_top)), -noise.sigma * float(ndtri(p_rival))
    along = all_values(x, direction) if theorem.norm is Norm.LINF else _any(x, direction)
    length = math.sqrt(x.size) if theorem.norm is Norm.LINF else 1.0
    return _half_spaces(noise, theorem, x, along, low, high, length, distribution, tight, why)


@worst_case(Laplace, "dwork")
@worst_case(Laplace, "quantiles")
def laplace(
    noise: Laplace,
    theorem: Guarantee,
    x: NDArray[np.float64],
    direction: NDArray[np.float64] | None,
    p_top: float,
    p_rival: float,
) -> HalfSpaces:
    """A single value, moved; `dwork` is tight for two classes alone."""
    _check_open(noise, p_top, p_rival)

    def distribution(place: arb) -> arb:
        tail = (-abs(place) / ball(noise.b)).exp() / 2
        return tail if place < 0 else 1 - tail

    def quantile(p: float) -> float:
        return math.log(2.0 * p) if p < 0.5 else -math.log(2.0 * (1.0 - p))

    tight = theorem.name == "quantiles" or p_top <= 0.5 or p_rival >= 1.0 - p_top - 1e-15
    why = "" if tight else "it bounds both classes by one ratio of densities, which holds for one of them only"
    low, high = noise.b * quantile(p_top), -noise.b * quantile(p_rival)
    return _half_spaces(noise, theorem, x, one_value(x, direction), low, high, 1.0, distribution, tight, why)


@worst_case(Uniform, "overlap_l1")
def uniform(
    noise: Uniform,
    theorem: Guarantee,
    x: NDArray[np.float64],
    direction: NDArray[np.float64] | None,
    p_top: float,
    p_rival: float,
) -> HalfSpaces:
    """A single value, moved."""
    width = 2.0 * noise.half_width

    def distribution(place: arb) -> arb:
        return ((place + ball(noise.half_width)) / ball(width)).max(arb(0)).min(arb(1))

    low, high = width * p_top - noise.half_width, noise.half_width - width * p_rival
    return _half_spaces(noise, theorem, x, one_value(x, direction), low, high, 1.0, distribution, True, "")


@worst_case(LatticeGaussian, "cohen_lattice")
def lattice(
    noise: LatticeGaussian,
    theorem: Guarantee,
    x: NDArray[np.float64],
    direction: NDArray[np.float64] | None,
    p_top: float,
    p_rival: float,
) -> Steps:
    """A single value, moved along the grid; the top class has the next possible probability from `p_top` on.

    Where the two together would have a probability above 1, the rival gets the next possible one below.
    """
    along = one_value(x, direction)
    most = len(thresholds(noise.sigma, noise.levels)) // 2
    low = next((step for step in range(-most, most) if _up_to(noise, step) >= Fraction(p_top)), most)
    wanted = 1 - Fraction(p_rival)
    high = max(low + 1, next((step for step in range(-most, most) if _up_to(noise, step) >= wanted), most) + 1)
    place = int(np.flatnonzero(along)[0])
    p_lower, p_upper = exactly(_up_to(noise, low)).lower, exactly(1 - _up_to(noise, high - 1)).upper
    return Steps(noise, theorem, x, ClassBounds(TOP, p_lower, p_upper), True, "", place, int(along[place]), low, high)


def _half_spaces(
    noise: Noise,
    theorem: Guarantee,
    x: NDArray[np.float64],
    along: NDArray[np.float64],
    low: float,
    high: float,
    length: float,
    distribution: Distribution,
    tight: bool,
    why: str,
) -> HalfSpaces:
    """The worst case, with the class bounds that its two half-spaces have."""
    # Of two classes there is one hyperplane; rounding may part them by a hair, or let them overlap.
    far = max(low, high)
    with precise():
        p_lower = enclosed(distribution(ball(low))).lower
        p_upper = enclosed(distribution(-ball(far))).upper
    bounds = ClassBounds(TOP, p_lower, p_upper)
    return HalfSpaces(noise, theorem, x, bounds, tight, why, along, low, far, length, distribution)


def _up_to(noise: LatticeGaussian, step: int) -> Fraction:
    """P(N <= step), exactly, for the noise as drawn."""
    ends = thresholds(noise.sigma, noise.levels)
    place = step + len(ends) // 2
    if place < 0:
        return Fraction(0)
    return Fraction(1) if place >= len(ends) else Fraction(int(ends[place]), 2**BITS)


def _check_open(noise: Noise, p_top: float, p_rival: float) -> None:
    if not (p_top < 1.0 and p_rival > 0.0):
        raise UsageError(
            f"{noise.name} noise reaches everywhere, so that no class but all of them has probability 1; got {p_top} "
            f"and {p_rival}: give the top class less than 1 and its rival more than 0"
        )


def _any(x: NDArray[np.float64], direction: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """The unit vector of a direction; by default a fixed random one."""
    chosen = np.random.default_rng(0).normal(size=x.size) if direction is None else _flat(x, direction)
    return chosen / float(np.linalg.norm(chosen))


def one_value(x: NDArray[np.float64], direction: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """The unit vector along one axis; by default the first one."""
    chosen = np.eye(1, x.size)[0] if direction is None else _flat(x, direction)
    if np.count_nonzero(chosen) != 1:
        raise UsageError(
            f"the theorem is tight where a single value changes; the direction changes {np.count_nonzero(chosen)}"
        )
    return np.sign(chosen)


def all_values(x: NDArray[np.float64], direction: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """The unit vector of a diagonal; by default that along which all values grow."""
    chosen = np.ones(x.size) if direction is None else _flat(x, direction)
    sizes = np.abs(chosen)
    if not np.all(sizes == sizes[0]) or sizes[0] == 0.0:
        raise UsageError(
            "the theorem is tight where all values change by the same amount; those of the direction differ"
        )
    return np.sign(chosen) / math.sqrt(x.size)


def _flat(x: NDArray[np.float64], direction: NDArray[np.float64]) -> NDArray[np.float64]:
    chosen = np.asarray(direction, dtype=np.float64)
    if chosen.shape != x.shape or not np.isfinite(chosen).all() or not chosen.any():
        raise UsageError(
            f"the direction has the shape of the input, {x.shape}, finite values and one that is not 0; got shape "
            f"{chosen.shape}"
        )
    return chosen.ravel()
