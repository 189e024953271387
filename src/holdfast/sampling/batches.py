"""How many noisy copies pass through the base classifier at a time: a given number, or the fastest one.

The search for the fastest size times the batches of the real work; no result depends on batch sizes. What it finds is
remembered as long as the base classifier lives.
"""

from __future__ import annotations

import math
import weakref
from statistics import median
from typing import final

# A search starts with this many copies, or with as many as fit into this many bytes.
_START, _START_BYTES = 256, 2**25
_LARGEST, _SMALLEST = 8192, 64
# No batch is tried that would take longer than this; if the first one does, there is no search.
_BATCH_SECONDS = 0.25
# The larger of two sizes wins unless it is slower by more than this factor: it has fewer fixed costs per batch.
_AS_GOOD = 0.97
# A comparison takes at least this many rounds and seconds; it ends early where one size is far slower.
_ROUNDS, _COMPARED_SECONDS, _HOPELESS = 5, 0.04, 0.8
# A comparison ends without a winner after this many batches of another size.
_MOST_PARTIAL = 50

# Noise, shape of an input, device and threads: what the speed depends on besides the base classifier.
Key = tuple[str, tuple[int, ...], str, int]


@final
class BatchSize:
    """The number of copies in the next batch.

    A search starts with a moderate size and compares it with twice as many. Both take turns on the same number of
    copies, so that other load on the machine slows both, and the median of the ratios decides. The size doubles as long
    as that is no slower; if it never doubled, it halves as long as that is faster.

    Args:
        size: of the first batch, at least 1.
        settled: whether to keep this size instead of searching.
    Attributes:
        settled: whether the search is over.
        most: the largest size allowed.
        speed: copies per second with the best size so far; 0 if not measured.
    """

    def __init__(self, size: int, *, settled: bool) -> None:
        self.settled = settled
        self.most = size if settled else max(size, _LARGEST)
        self.speed = 0.0
        self._best = size
        self._least = max(1, min(_SMALLEST, size // 4))
        # The size compared with the best one; None before the first comparison.
        self._other: int | None = None
        self._grew = False
        # Whose turn it is, the best's (0) or the other's (1); its copies in this round; the seconds of both.
        self._turn, self._copies = 0, 0
        self._seconds = [0.0, 0.0]
        self._partial = 0
        # For each round, the seconds of the best and of the other size for the same number of copies.
        self._times: list[tuple[float, float]] = []

    @classmethod
    def search(cls, copy_bytes: int) -> BatchSize:
        """Start a search, for noisy copies of `copy_bytes` bytes each."""
        room = max(1, _START_BYTES // max(1, copy_bytes))
        return cls(min(_START, 2 ** int(math.log2(room))), settled=False)

    @property
    def size(self) -> int:
        """The size of the next batch."""
        return self._other if self._other is not None and self._turn else self._best

    def record(self, rows: int, seconds: float) -> None:
        """Take into account that a batch of `rows` copies took `seconds`; only batches of the current size count."""
        if self.settled:
            return
        if rows != self.size:
            self._partial += 1
            if self._other is not None and self._partial >= _MOST_PARTIAL:
                # The work comes in portions too small for such batches.
                self._compare(None)
            return
        self._copies += rows
        self._seconds[self._turn] += seconds
        if self._copies < max(self._best, self._other or 0):
            return
        # Both sizes have had as many copies when both have had their turn.
        self._copies = 0
        if self._other is not None and not self._turn:
            self._turn = 1
            return
        self._turn = 0
        self._times.append((self._seconds[0], self._seconds[1]))
        self._seconds = [0.0, 0.0]
        # The first round warms up.
        if len(self._times) > 1:
            self._judge(self._times[1:])

    def failed(self, rows: int) -> bool:
        """Take smaller batches from now on: there was no memory for `rows` copies, at least 2.

        Returns:
            Whether a search chose that size, so that no warning is due.
        """
        self.most = max(1, rows // 2)
        was_settled, lost_best = self.settled, self._best > self.most
        if lost_best:
            self._best = self.most if was_settled else 2 ** int(math.log2(self.most))
            self._least = max(1, min(self._least, self._best // 4))
        if not was_settled and lost_best:
            # Start again, with what memory may suffice for.
            self._other = None
            self._begin()
        elif not was_settled:
            self._compare(self._smaller())
        return not was_settled

    def _begin(self) -> None:
        self._turn, self._copies, self._partial = 0, 0, 0
        self._seconds = [0.0, 0.0]
        self._times = []

    def _judge(self, times: list[tuple[float, float]]) -> None:
        """Start another comparison, or settle, if the rounds so far say which size is faster."""
        if self._other is None:
            self._first(times)
            return
        ratio = median(best / max(other, 1e-9) for best, other in times)
        clear = len(times) > 1 and not _HOPELESS <= ratio <= 1 / _HOPELESS
        if not clear and (len(times) < _ROUNDS or sum(map(sum, times)) < _COMPARED_SECONDS):
            return
        copies, larger = max(self._best, self._other), self._other > self._best
        won = ratio >= _AS_GOOD if larger else ratio > 1 / _AS_GOOD
        seconds = min(time[won] for time in times)
        self.speed = copies / max(seconds, 1e-9)
        if won:
            self._best, self._grew = self._other, larger or self._grew
            self._compare(self._larger() if larger else self._smaller())
        else:
            self._compare(self._smaller() if larger and not self._grew else None)

    def _first(self, times: list[tuple[float, float]]) -> None:
        self.speed = self._best / max(min(best for best, _ in times), 1e-9)
        if self._best / self.speed > _BATCH_SECONDS:
            self._compare(None)
        else:
            self._compare(self._larger() or self._smaller())

    def _larger(self) -> int | None:
        """The next larger size to try; None if it is not allowed or would take too long."""
        allowed = 2 * self._best <= self.most and 2 * self._best <= _BATCH_SECONDS * self.speed
        return 2 * self._best if allowed else None

    def _smaller(self) -> int | None:
        return self._best // 2 if self._best // 2 >= self._least else None

    def _compare(self, other: int | None) -> None:
        """Compare the best size with `other` from now on; settle if there is none."""
        self._other = other
        self.settled = other is None
        self._begin()


# By identity: base classifiers and factories need not be hashable, and may be equal to others.
_FOUND: dict[int, tuple[weakref.ref[object], dict[Key, BatchSize]]] = {}


def found_for(base: object) -> dict[Key, BatchSize]:
    """The sizes found so far for a base classifier or a factory; a search updates them in place."""
    known = _FOUND.get(id(base))
    if known is None or known[0]() is not base:
        number = id(base)
        known = weakref.ref(base, lambda _: _FOUND.pop(number, None)), {}
        _FOUND[number] = known
    return known[1]
