"""Randomized ablation for L0: Levine & Feizi 2020. Derivation: docs/guarantees.md, "Randomized ablation"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import chain, combinations
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from holdfast.errors import UsageError
from holdfast.noises.base import Shape, guarantee, pixel_count, votes_ahead
from holdfast.noises.masking import MaskingNoise, channel_count, check_k, check_kept, check_sets
from holdfast.noises.subsets import random_subsets
from holdfast.types import ClassBounds, Norm

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from holdfast.noises.draws import Draws

# Most sets to enumerate: more would take longer than sampling, and their table too much memory.
_MOST_SETS = 1_000_000
# Radii to try one by one; larger ones are found by halving.
_STEPS = 1_000


@dataclass(frozen=True)
class Ablation(MaskingNoise):
    """Keep k pixels, chosen uniformly without replacement, and replace all others by NULL.

    Args:
        k: retention constant, the number of pixels kept; at least 1, at most the number of pixels.
        null: how NULL is encoded, "multichannel", "normalized" or "mean" (`MaskingNoise`).
        fill: for "mean" and "normalized", numbers for each channel that training takes from the training set.

    Raises:
        UsageError: a parameter is out of range.
    """

    name: ClassVar[str] = "ablation"
    example: ClassVar[str] = "ablation:k=45"
    k: int
    null: str = "multichannel"
    fill: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_k(self.k)
        super().__post_init__()

    def draw(self, x: Tensor, draws: Draws) -> Tensor:
        """Positions of the kept pixels, `(len(draws), k)`: k different ones in a row, each set equally likely."""
        return random_subsets(x, draws, pixel_count(tuple(x.shape)), self.k)

    def realizations(self, shape: Shape) -> int:
        """The C(d, k) sets of pixels."""
        d = pixel_count(shape)
        check_sets(d, self.k)
        return math.comb(d, self.k)

    def enumerate(self, x: Tensor, first: int, end: int) -> Tensor:
        """The sets number `first` to `end - 1`, in lexicographic order.

        Raises:
            UsageError: there are too many sets.
        """
        pixels = pixel_count(tuple(x.shape))
        if math.comb(pixels, self.k) > _MOST_SETS:
            raise UsageError(
                f"there are C({pixels}, {self.k}) sets of pixels to keep, more than {_MOST_SETS:,}; sample them"
            )
        sets = _all_sets(pixels, self.k)[first:end]
        long = x.new_empty(0).long()
        # From pinned memory, so that nobody waits for the copy.
        host = long.new_empty(sets.shape, device="cpu", pin_memory=x.device.type == "cuda")
        host.numpy()[:] = sets
        return long.new_empty(sets.shape).copy_(host, non_blocking=True)

    def check_inputs(self, shape: Shape, low: float, high: float) -> None:
        """Raise UsageError if k exceeds the pixels, or the encoding does not fit the range or the channels."""
        check_kept(self.k, pixel_count(shape), shape)
        super().check_inputs(shape, low, high)

    def information(self, shape: Shape, levels: int = 256) -> float:
        """All bits of the k pixels kept (Levine & Feizi 2020, equation 20)."""
        return self.k * channel_count(shape) * math.log2(levels)


@lru_cache(maxsize=2)
def _all_sets(pixels: int, k: int) -> NDArray[np.int64]:
    sets = np.fromiter(chain.from_iterable(combinations(range(pixels), k)), dtype=np.int64)
    return sets.reshape(-1, k)


def delta(d: int, k: int, rho: int) -> Fraction:
    """1 - C(d - rho, k) / C(d, k): the probability that a random set of k of d pixels meets rho given ones.

    Exact. Source: Levine & Feizi 2020, Theorem 1, equation 4.

    Raises:
        UsageError: not 1 <= k <= d, or not 0 <= rho <= d.
    """
    if not (1 <= k <= d and 0 <= rho <= d):
        raise UsageError(f"Delta needs 1 <= k <= d and 0 <= rho <= d, got d={d}, k={k}, rho={rho}")
    return 1 - Fraction(math.comb(d - rho, k), math.comb(d, k))


@guarantee(Ablation, norm=Norm.L0, cite="Levine & Feizi 2020, Theorem 1 and Corollary 2")
def levine(noise: Ablation, bounds: ClassBounds, shape: Shape) -> float | None:
    """The largest rho with p_lower - Delta(rho) > p_upper + Delta(rho), in pixels; None if there is none.

    Counted in sets of pixels: rho changed pixels meet C(d, k) - C(d - rho, k) of the C(d, k) sets, and each of these
    can bring a rival two votes closer. With p_upper = 1 - p_lower this is Corollary 1, p_lower - Delta > 1/2. Exact.
    """
    d = pixel_count(shape)
    sets = noise.realizations(shape)
    ahead = votes_ahead(bounds, sets)
    if ahead is None:
        return None
    untouched, rho = sets, 0
    while rho < min(d, _STEPS):
        # C(d - rho - 1, k) from C(d - rho, k): one exact factor per step.
        untouched = untouched * max(0, d - noise.k - rho) // (d - rho)
        if 2 * (sets - untouched) > ahead:
            return float(rho)
        rho += 1
    return float(_by_halving(d, noise.k, sets, ahead))


def _by_halving(d: int, k: int, sets: int, ahead: int) -> int:
    """The same rho where it is large, by halving: the number of sets met grows with rho."""
    low, high = min(d, _STEPS), d
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if 2 * (sets - math.comb(d - middle, k)) <= ahead else (low, middle - 1)
    return low
