"""Driving a crew of workers: who gets which example, what is lost with a worker, and when all is done.

Processes of this machine and actors of a Ray cluster differ in how they are started, talked to and missed; that is a
`WorkerPool`. All else is here, once.
"""

from __future__ import annotations

import pickle
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, UsageError
from holdfast.sampling.engines.work_queue import WorkQueue
from holdfast.sampling.engines.worker import Done, Failed, Learned, Message, Order, Ready, Sampled, Wants, Warned

if TYPE_CHECKING:
    from holdfast.sampling.batches import BatchSize, Key
    from holdfast.sampling.procedure import Votes
    from holdfast.types import Example

# So many workers in a row may be lost before they are ready.
_MOST_FALSE_STARTS = 3


@dataclass(frozen=True)
class Lost:
    """A worker is gone.

    Attributes:
        how: in words, "killed by signal 9" say.
    """

    how: str


class WorkerPool(ABC):
    """Workers, by number, and the messages that come from them."""

    # What to look at when workers are lost before they are ready.
    advice: str

    @abstractmethod
    def start(self) -> int:
        """Start a worker, without waiting for it, and return its number; no number comes twice."""

    @abstractmethod
    def give(self, worker: int, examples: list[Example]) -> None:
        """Send examples; that the worker is gone by now is told by `messages`, not here."""

    @abstractmethod
    def messages(self) -> Iterator[tuple[int, Message | Lost]]:
        """Wait until something is heard; then what was heard, in order for each worker, `Lost` as the last of one."""

    @abstractmethod
    def close(self) -> None:
        """End every worker at once; harmless when repeated. They hold nothing that is not computed again."""


def packed(order: Order, dumps: Callable[[object], bytes] = pickle.dumps) -> bytes:
    """The order as it is sent to workers.

    Raises:
        UsageError: it holds something that only exists in this process.
    """
    try:
        return dumps(order)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            f"the base classifier, the noise or the procedure cannot be sent to other processes ({error}). Give a "
            "FunctionFactory with a function at the top level of a module, or use the local engine"
        ) from error


def drive(
    crew: WorkerPool,
    workers: int,
    examples: Iterable[Example],
    on_batch: Callable[[int], None] | None,
    found: dict[Key, BatchSize],
) -> Generator[tuple[Example, Votes], None, None]:
    """Yield every example with its votes, each once, while workers come and go; see `Engine.run`.

    Args:
        crew: the workers.
        workers: how many of them.
        examples: see `Engine.run`.
        on_batch: see `Engine.run`.
        found: where the batch sizes are remembered that workers find to be fast.
    """
    handout = WorkQueue(examples)
    if handout.finished:
        return
    room: dict[int, int] = {}
    starting: set[int] = set()
    false_starts = 0
    try:
        starting.update(crew.start() for _ in range(workers))
        while not handout.finished:
            for worker, message in crew.messages():
                match message:
                    case Ready():
                        starting.discard(worker)
                        false_starts = 0
                    case Wants(count):
                        room[worker] = count
                    case Sampled(count):
                        if on_batch:
                            on_batch(count)
                    case Done(index, votes):
                        example = handout.done(worker, index)
                        if example is not None:
                            yield example, votes
                    case Learned(key, batches):
                        found[key] = batches
                    case Warned(text):
                        warnings.warn(" ".join(text.split()), RuntimeWarning, stacklevel=2)
                    case Failed():
                        raise message.error()
                    case Lost(how):
                        room.pop(worker, None)
                        false_starts += worker in starting
                        if false_starts >= _MOST_FALSE_STARTS:
                            raise HoldfastError(
                                f"{false_starts} workers in a row were lost before they were ready ({how}). "
                                + crew.advice
                            )
                        handout.lost(worker, how)
                        warnings.warn(
                            f"a worker was lost: {how}. Another one takes its place; no record depends on it",
                            RuntimeWarning,
                            stacklevel=2,
                        )
                        starting.add(crew.start())
            for worker in list(room):
                given = handout.take(worker, room[worker])
                if given:
                    del room[worker]
                    crew.give(worker, given)
    finally:
        crew.close()
