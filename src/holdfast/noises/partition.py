"""Deterministic ablation for L0: disjoint blocks of pixels, one vote each. Derivation: docs/guarantees.md."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from holdfast.errors import UsageError
from holdfast.noises.base import Shape, guarantee, pixel_count, votes_ahead, whole_numbers
from holdfast.noises.masking import MaskingNoise, channel_count, check_k, check_kept
from holdfast.noises.subsets import random_subsets
from holdfast.types import ClassBounds, Norm

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from holdfast.noises.draws import Draws

_PATTERNS = ("random", "strided")
_MAJORITY, _RUNOFF = "majority", "runoff"


@dataclass(frozen=True)
class Partition(MaskingNoise):
    """Keep one of ceil(d/k) disjoint blocks that together hold all d pixels; replace all others by NULL.

    The blocks are fixed. To certify, each block is classified once: d/k passes and no randomness. Train and certify
    with the same pattern: the base classifier then sees nothing but these blocks.

    Args:
        k: approximate number of pixels in a block: blocks may differ by a few.
        pattern: "random", a fixed pseudo-random partition; or "strided", in which the pixels of a block lie on a
            regular grid as far from each other as possible, and so show more of an image.
        null: how NULL is encoded, "multichannel", "normalized" or "mean" (`MaskingNoise`).
        fill: for "mean" and "normalized", numbers for each channel that training takes from the training set.
        decision: "majority", the class with the most votes; or "runoff": of the two classes with the most votes, the
            one that more blocks rank above the other by their logits. Training does not depend on it.

    Raises:
        UsageError: a parameter is out of range.
    """

    name: ClassVar[str] = "partition"
    example: ClassVar[str] = "partition:k=25"
    k: int
    pattern: str = "strided"
    null: str = "multichannel"
    fill: tuple[float, ...] | None = None
    decision: str = _MAJORITY

    def __post_init__(self) -> None:
        check_k(self.k)
        if self.decision not in (_MAJORITY, _RUNOFF):
            raise UsageError(f"the decision is {_MAJORITY} or {_RUNOFF}, got {self.decision!r}")
        if self.pattern not in _PATTERNS:
            raise UsageError(f"the pattern is {' or '.join(_PATTERNS)}, got {self.pattern!r}")
        super().__post_init__()

    def to_dict(self) -> dict[str, Any]:
        """Name and parameters; without the decision where it is the majority, as before there was another one."""
        described = super().to_dict()
        if not self.runoff:
            del described["decision"]
        return described

    @property
    def runoff(self) -> bool:
        """Whether the decision is a run-off."""
        return self.decision == _RUNOFF

    def draw(self, x: Tensor, draws: Draws) -> Tensor:
        """Positions of the pixels of random blocks, each equally likely: `(len(draws), most pixels of a block)`."""
        chosen = random_subsets(x, draws, self.realizations(tuple(x.shape)), 1)
        return self._places(x, chosen.squeeze(1))

    def realizations(self, shape: Shape) -> int:
        """The ceil(d/k) blocks."""
        return -(-pixel_count(shape) // self.k)

    def enumerate(self, x: Tensor, first: int, end: int) -> Tensor:
        """The blocks number `first` to `end - 1`."""
        return self._places(x, whole_numbers(x, first, end))

    def blocks(self, shape: Shape) -> NDArray[np.int64]:
        """The block number of each pixel, `(pixels,)`, row by row."""
        count = self.realizations(shape)
        return _random_blocks(pixel_count(shape), count) if self.pattern == "random" else _strided(shape, count)

    def check_inputs(self, shape: Shape, low: float, high: float) -> None:
        """Raise UsageError if k exceeds the pixels, or the encoding does not fit the range or the channels."""
        check_kept(self.k, pixel_count(shape), shape)
        super().check_inputs(shape, low, high)

    def information(self, shape: Shape, levels: int = 256) -> float:
        """The bits of the pixels in a block, on average; the block number says nothing about the input."""
        return pixel_count(shape) / self.realizations(shape) * channel_count(shape) * math.log2(levels)

    def _places(self, x: Tensor, chosen: Tensor) -> Tensor:
        known = self._known
        key = tuple(x.shape), x.device
        if key not in known:
            known[key] = chosen.new_tensor(_places_of(self, tuple(x.shape)))
        return known[key].index_select(0, chosen)

    @cached_property
    def _known(self) -> dict[tuple[Shape, object], Tensor]:
        """The blocks for a shape, on a device."""
        return {}


@lru_cache(maxsize=8)
def _places_of(noise: Partition, shape: Shape) -> NDArray[np.int64]:
    """The pixels of each block, in rows of equal length: shorter ones repeat their first pixel."""
    blocks = noise.blocks(shape)
    rows = [np.flatnonzero(blocks == block) for block in range(noise.realizations(shape))]
    longest = max(len(row) for row in rows)
    return np.stack([np.pad(row, (0, longest - len(row)), constant_values=row[0]) for row in rows])


@lru_cache(maxsize=8)
def _random_blocks(pixels: int, count: int) -> NDArray[np.int64]:
    """Pixels in the order of their hashes, dealt out in turn: the same on every machine and in every release."""
    order = sorted(range(pixels), key=lambda pixel: sha256(f"holdfast partition {pixel}".encode()).digest())
    blocks = np.empty(pixels, dtype=np.int64)
    blocks[order] = np.arange(pixels) % count
    return blocks


@lru_cache(maxsize=8)
def _strided(shape: Shape, count: int) -> NDArray[np.int64]:
    """(row x step + column) modulo count, with the step whose lattice has the longest shortest vector."""
    if len(shape) != 3:
        return np.arange(pixel_count(shape)) % count
    rows, columns = np.indices(shape[1:])
    blocks: NDArray[np.int64] = (rows * best_step(count) + columns) % count
    return blocks.ravel()


def best_step(count: int) -> int:
    """The step for which the points (row, column) with row x step + column = 0 modulo `count` lie furthest apart."""
    steps = np.arange(count)
    # Points in the same row are `count` apart; a lattice of that density has a vector no longer than 1.08 sqrt(count).
    shortest = np.full(count, count**2)
    for row in range(1, math.isqrt(2 * count) + 2):
        offset = (row * steps) % count
        shortest = np.minimum(shortest, row**2 + np.minimum(offset, count - offset) ** 2)
    return int(shortest.argmax())


@guarantee(Partition, norm=Norm.L0, cite="Levine & Feizi 2021, Theorem 1; Hammoudeh & Lowd 2023")
def partition(noise: Partition, bounds: ClassBounds, shape: Shape) -> float | None:
    """Half of the top class's lead in votes, rounded down, in pixels: a changed pixel is in one block.

    With all votes known, min over classes c of floor((v_A - v_c - [c < A]) / 2). Of a run-off, the blocks that may be
    replaced by any others (`holdfast.stats.runoff`), and nothing where this is not known.
    """
    if noise.runoff:
        return None if bounds.replaced is None else float(min(bounds.replaced, pixel_count(shape)))
    ahead = votes_ahead(bounds, noise.realizations(shape))
    return None if ahead is None else float(min(ahead // 2, pixel_count(shape)))
