"""Gaussian noise for L2: Cohen, Rosenfeld & Kolter 2019. Derivation: docs/guarantees.md, "Gaussian noise"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from holdfast.noises.base import Noise, Shape, check_positive, guarantee
from holdfast.stats.rounding import down, normal_quantile_lower, normal_quantile_upper
from holdfast.types import ClassBounds, Norm

if TYPE_CHECKING:
    from torch import Generator, Tensor


@dataclass(frozen=True)
class Gaussian(Noise):
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
    assumption: ClassVar[str] = (
        "The theorem is about ideal normal noise. Computers draw it in finite precision (float32 here) from a "
        "pseudo-random generator, which approximates the ideal one very closely but is not identical to it."
    )
    sigma: float

    def __post_init__(self) -> None:
        check_positive("sigma", self.sigma)

    def draw(self, x: Tensor, num: int, generator: Generator) -> Tensor:
        """Normal noise `(num, *event)`."""
        return x.new_empty((num, *x.shape)).normal_(generator=generator).mul_(self.sigma)

    def apply(self, x: Tensor, draws: Tensor) -> Tensor:
        """`x` plus the noise."""
        return x + draws


@guarantee(Gaussian, norm=Norm.L2, cite="Cohen et al. 2019, Theorem 1")
def cohen(noise: Gaussian, bounds: ClassBounds, shape: Shape) -> float | None:
    """sigma/2 (quantile(p_lower) - quantile(p_upper)), in input units; None where the bounds do not separate."""
    if not bounds.p_lower > bounds.p_upper:
        return None
    z = down(normal_quantile_lower(bounds.p_lower) - normal_quantile_upper(bounds.p_upper)) / 2.0
    return max(0.0, down(noise.sigma * z))
