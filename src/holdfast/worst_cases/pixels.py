"""Worst cases of noises that hide pixels: ablation and disjoint blocks. All probabilities are exact."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from holdfast.errors import UsageError
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import pixel_count
from holdfast.noises.masking import MaskingNoise, channel_count
from holdfast.noises.partition import Partition
from holdfast.stats.rounding import float_above, float_below
from holdfast.types import ClassBounds
from holdfast.worst_cases.base import REST, RIVAL, TOP, Enclosed, WorstCase, exactly, worst_case

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.noises.base import Guarantee

# A kept value that differs from the unchanged one by more than this was changed; float32 is off by far less.
_SAME = 1e-4


@dataclass(frozen=True)
class Masked(WorstCase):
    """The rival wherever a changed pixel shows; elsewhere a class for each set of pixels that shows.

    Attributes:
        order: the pixels in the order in which they are changed.
        top_votes: the number of realizations of the noise that vote for the top class at `x`.
        rival_votes: likewise for its rival.
    """

    order: NDArray[np.int64]
    top_votes: int
    rival_votes: int
    step: ClassVar[float | None] = 1.0

    def probabilities(self, size: float) -> tuple[Enclosed, Enclosed]:
        """Exact: votes counted."""
        top, rival = (Fraction(votes, self._total) for votes in self.votes(size))
        return exactly(top), exactly(rival)

    def votes(self, size: float) -> tuple[int, int]:
        """The realizations that vote for the top class and for its rival at the changed input."""
        met = self._met(round(size))
        return max(0, self.top_votes - met), met + min(self.rival_votes, self._total - met)

    def answer(self, size: float) -> int | None:
        """By votes; the top class, with the lowest index, wins ties where all votes are known."""
        top, rival = self.votes(size)
        if top == rival:
            return TOP if self.bounds.wins_ties else None
        return TOP if top > rival else RIVAL

    def changed(self, size: float) -> NDArray[np.float64]:
        """The first pixels of the order, moved to the other end of the range in every channel."""
        moved = self.x.reshape(channel_count(self.x.shape), -1).copy()
        chosen = self.order[: round(size)]
        moved[:, chosen] = np.where(moved[:, chosen] < 0.5, 1.0, 0.0)
        return np.asarray(moved.reshape(self.x.shape), dtype=np.float64)

    def classify(self, noisy: NDArray[np.floating]) -> NDArray[np.int64]:
        """The rival if a changed pixel shows, else by the set of pixels that show."""
        channels = channel_count(self.x.shape)
        flat = noisy.reshape(len(noisy), 2 * channels, -1)
        # A kept value s is encoded as (s, 1 - s), a hidden one as (0, 0).
        kept = flat[:, 0] + flat[:, channels] > 0.5
        differs = (np.abs(flat[:, :channels] - self.x.reshape(channels, -1)) > _SAME).any(axis=1)
        votes = np.array([self._vote(np.flatnonzero(row)) for row in kept], dtype=np.int64)
        return np.where((kept & differs).any(axis=1), RIVAL, votes)

    @property
    def turning(self) -> float:
        """The number of changed pixels from which on the top class no longer leads."""
        pixels = range(pixel_count(self.x.shape) + 1)
        return float(next((r for r in pixels if self.answer(float(r)) != TOP), math.inf))

    @property
    def _total(self) -> int:
        return self.noise.realizations(self.x.shape) or 1

    def _met(self, size: int) -> int:
        """The number of realizations that show one of the first `size` pixels of the order."""
        raise NotImplementedError

    def _vote(self, shown: NDArray[np.int64]) -> int:
        """The class of a set of unchanged pixels."""
        raise NotImplementedError


@dataclass(frozen=True)
class Sets(Masked):
    """Levine & Feizi 2020, Theorem 1: all sets of k pixels in lexicographic order of `order`, the top class's first.

    In that order the sets that show one of the first r pixels come first, for every r: they are all the top class's
    while it has any left.
    """

    @property
    def _k(self) -> int:
        assert isinstance(self.noise, Ablation)
        return self.noise.k

    def _met(self, size: int) -> int:
        return self._total - math.comb(len(self.order) - size, self._k)

    def _vote(self, shown: NDArray[np.int64]) -> int:
        rank = self._rank(shown)
        return TOP if rank < self.top_votes else RIVAL if rank >= self._total - self.rival_votes else REST

    def _rank(self, shown: NDArray[np.int64]) -> int:
        """The place of a set in the lexicographic order."""
        places = sorted(np.argsort(self.order)[shown].tolist())
        d, k = len(self.order), self._k
        after = sum(math.comb(d - 1 - place, k - number) for number, place in enumerate(places))
        return self._total - 1 - after


@dataclass(frozen=True)
class Blocks(Masked):
    """Deep partition aggregation: a pixel of another block of the top class is changed each time."""

    def _met(self, size: int) -> int:
        return len({self._block(pixel) for pixel in self.order[:size].tolist()})

    def _vote(self, shown: NDArray[np.int64]) -> int:
        rank = self._ranked.index(self._block(int(shown[0])))
        return TOP if rank < self.top_votes else RIVAL if rank >= self._total - self.rival_votes else REST

    def _block(self, pixel: int) -> int:
        assert isinstance(self.noise, Partition)
        return int(self.noise.blocks(self.x.shape)[pixel])

    @property
    def _ranked(self) -> list[int]:
        """The blocks in the order in which the first pixel of each is changed."""
        return list(dict.fromkeys(self._block(pixel) for pixel in self.order.tolist()))


@worst_case(Ablation, "levine")
def ablation(
    noise: Ablation,
    theorem: Guarantee,
    x: NDArray[np.float64],
    direction: NDArray[np.float64] | None,
    p_top: float,
    p_rival: float,
) -> Sets:
    """Any pixels; the top class has the next possible probability from `p_top` on."""
    check_encoding(noise)
    order = pixel_order(x, direction)
    top, rival = possible_votes(noise.realizations(x.shape), p_top, p_rival)
    total = noise.realizations(x.shape)
    bounds = ClassBounds(TOP, float_below(Fraction(top, total)), float_above(Fraction(rival, total)))
    return Sets(noise, theorem, x, bounds, True, "", order, top, rival)


@worst_case(Partition, "partition")
def partition(
    noise: Partition,
    theorem: Guarantee,
    x: NDArray[np.float64],
    direction: NDArray[np.float64] | None,
    p_top: float,
    p_rival: float,
) -> Blocks:
    """Pixels of different blocks; all votes are known, and the top class, with the lowest index, wins ties."""
    check_encoding(noise)
    blocks, total = noise.blocks(x.shape), noise.realizations(x.shape)
    preferred = pixel_order(x, direction).tolist()
    # One pixel of each block first.
    first = {int(blocks[pixel]): pixel for pixel in reversed(preferred)}
    leading = [pixel for pixel in preferred if first[int(blocks[pixel])] == pixel]
    order = np.array([*leading, *(pixel for pixel in preferred if pixel not in set(leading))])
    top, rival = possible_votes(total, p_top, p_rival)
    bounds = ClassBounds(TOP, float_below(Fraction(top, total)), float_above(Fraction(rival, total)), wins_ties=True)
    return Blocks(noise, theorem, x, bounds, True, "", order, top, rival)


def possible_votes(total: int, p_top: float, p_rival: float) -> tuple[int, int]:
    """The next possible numbers of votes: upward for the top class, and no more than are left for its rival."""
    top = math.ceil(Fraction(p_top) * total)
    return top, min(total - top, math.floor(Fraction(p_rival) * total))


def pixel_order(x: NDArray[np.float64], direction: NDArray[np.float64] | None) -> NDArray[np.int64]:
    """All pixels, those that the direction names first."""
    pixels = pixel_count(x.shape)
    if direction is None:
        return np.random.default_rng(0).permutation(pixels)
    if direction.shape != x.shape:
        raise UsageError(f"the direction has the shape of the input, {x.shape}; got {direction.shape}")
    sizes = np.abs(direction).reshape(channel_count(x.shape), -1).sum(axis=0)
    order: NDArray[np.int64] = np.argsort(-sizes, kind="stable")
    return order


def check_encoding(noise: MaskingNoise) -> None:
    """Raise UsageError if hidden pixels may look like kept ones."""
    if noise.null != "multichannel":
        raise UsageError(
            "the worst case tells a hidden pixel from a kept one; with null='mean' they may be equal. Take "
            "null='multichannel'"
        )
