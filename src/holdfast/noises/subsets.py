"""Sets of k of n places, every one exactly equally likely. Proofs: docs/guarantees.md, "Randomized ablation"."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Generator, Tensor

    # From a count to that many independent, uniform integers of `_BITS` bits.
    Words = Callable[[int], NDArray[np.uint32]]

# Bits of a random word.
_BITS = 32
# With this lower end, `random_` fills all 64 bits of an int64.
_LEAST_WORD = -(2**63)
# A row of draws is so long that it has too few different places with a probability of about 1e-3 at most.
_DEVIATIONS = 3.5


def random_subsets(x: Tensor, num: int, size: int, k: int, generator: Generator) -> Tensor:
    """`num` sets of exactly k of the places 0..size - 1, int64 `(num, k)`, every such set equally likely.

    Args:
        x: gives the device.
        num: number of sets.
        size: number of places.
        k: from 1 to `size`; a larger k takes all places.
        generator: the only source of randomness, on the device of `x`.
    """
    whole = x.new_empty(0).long()
    if k >= size:
        return whole.new_tensor(range(size)).expand(num, size)
    if x.device.type != "cpu":
        return by_keys(x, num, size, k, generator)

    def words(count: int) -> NDArray[np.uint32]:
        drawn = whole.new_empty(-(-count // 2)).random_(_LEAST_WORD, None, generator=generator)
        found: NDArray[np.uint32] = drawn.numpy().view(np.uint32)[:count]
        return found

    # If k is more than half of the places, choose those to leave out.
    few = by_draws(words, num, size, min(k, size - k))
    return whole.new_tensor(few if 2 * k <= size else _others(few, size))


def by_draws(words: Words, num: int, size: int, k: int) -> NDArray[np.int64]:
    """The first k different ones in a row of independent uniform places; a row with fewer is drawn again.

    With numpy, on a CPU: a tenth of the time of `by_keys` if k is much smaller than `size`.
    """
    draw, rows = _layout(num, size, k)
    places = _uniform(words, num * len(draw), size).reshape(num, -1)
    cells = places + rows
    # Each place of a set is owned by the draw that wrote it last.
    owner = np.empty(num * size, dtype=draw.dtype)
    owner[cells] = draw
    new = owner.take(cells) == draw
    # Before the k-th draw there are fewer than k places: counting starts there.
    rank = new[:, k - 1 :].cumsum(axis=1) + new[:, : k - 1].sum(axis=1, keepdims=True)
    new[:, k - 1 :] &= rank <= k
    enough = rank[:, -1] >= k
    if enough.all():
        return places.ravel().take(np.flatnonzero(new)).reshape(num, k)
    found = np.empty((num, k), dtype=np.int64)
    found[enough] = places[enough][new[enough]].reshape(-1, k)
    found[~enough] = by_draws(words, num - int(enough.sum()), size, k)
    return found


@lru_cache(maxsize=64)
def _layout(num: int, size: int, k: int) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
    """The numbers of the draws in a row; and the first cell of each row, as a column."""
    width = draws_for(size, k)
    return np.arange(width, dtype=np.min_scalar_type(-width)), (np.arange(num) * size)[:, np.newaxis]


def draws_for(size: int, k: int) -> int:
    """Draws that nearly always hold k different places of `size`: the coupon collector's mean and some deviations."""
    seen = np.arange(k)
    mean = float((size / (size - seen)).sum())
    variance = float((seen * size / (size - seen) ** 2).sum())
    return max(k + 1, math.ceil(mean + _DEVIATIONS * math.sqrt(variance)))


def _uniform(words: Words, count: int, size: int) -> NDArray[np.int64]:
    """Integers from 0 to size - 1, exactly uniform: the upper half of word x size (Lemire 2019).

    Each integer belongs to the same number of words, except for words whose lower half is below 2^bits modulo `size`;
    these are drawn again.
    """
    word = words(count)
    unfair = 2**_BITS % size
    lower = word * np.uint32(size) & np.uint32(2**_BITS - 1)
    product = word.astype(np.uint64)
    product *= np.uint64(size)
    product >>= np.uint64(_BITS)
    found: NDArray[np.int64] = product.view(np.int64)
    if lower.min() < unfair:
        redrawn = np.flatnonzero(lower < unfair)
        found[redrawn] = _uniform(words, len(redrawn), size)
    return found


def _others(few: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """The places outside each set."""
    left = np.ones((len(few), size), dtype=np.bool_)
    np.put_along_axis(left, few, values=False, axis=1)
    return np.nonzero(left)[1].reshape(len(few), -1)


def by_keys(x: Tensor, num: int, size: int, k: int, generator: Generator) -> Tensor:
    """The k places with the smallest independent uniform keys; keys with a tie at the k-th are drawn again.

    For any device: it needs no number of draws that is enough.
    """
    keys = x.new_empty((num, size)).uniform_(generator=generator)
    while True:
        smallest = keys.topk(k + 1, dim=1, largest=False, sorted=True)
        tied = smallest.values[:, k - 1] == smallest.values[:, k]
        if not bool(tied.any()):
            return smallest.indices[:, :k]
        keys[tied] = keys[tied].uniform_(generator=generator)
