"""The loop in several processes of this machine, each with its own base classifier."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import TYPE_CHECKING, Any

import torch

from holdfast.errors import UsageError
from holdfast.plain import is_count
from holdfast.process import interrupts_held_back
from holdfast.sampling.batches import found_for
from holdfast.sampling.engines.base import Engine
from holdfast.sampling.engines.crew import Crew, Lost, drive, packed
from holdfast.sampling.engines.local import LocalEngine, device_name, torch_device
from holdfast.sampling.engines.worker import Inbox, Order, work

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from multiprocessing.context import SpawnProcess

    from holdfast.noises.base import Noise
    from holdfast.sampling.engines.base import Base
    from holdfast.sampling.engines.worker import Message
    from holdfast.sampling.procedure import Procedure, Votes
    from holdfast.types import Example


@dataclass(frozen=True)
class ProcessesEngine(Engine):
    """Processes of this machine.

    A script that uses it guards its own work by `if __name__ == "__main__":`, since each process imports the script.

    Args:
        workers: how many processes.
        device: "cpu"; "cuda" gives the GPUs to the processes in turn; "cuda:N" is one GPU for all.
        batch_size: noisy copies a batch, or None: each process finds out which size is fastest while it works.
        threads: processor threads of each process.

    Raises:
        UsageError: not the name of a device, or a number is out of range; when it runs, the device is not there.
    """

    workers: int
    device: str = "cpu"
    batch_size: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if not is_count(self.workers):
            raise UsageError(f"the number of processes is at least 1, a whole number; got {self.workers!r}")
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
        """See `Engine.run`. A process that dies is replaced, and what it had in hand is computed again."""
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
        """What a process runs, the `number`-th of those that have different devices."""
        several = self.device == "cuda" and torch.cuda.device_count() > 1
        return LocalEngine(f"cuda:{number}" if several else self.device, self.batch_size, self.threads)


class _Processes(Crew):
    """Spawned processes, each with a pipe. A process ends when its end of the pipe says that the driver is gone."""

    advice = (
        "Its own message stands above. A script that uses processes guards its work by "
        '`if __name__ == "__main__":`; a machine out of memory needs fewer of them'
    )

    def __init__(self, orders: list[bytes]) -> None:
        self._orders = orders
        self._context = multiprocessing.get_context("spawn")
        self._processes: list[SpawnProcess] = []
        self._pipes: dict[int, Connection] = {}

    def start(self) -> int:
        number = len(self._processes)
        here, there = self._context.Pipe()
        # Daemons are ended with the driver by multiprocessing itself, should nobody call `close`.
        process = self._context.Process(target=_serve, args=(there,), daemon=True, name=f"holdfast-worker-{number}")
        with interrupts_held_back():
            process.start()
        there.close()
        self._processes.append(process)
        self._pipes[number] = here
        return number

    def give(self, worker: int, examples: list[Example]) -> None:
        self._send(worker, pickle.dumps(examples))

    def messages(self) -> Iterator[tuple[int, Message | Lost]]:
        ready = wait(list(self._pipes.values()))
        for worker, pipe in list(self._pipes.items()):
            if pipe in ready:
                try:
                    message: Message | Lost | None = pipe.recv()
                except (EOFError, OSError):
                    message = self._gone(worker)
                if message is None:
                    self._send(worker, self._orders[worker % len(self._orders)])
                else:
                    yield worker, message

    def close(self) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()
        for pipe in self._pipes.values():
            pipe.close()
        self._pipes.clear()

    def _send(self, worker: int, content: bytes) -> None:
        # Of a process that is gone, the last words are still in the pipe, and after them its end.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._pipes[worker].send_bytes(content)

    def _gone(self, worker: int) -> Lost:
        """The pipe has ended: so has the process, or it will not be heard any more."""
        self._pipes.pop(worker).close()
        process = self._processes[worker]
        process.join(1.0)
        process.kill()
        process.join()
        code = process.exitcode or 0
        return Lost(f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code}")


def _serve(pipe: Connection) -> None:
    """The life of a process: the order, then examples, until the pipe ends."""
    # Only now is somebody there to read it: while a model is sent to one process, the others should be starting.
    pipe.send(None)
    order = pipe.recv_bytes()
    inbox = Inbox(pipe.send)

    def listen() -> None:
        # A thread of its own: the driver never waits for a process to take what it sends, and its end is noticed while
        # a batch is computed. Nothing is to be saved, so there is no way out more gentle than this one.
        try:
            while True:
                inbox.put(pickle.loads(pipe.recv_bytes()))
        except (EOFError, OSError):
            os._exit(1)

    Thread(target=listen, daemon=True).start()
    work(order, inbox, pipe.send)
    # The exception was sent; the driver ends this process when it has read that.
    signal.pause()
