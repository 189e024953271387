"""Laplace noise for L1. Derivation: docs/guarantees.md, "Laplace noise"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from holdfast.noises.base import AdditiveNoise, Shape, check_positive, guarantee
from holdfast.noises.continuous import laplace
from holdfast.stats.rounding import down
from holdfast.types import ClassBounds, Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.noises.draws import Draws

# Relative margin for the rounding of a logarithm and of its argument.
_SLACK = 1e-12


@dataclass(frozen=True)
class Laplace(AdditiveNoise):
    """Independent Laplace noise of density exp(-|t|/b) / (2b) added to every value, in input units.

    Args:
        b: scale, in input units; positive. The standard deviation is sqrt(2) b.

    Raises:
        UsageError: `b` is not a positive finite number.
    """

    name: ClassVar[str] = "laplace"
    example: ClassVar[str] = "laplace:b=0.3"
    b: float

    def __post_init__(self) -> None:
        check_positive("b", self.b)

    def fill(self, values: Tensor, draws: Draws) -> Tensor:
        """Laplace noise: a random sign, and -b ln(u) for a uniform u."""
        return laplace(values, draws, self.b)


@guarantee(Laplace, norm=Norm.L1, cite="Lecuyer et al. 2019; Teng et al. 2020, Theorem 1")
def dwork(noise: Laplace, bounds: ClassBounds, shape: Shape) -> float | None:
    """The larger of b/2 ln(p_lower / p_upper) and -b ln(1 - p_lower + p_upper), in input units.

    Both follow from the differential privacy of Laplace noise. With p_upper = 1 - p_lower the second is
    -b ln(2 (1 - p_lower)) and the larger one.
    """
    if not bounds.p_lower > bounds.p_upper:
        return None
    if bounds.p_upper == 0.0:
        return math.inf
    # Not the logarithm of a quotient, which overflows for a subnormal p_upper.
    ratio = 0.5 * (math.log(bounds.p_lower) - math.log(bounds.p_upper))
    gap = 1.0 - bounds.p_lower + bounds.p_upper
    # The rounding of a gap near 0 or 1 is absolute: widen it before the logarithm.
    from_gap = -math.log(min(1.0, gap + 2.0**-51))
    return max(0.0, down(noise.b * max(ratio, from_gap) * (1.0 - _SLACK) - _SLACK * noise.b))


@guarantee(Laplace, norm=Norm.L1, cite="Teng et al. 2020, Theorem 1, for any class bounds: docs/guarantees.md")
def quantiles(noise: Laplace, bounds: ClassBounds, shape: Shape) -> float | None:
    """b/2 (quantile(p_lower) - quantile(p_upper)), the quantiles of Laplace noise with b = 1; never below `dwork`'s.

    quantile(p) is ln(2p) below 1/2 and -ln(2 (1 - p)) above. Tight for all class bounds; with p_upper = 1 - p_lower it
    is `dwork`'s radius.
    """
    if not bounds.p_lower > bounds.p_upper:
        return None
    if bounds.p_lower == 1.0 or bounds.p_upper == 0.0:
        return math.inf
    apart = _quantile(bounds.p_lower) - _quantile(bounds.p_upper)
    return max(0.0, down(noise.b / 2.0 * apart * (1.0 - _SLACK) - _SLACK * noise.b))


def _quantile(p: float) -> float:
    """The quantile of Laplace noise with b = 1, to a few units in the last place."""
    # From 1/2 on, 1 - p has no rounding error.
    return math.log(2.0 * p) if p < 0.5 else -math.log(2.0 * (1.0 - p))
