"""Which worker computes which example, and who gets what a lost worker had in hand. There is no process in here."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.types import Example

# After so many lost workers the example that they had in hand is taken for the reason.
_MOST_LOSSES = 3


class WorkQueue:
    """Hands examples to whoever wants one, and again to others until each has come back once.

    An idle worker for which no fresh example is left computes one that another worker has in hand, too: votes do not
    depend on who counts them, so whichever comes back first is the answer, and neither a slow nor a stuck worker
    delays the end. An example whose worker was lost is a suspect: it is handed out alone, so that a second loss is its
    own doing and not that of its company.
    """

    def __init__(self, examples: Iterable[Example]) -> None:
        self._fresh = iter(examples)
        # One is taken ahead, to know whether there is any.
        self._ahead = next(self._fresh, None)
        self._suspects: deque[Example] = deque()
        self._open: dict[int, Example] = {}
        self._losses: Counter[int] = Counter()
        # Indices in the order in which they were given: the last one has most probably not been begun.
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
        """An example came back from a worker; None if it had come back from another one before."""
        self._held[worker].remove(index)
        return self._open.pop(index, None)

    def lost(self, worker: int, how: str) -> None:
        """A worker is gone: others get what it had in hand.

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
        """The example that another worker was given last, if it is in no third one's hands and no suspect."""
        if self._held[worker]:
            return []
        waiting = [[index for index in held if index in self._open] for held in self._held.values()]
        copies = Counter(index for held in waiting for index in held)
        for held in sorted(waiting, key=len, reverse=True):
            for index in reversed(held):
                if copies[index] == 1 and not self._losses[index]:
                    return [self._open[index]]
        return []
