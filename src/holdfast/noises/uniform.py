"""Uniform additive noise for L1 and Linf. Derivation: docs/guarantees.md, "Uniform noise"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from holdfast.noises.base import AdditiveNoise, Shape, check_positive, guarantee
from holdfast.noises.continuous import uniform
from holdfast.stats.rounding import down
from holdfast.types import ClassBounds, Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.noises.draws import Draws

# Relative margin for the rounding of powers and logarithms.
_SLACK = 1e-12


@dataclass(frozen=True)
class Uniform(AdditiveNoise):
    """Independent noise, uniform between -half_width and half_width, added to every value, in input units.

    Args:
        half_width: in input units; positive.

    Raises:
        UsageError: `half_width` is not a positive finite number.
    """

    name: ClassVar[str] = "uniform"
    example: ClassVar[str] = "uniform:half_width=0.5"
    half_width: float

    def __post_init__(self) -> None:
        check_positive("half_width", self.half_width)

    def fill(self, values: Tensor, draws: Draws) -> Tensor:
        """Uniform noise."""
        return uniform(values, draws, self.half_width)


@guarantee(Uniform, norm=Norm.L1, cite="Lee et al. 2019; Yang et al. 2020")
def overlap_l1(noise: Uniform, bounds: ClassBounds, shape: Shape) -> float | None:
    """half_width (p_lower - p_upper): two cubes shifted by d differ in a share of at most |d|_1 / (2 half_width)."""
    if not bounds.p_lower > bounds.p_upper:
        return None
    return max(0.0, down(noise.half_width * down(bounds.p_lower - bounds.p_upper)))


@guarantee(Uniform, norm=Norm.LINF, cite="Yang et al. 2020")
def overlap_linf(noise: Uniform, bounds: ClassBounds, shape: Shape) -> float | None:
    """2 half_width (1 - (1 - (p_lower - p_upper)/2)^(1/d)): from the common share of two shifted cubes."""
    if not bounds.p_lower > bounds.p_upper:
        return None
    half_gap = down(bounds.p_lower - bounds.p_upper) / 2.0
    common = -math.expm1(math.log1p(-half_gap) / math.prod(shape))
    return max(0.0, 2.0 * noise.half_width * common * (1.0 - _SLACK))
