"""Laplace noise for L1. Derivation: docs/guarantees.md, "Laplace noise"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from holdfast.noises.base import AdditiveNoise, Shape, check_positive, guarantee
from holdfast.stats.rounding import down
from holdfast.types import ClassBounds, Norm

if TYPE_CHECKING:
    from torch import Generator, Tensor

# Relative room for the rounding of a logarithm and of its argument.
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
    b: float

    def __post_init__(self) -> None:
        check_positive("b", self.b)

    def fill(self, values: Tensor, generator: Generator) -> Tensor:
        """Laplace noise: the difference of two exponential variables, ln(1 - u) - ln(1 - v) for uniform u and v.

        u and v have 53 bits, as in torch's `exponential_`, which takes three times as long on a processor.
        """
        logarithms = (
            values.new_empty(values.shape).double().uniform_(generator=generator).neg_().log1p_() for _ in range(2)
        )
        first, second = logarithms
        return values.copy_(first.sub_(second).mul_(self.b))


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
    ratio = 0.5 * math.log(bounds.p_lower / bounds.p_upper)
    gap = 1.0 - bounds.p_lower + bounds.p_upper
    # The rounding of a gap near 0 or 1 is absolute: widen it before the logarithm.
    rest = -math.log(min(1.0, gap + 2.0**-51))
    return max(0.0, down(noise.b * max(ratio, rest) * (1.0 - _SLACK) - _SLACK * noise.b))
