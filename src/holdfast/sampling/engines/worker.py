"""The work of a worker in any kind of process: examples in, votes out, one loop for its whole life."""

from __future__ import annotations

import pickle
import time
import traceback
import warnings
from collections import deque
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, first_line
from holdfast.memory import is_out_of_memory
from holdfast.sampling.batches import BatchSize, Key, found_for
from holdfast.sampling.devices import torch_device
from holdfast.sampling.engines.base import Base, built
from holdfast.sampling.engines.local import LocalEngine
from holdfast.visible import visible_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Self

    from holdfast.noises.base import Noise
    from holdfast.sampling.counts import MonteCarlo
    from holdfast.sampling.procedure import Procedure, Votes
    from holdfast.types import Example

_MEMORY = (
    "Use fewer workers or smaller batches, or a machine with more. Finished examples are kept; the same command goes "
    "on from there"
)
# A delivery of examples should keep a worker busy for a time in this range, in seconds; this many come at most.
_SHORT, _LONG = 0.1, 0.5
_MOST_EXAMPLES = 64
# Seconds between reports of samples.
_REPORT_SECONDS = 0.1
# Exceptions that their message describes fully. Others may not survive pickling: their name is sent.
_PLAIN = (ValueError, TypeError, RuntimeError, NotImplementedError, AttributeError, ImportError, AssertionError)


@dataclass(frozen=True)
class Order:
    """All that a worker needs before the first example."""

    classifier: Base
    noise: Noise
    procedure: Procedure
    seed: int
    engine: LocalEngine
    # The fastest batch sizes found for this base classifier in earlier work.
    found: dict[Key, BatchSize] = field(default_factory=dict)


@dataclass(frozen=True)
class Ready:
    """The worker has its base classifier."""


@dataclass(frozen=True)
class Wants:
    """The worker has room for `count` examples."""

    count: int


@dataclass(frozen=True)
class Sampled:
    """The worker drew `count` samples since its last message of this kind."""

    count: int


@dataclass(frozen=True)
class Done:
    """An example is finished."""

    index: int
    votes: Votes


@dataclass(frozen=True)
class Learned:
    """The worker has found the fastest batch size."""

    key: Key
    batches: BatchSize


@dataclass(frozen=True)
class Warned:
    """A warning to repeat in the process that ordered the work."""

    text: str


@dataclass(frozen=True)
class Failed:
    """An exception ended the worker. Not every exception can be pickled, so its parts are sent."""

    kind: type[Exception]
    lines: tuple[str, ...]
    trace: str

    @classmethod
    def of(cls, error: Exception) -> Failed:
        """The message for `error`."""
        trace = "".join(traceback.format_exception(error))
        if isinstance(error, HoldfastError):
            return cls(type(error), error.lines, trace)
        if is_out_of_memory(error):
            message = f" ({first_line(error)})" if first_line(error) else ""
            return cls(HoldfastError, (f"a worker has not enough memory{message}. {_MEMORY}",), trace)
        if type(error) in _PLAIN:
            return cls(type(error), (str(error),), trace)
        return cls(HoldfastError, (f"a worker failed with {type(error).__name__}: {error}",), trace)

    def error(self) -> Exception:
        """The exception to raise in the process that ordered the work."""
        # Not by calling the class: some exceptions take other arguments than their message.
        error = self.kind.__new__(self.kind)
        Exception.__init__(error, *self.lines)
        error.__cause__ = RuntimeError(visible_lines(f"in a worker:\n{self.trace}"))
        return error


Message = Ready | Wants | Sampled | Done | Learned | Warned | Failed


class Inbox:
    """The examples of a worker, as an iterator that requests more in time and never keeps a loop waiting.

    While examples are in progress it ends if no other has arrived, and continues after the next delivery: the loop
    asks again as soon as a batch has room. It waits only if there is nothing else to do.
    """

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._arrived: SimpleQueue[list[Example]] = SimpleQueue()
        self._at_hand: deque[Example] = deque()
        self._requested = False
        self._requested_at = time.monotonic()
        self._request_size = 1
        self.under_way = 0

    def put(self, examples: list[Example]) -> None:
        """Deliver examples, from any thread."""
        self._arrived.put(examples)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Example:
        self._receive()
        if not self._at_hand:
            self._request(starved=self.under_way > 0)
            if self.under_way:
                raise StopIteration
            self._accept(self._arrived.get())
        self.under_way += 1
        example = self._at_hand.popleft()
        if not self._at_hand:
            self._request(starved=False)
        return example

    def give_back(self, example: Example) -> None:
        """Undo the last `next`."""
        self._at_hand.appendleft(example)
        self.under_way -= 1

    def _receive(self) -> None:
        try:
            while True:
                self._accept(self._arrived.get_nowait())
        except Empty:
            return

    def _accept(self, examples: list[Example]) -> None:
        self._at_hand.extend(examples)
        self._requested = False

    def _request(self, starved: bool) -> None:
        """Request examples for a short time: a longer supply would keep them from idle workers."""
        if self._requested:
            return
        now = time.monotonic()
        lasted, self._requested_at = now - self._requested_at, now
        if starved and lasted < _SHORT:
            self._request_size = min(2 * self._request_size, _MOST_EXAMPLES)
        elif lasted > _LONG:
            self._request_size = max(1, self._request_size // 2)
        self._requested = True
        self._send(Wants(self._request_size))


class _Tally:
    """Reports samples in groups."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._count = 0
        self._last = time.monotonic()

    def add(self, samples: int) -> None:
        self._count += samples
        if time.monotonic() - self._last > _REPORT_SECONDS:
            self.report()

    def report(self) -> None:
        if self._count:
            self._send(Sampled(self._count))
        self._count, self._last = 0, time.monotonic()


def work(content: bytes, inbox: Inbox, send: Callable[[Message], None]) -> None:
    """Serve a pickled order until the process ends or an exception is reported."""
    warnings.showwarning = lambda message, *_: send(Warned(str(message)))
    try:
        order: Order = pickle.loads(content)
        classifier = built(order.classifier, torch_device(order.engine.device))
        found_for(classifier).update(order.found)
        send(Ready())
        tally = _Tally(send)
        first = next(inbox)
        loop = order.engine.loop(classifier, order.noise, order.procedure, order.seed, first, tally.add)
        inbox.give_back(first)
        announced = loop.batches.settled
        for example, votes in _forever(loop, inbox):
            inbox.under_way -= 1
            tally.report()
            if loop.batches.settled and not announced:
                # Before the last `Done`, after which the driver may read no more.
                send(Learned(order.engine.key(order.noise, first.x.shape), loop.batches))
                announced = True
            send(Done(example.index, votes))
    except Exception as error:
        send(Failed.of(error))


def _forever(loop: MonteCarlo, inbox: Inbox) -> Iterator[tuple[Example, Votes]]:
    """Run the loop again whenever it finds the inbox empty with nothing in progress."""
    while True:
        yield from loop.run(inbox)
