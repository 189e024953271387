"""Sets of k of n places, every one exactly equally likely. Proofs: docs/guarantees.md, "Randomized ablation"."""

from __future__ import annotations

import math
from ctypes import addressof
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from holdfast.noises.base import whole_numbers
from holdfast.noises.kernel import Subsets

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from holdfast.noises.draws import Draws

# Bits of a random word.
_BITS = 32
_WORD = 2**_BITS
# Cells of the table with which single places are drawn, for one part of the draws.
_TABLE = 2**22
# A row of places is so long that it has too few different ones with a probability of about 1e-3 at most.
_DEVIATIONS = 3.5
_TOO_SHORT = 1e-3
# Of the number of rows that are drawn again, where their number is fixed beforehand.
_DEVIATIONS_OF_MISSING = 5.0


def random_subsets(x: Tensor, draws: Draws, size: int, k: int) -> Tensor:
    """Sets of exactly k of the places 0..size - 1, int64 `(len(draws), k)`, every such set equally likely.

    A set is the first k different places of a row of independent uniform ones. A row that is not enough, or that has a
    word of an incomplete last round, is drawn again from the next lane. So the sets are the same on every device.

    Args:
        x: gives the device.
        draws: the only source of randomness.
        size: number of places, below 2^32.
        k: from 1 to `size`; a larger k takes all places.
    """
    if k >= size:
        return whole_numbers(x, 0, size).expand(len(draws), size)
    # If k is more than half of the places, choose those to leave out.
    few, leave_out = min(k, size - k), 2 * k > size
    places = x.new_empty((len(draws), k), dtype=x.new_empty(0).long().dtype)
    room = np.empty(size, dtype=np.uint32)
    how = Subsets(size, draws_for(size, few), leave_out, room.ctypes.data)
    find = _on_processor if x.device.type == "cpu" else _elsewhere

    def otherwise(rows: Tensor, draws: Draws) -> None:
        rows.copy_(find(x, draws, size, few, leave_out=leave_out))

    draws.write(places, "subsets", (addressof(how),), otherwise)
    return places


def random_places(x: Tensor, draws: Draws, size: int) -> Tensor:
    """One of the places 0..size - 1 for each draw, int64 `(len(draws),)`, each equally likely; in parts, for memory."""
    found, position = x.new_empty(len(draws)).long(), 0
    for part in draws.parts(max(1, _TABLE // size)):
        found[position : position + len(part)] = random_subsets(x, part, size, 1).squeeze(1)
        position += len(part)
    return found


def _on_processor(x: Tensor, draws: Draws, size: int, k: int, *, leave_out: bool) -> Tensor:
    """`random_subsets` with numpy: fast if k is much smaller than `size`."""
    found, missing = np.empty((len(draws), k), dtype=np.int64), np.arange(len(draws))
    lane = 0
    while len(missing):
        if lane:
            words = np.concatenate([draws[row : row + 1].words(x, draws_for(size, k), lane) for row in missing])
        else:
            words = draws.words(x, draws_for(size, k), lane).numpy()
        places, enough = _first_different(words.view(np.uint32), size, k)
        found[missing[enough]] = places
        missing, lane = missing[~enough], lane + 1
    return x.new_empty(0).long().new_tensor(_others(found, size) if leave_out else found)


def _first_different(words: NDArray[np.uint32], size: int, k: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The first k different places of each row `(enough rows, k)`, and which rows are enough.

    A place is the upper half of word x size; each belongs to the same number of words, except for words whose lower
    half is below 2^bits modulo `size`: rows with such a word are not enough (Lemire 2019).
    """
    num = len(words)
    draw, rows = _layout(num, size, k)
    product = words.astype(np.uint64)
    product *= np.uint64(size)
    lower = product & np.uint64(_WORD - 1)
    product >>= np.uint64(_BITS)
    places: NDArray[np.int64] = product.view(np.int64)
    cells = places + rows
    # Each place of a set is owned by its first draw, which is written last: numpy writes a contiguous array in order.
    owner = np.empty(num * size, dtype=draw.dtype)
    owner[np.ascontiguousarray(cells[:, ::-1])] = draw[::-1]
    new = owner.take(cells) == draw
    # Before the k-th draw there are fewer than k places: counting starts there.
    rank = new[:, k - 1 :].cumsum(axis=1) + new[:, : k - 1].sum(axis=1, keepdims=True)
    new[:, k - 1 :] &= rank <= k
    enough = rank[:, -1] >= k
    if (unfair := _WORD % size) and lower.min() < unfair:
        enough &= (lower >= unfair).all(axis=1)
    if enough.all():
        return places.ravel().take(np.flatnonzero(new)).reshape(num, k), enough
    return places[enough][new[enough]].reshape(-1, k), enough


def _elsewhere(x: Tensor, draws: Draws, size: int, k: int, *, leave_out: bool) -> Tensor:
    """The same sets by operations on tensors, for other devices."""
    width, lane = draws_for(size, k), 0
    found, enough = _first_different_elsewhere(draws.words(x, width), size, k)
    # Where nobody waits, a few rows are drawn again in any case: hardly ever are more missing.
    share = min(0.5, _TOO_SHORT + width * (_WORD % size) / _WORD)
    ahead = draws.lanes_ahead(len(draws), share)
    most = min(len(draws), math.ceil(len(draws) * share + _DEVIATIONS_OF_MISSING * math.sqrt(len(draws) * share) + 4))
    if ahead:
        # Otherwise a row could be passed over in one lane and drawn from the one after it.
        draws.holds((~enough).sum() <= most)
    while lane < ahead or not draws.holds(enough.all()):
        lane += 1
        rows = (~enough).int().topk(most).indices if ahead else (~enough).nonzero().flatten()
        again, fine = _first_different_elsewhere(draws.words(x, width, lane, rows), size, k)
        had = enough.index_select(0, rows)
        again = found.index_select(0, rows).where(had.unsqueeze(1), again)
        found.index_copy_(0, rows, again)
        enough.index_copy_(0, rows, fine | had)
    if not leave_out:
        return found
    left = found.new_ones((len(found), size)).scatter_(1, found, 0)
    # The places of the ones, in order; `nonzero` would wait for the device.
    return left.sort(dim=1, descending=True, stable=True).indices[:, : size - k]


def _first_different_elsewhere(words: Tensor, size: int, k: int) -> tuple[Tensor, Tensor]:
    product = (words.long() & (_WORD - 1)) * size
    places, lower = product >> _BITS, product & (_WORD - 1)
    draw = whole_numbers(places, 0, places.shape[1]).expand_as(places)
    owner = places.new_full((len(places), size), places.shape[1]).scatter_reduce_(1, places, draw, "amin")
    new = owner.gather(1, places) == draw
    rank = new.cumsum(1)
    enough = (rank[:, -1] >= k) & (lower >= _WORD % size).all(dim=1)
    # The chosen ones first, in their order; rows that are not enough hold something.
    order = (~(new & (rank <= k))).int().sort(dim=1, stable=True).indices[:, :k]
    return places.gather(1, order), enough


@lru_cache(maxsize=64)
def _layout(num: int, size: int, k: int) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
    """The numbers of the draws in a row; and the first cell of each row, as a column."""
    width = draws_for(size, k)
    return np.arange(width, dtype=np.min_scalar_type(-width)), (np.arange(num) * size)[:, np.newaxis]


@lru_cache(maxsize=64)
def draws_for(size: int, k: int) -> int:
    """Draws that nearly always hold k different places of `size`: the coupon collector's mean and some deviations."""
    seen = np.arange(k)
    mean = float((size / (size - seen)).sum())
    variance = float((seen * size / (size - seen) ** 2).sum())
    return max(k + 1, math.ceil(mean + _DEVIATIONS * math.sqrt(variance)))


def _others(few: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """The places outside each set."""
    left = np.ones((len(few), size), dtype=np.bool_)
    np.put_along_axis(left, few, values=False, axis=1)
    return np.nonzero(left)[1].reshape(len(few), -1)
