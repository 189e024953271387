"""Which worker computes which example, and who gets the examples of a lost worker. No processes in here."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.types import Example

# After this many lost workers, the example that they all had is taken for the cause.
_MOST_LOSSES = 3


class WorkQueue:
    """Hands out examples, and hands them out again until each has come back once.

    When no new example is left, an idle worker also computes one that another worker has: votes do not depend on who
    counts them, so the first result counts, and neither a slow nor a stuck worker delays the end. An example whose
    worker was lost is a suspect: it is handed out alone, so that no other example can be the cause of a second loss.
    """

    def __init__(self, examples: Iterable[Example]) -> None:
        self._fresh = iter(examples)
        # One is taken in advance, to know whether there is any.
        self._ahead = next(self._fresh, None)
        self._suspects: deque[Example] = deque()
        self._open: dict[int, Example] = {}
        self._losses: Counter[int] = Counter()
        # Indices in the order in which they were handed out: the last one has most probably not been started.
        self._held: dict[int, list[int]] = {}

    @property
    def finished(self) -> bool:
        """Whether every example has come back."""
        return self._ahead is None and not self._suspects and not self._open

    def take(self, worker: int, most: int) -> list[Example]:
        """Up to `most` examples for a worker; none if it has to wait, or if nothing is left."""
        held = self._held.setdefault(worker, [])
        if any(self._losses[index] for index in held) or (held and self._suspects):
            return []
        if self._suspects:
            given = [self._suspects.popleft()]
        else:
            given = [example for _ in range(most) if (example := self._next()) is not None] or self._twice(worker)
        for example in given:
            self._open[example.index] = example
            held.append(example.index)
        return given

    def done(self, worker: int, index: int) -> Example | None:
        """Note a result from a worker; return its example, or None if another worker's result came first."""
        self._held[worker].remove(index)
        return self._open.pop(index, None)

    def lost(self, worker: int, how: str) -> None:
        """Hand the examples of a lost worker to others.

        Raises:
            HoldfastError: workers are lost on the same example again and again; the message names it.
        """
        for index in self._held.pop(worker, []):
            if index not in self._open:
                continue
            self._losses[index] += 1
            if self._losses[index] >= _MOST_LOSSES:
                raise HoldfastError(
                    f"{_MOST_LOSSES} workers were lost while they computed example {index}, the last one on nothing "
                    f"else ({how}). If the machine is out of memory, use smaller batches or fewer workers. "
                    "Finished examples are kept; the same command goes on from there"
                )
            if not any(index in held for held in self._held.values()):
                self._suspects.append(self._open.pop(index))

    def _next(self) -> Example | None:
        taken, self._ahead = self._ahead, next(self._fresh, None) if self._ahead is not None else None
        return taken

    def _twice(self, worker: int) -> list[Example]:
        """The example that another worker got last, if no third worker has it and it is no suspect."""
        if self._held[worker]:
            return []
        waiting = [[index for index in held if index in self._open] for held in self._held.values()]
        copies = Counter(index for held in waiting for index in held)
        for held in sorted(waiting, key=len, reverse=True):
            for index in reversed(held):
                if copies[index] == 1 and not self._losses[index]:
                    return [self._open[index]]
        return []
