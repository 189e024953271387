"""Laplace noise for L1. Derivation: docs/guarantees.md, "Laplace noise"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from holdfast.noises.base import AdditiveNoise, Shape, check_positive, draws_at_once, guarantee
from holdfast.stats.rounding import down
from holdfast.types import ClassBounds, Norm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Generator, Tensor

# Values to make at a time: each needs 16 temporary bytes. Few enough to stay in the cache.
_PIECE = 2**18

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

    def fill(self, values: Tensor, generator: Generator) -> Tensor:
        """Laplace noise: the difference of two exponential variables, ln(1 - u) - ln(1 - v) for uniform u and v.

        u and v have 53 bits, as in torch's `exponential_`, which takes three times as long on a CPU. All u come before
        all v.
        """
        if values.numel() <= _PIECE or values.device.type != "cpu":
            return self._differences(values, generator, generator)
        ahead = _after(values, values.numel(), generator)
        self._in_pieces(values, generator, ahead)
        generator.set_state(ahead.get_state())
        return values

    def draw_parts(self, x: Tensor, num: int, generator: Generator) -> Iterator[Tensor]:
        """The noise, a few draws at a time: u from one generator, v from another one, advanced past all u."""
        size = draws_at_once(x)
        if size >= num or x.device.type != "cpu":
            yield from super().draw_parts(x, num, generator)
            return
        ahead = _after(x, num * x.numel(), generator)
        for first in range(0, num, size):
            part = x.new_empty((min(size, num - first), *x.shape))
            self._in_pieces(part, generator, ahead)
            yield part
        generator.set_state(ahead.get_state())

    def _in_pieces(self, values: Tensor, first: Generator, second: Generator) -> None:
        flat = values.view(-1)
        for start in range(0, len(flat), _PIECE):
            self._differences(flat[start : start + _PIECE], first, second)

    def _differences(self, values: Tensor, first: Generator, second: Generator) -> Tensor:
        """Overwrite `values` with noise; u and v come from two generators, or one after the other from one."""
        u, v = (
            values.new_empty(values.shape).double().uniform_(generator=source).neg_().log1p_()
            for source in (first, second)
        )
        return values.copy_(u.sub_(v).mul_(self.b))


def _after(like: Tensor, count: int, generator: Generator) -> Generator:
    """A generator in the state that `generator` will have after `count` uniform numbers of 53 bits."""
    ahead = generator.clone_state()
    skipped = like.new_empty(min(count, _PIECE)).double()
    for first in range(0, count, _PIECE):
        skipped[: count - first].uniform_(generator=ahead)
    return ahead


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
