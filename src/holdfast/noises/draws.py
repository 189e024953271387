"""Where noise gets its randomness: words that are a pure function of (seed, example, stream, draw, lane, position).

The function is Philox4x64-10 (Salmon et al. 2011), as numpy has it. Its key is (seed, upper half of the example's
number), its counter (block, lane, stream, lower half of the example's number). A draw that needs w words of 64 bits
in a lane has ceil(w/4) consecutive blocks there, the first draw from block 1 on. So any draw can be made alone, in any
batch and order and on any device, and a range of draws is one run of the counter. Derivation: docs/guarantees.md,
"Random words".
"""

from __future__ import annotations

import math
import threading
import warnings
from typing import TYPE_CHECKING, Any, final

import numpy as np

from holdfast.noises.card import checked
from holdfast.noises.kernel import kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from holdfast.noises.card import Philox
    from holdfast.noises.kernel import Kernel

# Words of 64 bits that one value of the counter gives.
BLOCK_WORDS = 4
_WORD = 2**64
_COUNTER = 2**256
_HALF_BITS = 32
_HALF = 2**_HALF_BITS - 1
_ROUNDS = 10
# Multipliers and increments of the key (Salmon et al. 2011, Table 2 and section 4).
_MULTIPLIERS = 0xD2E7470EE14C6C93, 0xCA5A826395121157
_INCREMENTS = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B
# How often a batch may be drawn again because more lanes were needed than were drawn ahead.
_SELDOM = 1e-2
_MOST_AHEAD = 64
# How many values by the kernel are compared at least.
_TRIED = 256
# Kinds of values that may differ between the kernel and torch, and by how much at most, as a share of the largest.
_ROUNDED = "normal", "laplace"
_ROUNDING = 1e-5


@final
class Draws:
    """Consecutive draws of one stream of one example: `len(draws)` of them, from number `first` on.

    A slice of them has the same randomness: `draws[3:5]` are the fourth and the fifth.

    Args:
        seed: of the run, below 2^64.
        example: number of the example, below 2^128: an index, or a key of the content.
        stream: number of the stream, below 2^64.
        num: number of draws.
        first: number of the first draw.
        conditions: where a caller that does not wait for the device collects what must hold for the noise to be right,
            bool tensors without dimensions; None if noise is to be right when it is returned.
    """

    __slots__ = ("conditions", "example", "first", "num", "seed", "stream")

    def __init__(
        self,
        seed: int,
        example: int,
        stream: int,
        num: int,
        first: int = 0,
        conditions: list[Tensor] | None = None,
    ) -> None:
        self.seed, self.example, self.stream = seed, example, int(stream)
        self.num, self.first, self.conditions = num, first, conditions

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, part: slice) -> Draws:
        start, stop, _ = part.indices(self.num)
        num = max(0, stop - start)
        return Draws(self.seed, self.example, self.stream, num, self.first + start, self.conditions)

    def parts(self, size: int) -> Iterator[Draws]:
        """Consecutive slices of `size` draws; the last one may be shorter."""
        for first in range(0, self.num, size):
            yield self[first : first + size]

    def holds(self, condition: Tensor) -> bool:
        """Whether a condition of the noise holds, a bool tensor without dimensions.

        True at once if conditions are collected: whoever collects them draws again if one does not hold.
        """
        if self.conditions is None:
            return bool(condition)
        self.conditions.append(condition)
        return True

    def lanes_ahead(self, values: int, share: float) -> int:
        """Lanes to draw before `holds` is asked: 0 unless conditions are collected.

        Args:
            values: how many there are.
            share: of them that has to be drawn again from the next lane, on average; below 1.
        """
        if self.conditions is None or share <= 0.0:
            return 0
        # values share^(lanes + 1) is to be small.
        return min(_MOST_AHEAD, max(0, math.ceil(math.log(_SELDOM / values) / math.log(share)) - 1))

    def words(self, x: Tensor, count: int, lane: int = 0, rows: Tensor | None = None) -> Tensor:
        """`count` independent words of 32 bits for each draw, int32 `(num, count)`, on the device of `x`.

        Args:
            x: gives the device.
            count: words of a draw, the same in each call for this lane.
            lane: words of different lanes are independent.
            rows: which draws, int64 `(some,)` from 0 to num - 1; None for all.
        """
        pairs = self.words64(x, -(-count // 2), lane, rows)
        return pairs.view(x.new_empty(0).int().dtype)[:, :count]

    def words64(self, x: Tensor, count: int, lane: int = 0, rows: Tensor | None = None) -> Tensor:
        """The same with words of 64 bits, int64 `(num, count)`."""
        long = x.new_empty(0).long()
        blocks = -(-count // BLOCK_WORDS)
        if rows is not None or x.device.type != "cpu":
            return self._elsewhere(long, blocks, lane, rows)[:, :count]
        found = long.new_empty((self.num, blocks * BLOCK_WORDS))
        self._raw(found.view(-1).numpy().view(np.uint64), self.first * blocks, lane)
        return found[:, :count]

    def _raw(self, found: NDArray[np.uint64], first: int, lane: int) -> None:
        """Write the words of consecutive blocks of a lane, from block number `first` on."""
        compiled = kernel()
        if compiled is None:
            seed, upper, stream, lower = self._key
            _LOCAL.philox.words(found, (seed, upper), (first, lane, stream, lower))
        else:
            compiled.words(found, first, lane, self._key)

    def write(
        self, rows: Tensor, kind: str, how: tuple[Any, ...], otherwise: Callable[[Tensor, Draws], object]
    ) -> None:
        """Write values into `rows` `(len(draws), values)`, contiguous: by `Kernel.values` where that is possible.

        The first values of each kind are made both ways. If they differ, the kernel makes no values of this kind in
        this process, with a RuntimeWarning: what was compiled is wrong.

        Args:
            rows: to write to.
            kind: of values.
            how: what belongs to the kind.
            otherwise: writes the same values into rows, for draws.
        """
        if not rows.numel():
            return
        compiled = kernel()
        if compiled is None or rows.device.type != "cpu" or str(rows.dtype) != compiled.types[kind]:
            otherwise(rows, self)
            return
        if compiled.right.get(kind) is None:
            few = Draws(self.seed, self.example, self.stream, -(-_TRIED // rows.shape[1]), self.first)
            tried, expected = rows.new_empty((2, len(few), rows.shape[1]))
            few._by(compiled, tried, kind, how)
            otherwise(expected, few)
            compiled.right[kind] = _same(kind, tried.numpy(), expected.numpy())
            if not compiled.right[kind]:
                warnings.warn(
                    f"the compiled kernel makes other {kind} values than numpy and torch, and is not used for them; "
                    "noise is right, and slower. Name another C compiler in HOLDFAST_COMPILER, or none",
                    RuntimeWarning,
                    stacklevel=2,
                )
        if compiled.right[kind]:
            self._by(compiled, rows, kind, how)
        else:
            otherwise(rows, self)

    def _by(self, compiled: Kernel, rows: Tensor, kind: str, how: tuple[Any, ...]) -> None:
        compiled.values(kind, rows.data_ptr(), (self.num, rows.shape[1]), self.first, how, self._key)

    @property
    def _key(self) -> tuple[int, int, int, int]:
        upper, lower = divmod(self.example, _WORD)
        return self.seed, upper, self.stream, lower

    def _elsewhere(self, long: Tensor, blocks: int, lane: int, rows: Tensor | None) -> Tensor:
        seed, upper, stream, lower = self._key
        if rows is None:
            numbers = long.new_ones(self.num * blocks).cumsum(0).add_(self.first * blocks)
        else:
            starts = rows.add(self.first).mul_(blocks)
            numbers = (starts.unsqueeze(1) + long.new_ones(blocks).cumsum(0)).flatten()
        found = _philox_on(numbers)((seed, upper), (numbers, lane, stream, lower))
        return found.view(-1, blocks * BLOCK_WORDS)


def _same(kind: str, found: NDArray[Any], expected: NDArray[Any]) -> bool:
    """Whether values are equal, those of some kinds up to the rounding of logarithms, sines and cosines."""
    if kind not in _ROUNDED:
        return np.array_equal(found, expected)
    return bool(np.abs(found - expected).max(initial=0.0) <= _ROUNDING * np.abs(expected).max(initial=0.0))


# By device.
_ON_CARDS: dict[object, Philox] = {}


def _philox_on(numbers: Tensor) -> Philox:
    """The fastest right `philox` where these counters are."""
    if numbers.device.type != "cuda":
        return philox
    if numbers.device not in _ON_CARDS:
        _ON_CARDS[numbers.device] = checked(philox, numbers)
    return _ON_CARDS[numbers.device]


def philox(key: tuple[int, int], counter: tuple[Tensor, int, int, int]) -> Tensor:
    """Philox4x64-10 by operations on int64 tensors, on any device: `(num,)` counters to words `(num, 4)`.

    Args:
        key: two words of 64 bits.
        counter: the first words, `(num,)`; and the other three.
    """
    a = counter[0]
    b, c, d = (a.new_full((), _signed(word)).expand_as(a) for word in counter[1:])
    for number in range(_ROUNDS):
        first, second = (_signed(word + number * step) for word, step in zip(key, _INCREMENTS, strict=True))
        high_a, low_a = _product(_MULTIPLIERS[0], a)
        high_c, low_c = _product(_MULTIPLIERS[1], c)
        a, b, c, d = high_c ^ b ^ first, low_c, high_a ^ d ^ second, low_a
    words = a.new_empty((len(a), BLOCK_WORDS))
    for column, word in enumerate((a, b, c, d)):
        words[:, column] = word
    return words


def _product(factor: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """The upper and the lower 64 bits of factor * x, of unsigned integers in int64."""
    low, high = factor & _HALF, factor >> _HALF_BITS
    x_low, x_high = x & _HALF, (x >> _HALF_BITS) & _HALF
    # Sums of 64 bits wrap nowhere: (2^32 - 1)^2 + 2^32 - 1 is below 2^64.
    middle = x_low * high + ((x_low * low >> _HALF_BITS) & _HALF)
    other = x_high * low + (middle & _HALF)
    upper = x_high * high + ((middle >> _HALF_BITS) & _HALF) + ((other >> _HALF_BITS) & _HALF)
    return upper, x * _signed(factor)


def _signed(word: int) -> int:
    """The int64 with the bits of a word, after the word's overflow."""
    word %= _WORD
    return word - _WORD if word >= _WORD // 2 else word


class _Philox:
    """numpy's generator, moved to any counter: making an object takes longer than the noise of a small image."""

    def __init__(self) -> None:
        self._philox = np.random.Philox(key=np.zeros(2, dtype=np.uint64))
        self._start: Any = self._philox.state
        self._counter: NDArray[np.uint64] = self._start["state"]["counter"]
        self._key: NDArray[np.uint64] = self._start["state"]["key"]

    def words(self, found: NDArray[np.uint64], key: tuple[int, int], counter: tuple[int, int, int, int]) -> None:
        """Fill `found`, contiguous, with the blocks after the counter `(first, lane, stream, lower)`."""
        # numpy counts before it computes: the first block has the counter after this one.
        self._key[:] = key
        self._counter[:] = counter
        self._philox.state = self._start
        found[:] = self._philox.random_raw(found.size)


class _Local(threading.local):
    """A generator for each thread: its state must not change between being set and being used."""

    def __init__(self) -> None:
        self.philox = _Philox()


_LOCAL = _Local()
