"""Drive a pool of workers: hand out examples, and hand them out again when a worker is lost.

A `WorkerPool` starts workers, talks to them and notices their loss: as processes of this machine or actors of a Ray
cluster. Everything else is here.
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

# Workers that may be lost in a row before one is ready.
_MOST_FALSE_STARTS = 3


@dataclass(frozen=True)
class Lost:
    """A worker has ended.

    Attributes:
        how: in words, for example "killed by signal 9".
    """

    how: str


class WorkerPool(ABC):
    """Numbered workers, and their messages."""

    # What to check when workers are lost before they are ready.
    advice: str

    @abstractmethod
    def start(self) -> int:
        """Start a worker without waiting for it; return its number, which is never reused."""

    @abstractmethod
    def give(self, worker: int, examples: list[Example]) -> None:
        """Send examples; `messages` reports whether the worker has ended."""

    @abstractmethod
    def messages(self) -> Iterator[tuple[int, Message | Lost]]:
        """Wait for messages and yield them, in order for each worker; `Lost` is a worker's last one."""

    @abstractmethod
    def close(self) -> None:
        """End every worker at once; may be called repeatedly. No result is lost that is not computed again."""


def packed(order: Order, dumps: Callable[[object], bytes] = pickle.dumps) -> bytes:
    """The order in the form that is sent to workers.

    Raises:
        UsageError: a part of it cannot be pickled.
    """
    try:
        return dumps(order)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            f"the base classifier, the noise or the procedure cannot be sent to other processes ({error}). Give a "
            "FunctionFactory with a function at the top level of a module, or use the local engine"
        ) from error


def drive(
    pool: WorkerPool,
    workers: int,
    examples: Iterable[Example],
    on_batch: Callable[[int], None] | None,
    found: dict[Key, BatchSize],
) -> Generator[tuple[Example, Votes], None, None]:
    """Yield every example with its votes, once, while workers come and go; see `Engine.run`.

    Args:
        pool: the workers.
        workers: number of workers.
        examples: see `Engine.run`.
        on_batch: see `Engine.run`.
        found: remembers the fastest batch sizes that workers find.
    """
    queue = WorkQueue(examples)
    if queue.finished:
        return
    room: dict[int, int] = {}
    starting: set[int] = set()
    false_starts = 0
    try:
        starting.update(pool.start() for _ in range(workers))
        while not queue.finished:
            for worker, message in pool.messages():
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
                        example = queue.done(worker, index)
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
                                + pool.advice
                            )
                        queue.lost(worker, how)
                        warnings.warn(
                            f"a worker was lost: {how}. Another one takes its place; no record depends on it",
                            RuntimeWarning,
                            stacklevel=2,
                        )
                        starting.add(pool.start())
            for worker in list(room):
                given = queue.take(worker, room[worker])
                if given:
                    del room[worker]
                    pool.give(worker, given)
    finally:
        pool.close()
