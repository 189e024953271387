"""Gaussian noise for L2: Cohen, Rosenfeld & Kolter 2019. Derivation: docs/guarantees.md, "Gaussian noise"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from holdfast.noises.base import AdditiveNoise, Shape, check_positive, guarantee
from holdfast.noises.continuous import normal
from holdfast.stats.rounding import down, normal_quantile_lower, normal_quantile_upper, up
from holdfast.types import ClassBounds, Norm

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from holdfast.noises.draws import Draws


@dataclass(frozen=True)
class Gaussian(AdditiveNoise):
    """Independent normal noise with standard deviation `sigma` added to every value, in input units.

    The noise is added in the declared input space, before any normalization, and never clipped. It is drawn in the
    precision of the input (float32 or float64): the theorem is about the ideal normal distribution, and a float32
    sampler approximates it (docs/guarantees.md, "Finite arithmetic").

    Args:
        sigma: standard deviation, in input units; positive.

    Raises:
        UsageError: `sigma` is not a positive finite number.
    """

    name: ClassVar[str] = "gaussian"
    example: ClassVar[str] = "gaussian:sigma=0.5"
    sigma: float

    def __post_init__(self) -> None:
        check_positive("sigma", self.sigma)

    def fill(self, values: Tensor, draws: Draws) -> Tensor:
        """Normal noise, by the transform of Box & Muller 1958."""
        return normal(values, draws, self.sigma)


@guarantee(Gaussian, norm=Norm.L2, cite="Cohen et al. 2019, Theorem 1")
def cohen(noise: Gaussian, bounds: ClassBounds, shape: Shape) -> float | None:
    """sigma/2 (quantile(p_lower) - quantile(p_upper)), in input units; None if the bounds do not separate."""
    if not bounds.p_lower > bounds.p_upper:
        return None
    z = down(normal_quantile_lower(bounds.p_lower) - normal_quantile_upper(bounds.p_upper)) / 2.0
    return max(0.0, down(noise.sigma * z))


# Relative margin for the rounding of the two older formulas, which are here for comparison.
_SLACK = 1e-9
# Values of their free parameter; each gives a valid radius, so a grid can only lose a little.
_GRID = 4096
# Absolute margin for the rounding of the argument of the logarithm in Li's formula.
_ROOT_SLACK = 2.0**-48


@guarantee(Gaussian, norm=Norm.L2, cite="Lecuyer et al. 2019, as in Cohen et al. 2019, Appendix I.1")
def lecuyer(noise: Gaussian, bounds: ClassBounds, shape: Shape) -> float | None:
    """The radius from the differential privacy of Gaussian noise, for comparison; smaller than `cohen`'s.

    The largest sigma b / sqrt(2 ln(1.25 (1 + e^b) / (p_lower - e^(2b) p_upper))) over 0 < b <= 1.
    """
    if not bounds.p_lower > bounds.p_upper:
        return None
    most = 1.0 if bounds.p_upper == 0.0 else min(1.0, 0.5 * math.log(bounds.p_lower / bounds.p_upper))
    radii = lecuyer_radii(noise, bounds, np.linspace(0.0, most, _GRID)[1:])
    return max(0.0, float(radii.max(initial=0.0)) * (1 - _SLACK))


def lecuyer_radii(noise: Gaussian, bounds: ClassBounds, beta: NDArray[np.float64]) -> NDArray[np.float64]:
    """`lecuyer`'s radius for each value of its tuning parameter, without a margin for rounding: for figures.

    Args:
        noise: the noise.
        bounds: of the probabilities of classes.
        beta: `(len,)`, above 0 and 1 at most; 0 is returned where a value proves nothing.
    """
    gap = bounds.p_lower - np.exp(2 * beta) * bounds.p_upper
    with np.errstate(divide="ignore", invalid="ignore"):
        radii = noise.sigma * beta / np.sqrt(2 * np.log(1.25 * (1 + np.exp(beta)) / gap))
    return np.where(gap > 0, radii, 0.0)


@guarantee(Gaussian, norm=Norm.L2, cite="Li et al. 2018, as in Cohen et al. 2019, Appendix I.2")
def li(noise: Gaussian, bounds: ClassBounds, shape: Shape) -> float | None:
    """The radius from Renyi divergence, for comparison; smaller than `cohen`'s.

    The largest sigma sqrt(-2/a ln(1 - p_lower - p_upper + 2 m^(1/(1-a)))) over a > 0, where m is the mean of
    p_lower^(1-a) and p_upper^(1-a).
    """
    if not bounds.p_lower > bounds.p_upper:
        return None
    order = np.concatenate([np.linspace(1e-3, 1 - 1e-3, _GRID), 1 + np.geomspace(1e-3, 1e3, _GRID)])
    return float(li_radii(noise, bounds, order).max()) * (1 - _SLACK)


def li_radii(noise: Gaussian, bounds: ClassBounds, order: NDArray[np.float64]) -> NDArray[np.float64]:
    """`li`'s radius for each order of the Renyi divergence, without a margin for rounding of the root: for figures.

    Args:
        noise: the noise.
        bounds: of the probabilities of classes, of which the lower is above the upper.
        order: `(len,)`, above 0 and not 1; 0 is returned where an order proves nothing.
    """
    first, second = bounds.p_lower, bounds.p_upper
    with np.errstate(all="ignore"):
        # Relative to `second`, so that no power overflows: an infinite mean would vanish under its negative root.
        mean = second * (0.5 * ((second / first) ** (order - 1) + 1)) ** (1 / (1 - order))
        # The root magnifies the rounding of its argument.
        inside = 1 - first - second + 2 * mean + _ROOT_SLACK * (1 + 1 / np.abs(1 - order))
        squares = -2 / order * np.log(inside)
    radii: NDArray[np.float64] = noise.sigma * np.sqrt(np.where(squares > 0, squares, 0.0))
    return radii


@guarantee(Gaussian, norm=Norm.LINF, cite="Cohen et al. 2019, Theorem 1, and |d|_2 <= sqrt(d) |d|_inf")
def cohen_linf(noise: Gaussian, bounds: ClassBounds, shape: Shape) -> float | None:
    """The Linf radius inside the L2 ball: `cohen`'s divided by the square root of the number of values."""
    radius = cohen(noise, bounds, shape)
    return None if radius is None else max(0.0, down(radius / up(math.sqrt(math.prod(shape)))))
