"""The loop in several processes of this machine, each with its own base classifier."""

from __future__ import annotations

import os
import pickle
import signal
import weakref
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

import torch

from holdfast.budgets import check_memory
from holdfast.errors import HoldfastError, UsageError
from holdfast.plain import is_count
from holdfast.sampling.batches import found_for
from holdfast.sampling.devices import device_name, torch_device
from holdfast.sampling.engines.base import Engine
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.engines.pool import Lost, WorkerPool, drive, packed
from holdfast.sampling.engines.stopped import LOOK_SECONDS, STOPPED_SECONDS, Stopwatch, all_stopped, was_stopped
from holdfast.sampling.engines.worker import Inbox, Order, Ready, work
from holdfast.sampling.engines.worker_process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from multiprocessing.connection import Connection

    from holdfast.noises.base import Noise
    from holdfast.sampling.engines.base import Base
    from holdfast.sampling.engines.worker import Message
    from holdfast.sampling.procedure import Procedure, Votes
    from holdfast.types import Example


# Least memory of a process: torch alone.
_WORKER_BYTES = 150 * 10**6


@dataclass(frozen=True)
class ProcessesEngine(Engine):
    """Processes of this machine.

    A script that uses it must guard its main code with `if __name__ == "__main__":`, since each process imports it.

    Args:
        workers: number of processes.
        device: "cpu"; "cuda" gives the GPUs to the processes in turn; "cuda:N" is one GPU for all.
        batch_size: noisy copies per batch; with None each process searches for the fastest number during the work.
        threads: processor threads of each process.

    Raises:
        UsageError: not the name of a device, a number is out of range, or memory does not suffice for the processes;
            in `run`, the device is not present.
    """

    workers: int
    device: str = "cpu"
    batch_size: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if not is_count(self.workers):
            raise UsageError(f"the number of processes is at least 1, a whole number; got {self.workers!r}")
        check_memory(
            self.workers * _WORKER_BYTES,
            f"the engine processes:{self.workers}",
            UsageError,
            "take as many processes as there are processor cores, or fewer",
        )
        object.__setattr__(self, "device", device_name(self.device))
        self._local(0)

    def run(
        self,
        classifier: Base,
        noise: Noise,
        procedure: Procedure,
        seed: int,
        examples: Iterable[Example],
        on_batch: Callable[[int], None] | None = None,
    ) -> Generator[tuple[Example, Votes], None, None]:
        """See `Engine.run`. A process that dies is replaced, and its unfinished examples are computed again."""
        torch_device(self.device)
        found = found_for(classifier)
        order = Order(classifier, noise, procedure, seed, self._local(0), dict(found))
        devices = max(1, torch.cuda.device_count()) if self.device == "cuda" else 1
        orders = [packed(replace(order, engine=self._local(number))) for number in range(min(devices, self.workers))]
        return drive(_Processes(orders), self.workers, examples, on_batch, found)

    def settings(self) -> dict[str, Any]:
        """For the session log."""
        return {**self._local(0).settings(), "engine": f"processes:{self.workers}"}

    def _local(self, number: int) -> LocalEngine:
        """The engine of the `number`-th process among those with different devices."""
        several = self.device == "cuda" and torch.cuda.device_count() > 1
        return LocalEngine(f"cuda:{number}" if several else self.device, self.batch_size, self.threads)


class _Processes(WorkerPool):
    """Processes of this machine. A process ends when its end of the pipe says that the driver has ended."""

    advice = (
        'A script that uses processes guards its work by `if __name__ == "__main__":`; a machine out of memory needs '
        "fewer of them"
    )

    def __init__(self, orders: list[bytes]) -> None:
        self._orders = orders
        self._all: list[WorkerProcess] = []
        self._working: dict[int, WorkerProcess] = {}
        self._heard: SimpleQueue[tuple[int, Message | None]] = SimpleQueue()
        self._stopped = Stopwatch()
        # In case nobody calls `close`: Python exits, or drops the generator that drives the pool.
        self._end = weakref.finalize(self, _end, self._all)

    def start(self) -> int:
        number = len(self._all)
        heard = self._heard
        worker = WorkerProcess(f"worker {number}", lambda message: heard.put((number, message)))
        self._all.append(worker)
        self._working[number] = worker
        # A pipe holds little, and a model may be large: a thread sends it.
        worker.send(self._orders[number % len(self._orders)])
        return number

    def give(self, worker: int, examples: list[Example]) -> None:
        self._working[worker].send(pickle.dumps(examples))

    def messages(self) -> Iterator[tuple[int, Message | Lost]]:
        # Only messages that are already here: examples are handed out in between.
        for _ in range(max(1, self._heard.qsize())):
            try:
                number, message = self._heard.get(timeout=LOOK_SECONDS)
            except Empty:
                break
            worker = self._working.get(number)
            if worker is not None and message is None:
                yield number, self._end_worker(number)
            elif worker is not None and message is not None:
                if isinstance(message, Ready):
                    worker.mark_ready()
                yield number, message
        yield from self._end_stopped()

    def close(self) -> None:
        self._end()
        self._working.clear()

    def _end_stopped(self) -> Iterator[tuple[int, Lost]]:
        """End workers that were stopped for too long.

        Raises:
            HoldfastError: all workers were.
        """
        if not self._stopped.is_time():
            return
        stopped = {number for number, worker in self._working.items() if worker.is_stopped}
        late = self._stopped.late(stopped)
        if late and len(stopped) == len(self._working):
            # Somebody stopped all of them on purpose: none is replaced.
            if len(late) == len(stopped):
                raise HoldfastError(all_stopped(len(late)))
            return
        for number in late:
            self._working[number].kill()
            yield number, self._end_worker(number, stopped=True)

    def _end_worker(self, number: int, *, stopped: bool = False) -> Lost:
        """End a worker whose pipe has ended, or that is stopped."""
        worker = self._working.pop(number)
        self._stopped.forget(number)
        worker.kill()
        how = worker.wait()
        return Lost(was_stopped(STOPPED_SECONDS) if stopped else how)


def _end(workers: list[WorkerProcess]) -> None:
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.wait()


def serve(pipe: Connection) -> None:
    """The main function of a worker process: read the order, then examples, until the pipe ends."""
    # The loop and other threads send messages.
    sending = Lock()

    def send(message: Message) -> None:
        # A failure means that the driver has ended.
        try:
            with sending:
                pipe.send(message)
        except OSError:
            os._exit(1)

    inbox = Inbox(send)

    def listen() -> None:
        # In a thread, so that the driver never waits for this process to read, and the end of the driver is noticed
        # during a batch. There is nothing to save, so the process may end at once.
        try:
            while True:
                inbox.put(pickle.loads(pipe.recv_bytes()))
        except (EOFError, OSError):
            os._exit(1)

    try:
        order = pipe.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)
    Thread(target=listen, daemon=True).start()
    work(order, inbox, send)
    # The exception was sent; the driver ends this process after reading it.
    signal.pause()
