"""The loop in the actors of a Ray cluster, or of a Ray started on this machine for the run.

Ray Core only: Ray Data hung once its actors held every slot.
"""

from __future__ import annotations

import logging
import os
import pickle
import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, MissingExtraError, UsageError
from holdfast.plain import is_count
from holdfast.sampling.batches import found_for
from holdfast.sampling.devices import device_name
from holdfast.sampling.engines.base import Engine
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.engines.pool import Lost, WorkerPool, drive, packed
from holdfast.sampling.engines.ray_failures import (
    describe_failure,
    explain_join_failure,
    explain_ray_failure,
    explain_start_failure,
    kill_actor,
    lost_head,
    print_ray_messages,
    ray_log_hidden,
)
from holdfast.sampling.engines.ray_head import Head, check_address
from holdfast.sampling.engines.stopped import (
    SILENT_SECONDS,
    STOPPED_SECONDS,
    Silence,
    Stopwatch,
    all_stopped,
    is_stopped,
    was_stopped,
)
from holdfast.sampling.engines.worker import Inbox, Order, work

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from holdfast.noises.base import Noise
    from holdfast.sampling.engines.base import Base
    from holdfast.sampling.engines.worker import Message
    from holdfast.sampling.procedure import Procedure, Votes
    from holdfast.types import Example

# An actor answers after this many seconds even without messages.
_PATIENCE_SECONDS = 1.0
# Longest wait for a first actor, or for another one after all are lost.
_MOST_SILENCE_SECONDS = 600.0
_MOST_WORKERS = 100_000
# Ray's shared memory on this machine: room for the order and for examples in transit.
_STORE_BYTES = 512 * 2**20


@dataclass(frozen=True)
class RayEngine(Engine):
    """Actors of a Ray cluster, each with `threads` processor cores or one GPU.

    Args:
        workers: number of actors; None for as many as the cluster has cores (or GPUs) for.
        device: "cpu" or "cuda".
        batch_size: noisy copies per batch; with None each actor searches for the fastest number during the work.
        threads: processor threads, and cores, of each actor.
        address: of a running cluster, as `ray.init` takes it: "auto", "HOST:PORT" or "ray://HOST:PORT"; None to start
            Ray on this machine and end it afterwards. If the calling process already has a Ray session, that session is
            used as it is.

    Raises:
        UsageError: a number is out of range, or an unknown device.
        MissingExtraError: Ray is not installed.
    """

    workers: int | None = None
    device: str = "cpu"
    batch_size: int | None = None
    threads: int = 1
    address: str | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and not is_count(self.workers):
            raise UsageError(f"the number of Ray workers is at least 1, a whole number; got {self.workers!r}")
        if self.workers is not None and self.workers > _MOST_WORKERS:
            raise UsageError(
                f"the number of Ray workers is {_MOST_WORKERS:,} at most, got {self.workers:,}; take fewer"
            )
        object.__setattr__(self, "device", device_name(self.device))
        if self.device not in ("cpu", "cuda"):
            raise UsageError(
                f"with the engine ray the device is 'cpu' or 'cuda' (Ray deals the GPUs), got {self.device!r}"
            )
        self._local()
        _ray()

    def run(
        self,
        classifier: Base,
        noise: Noise,
        procedure: Procedure,
        seed: int,
        examples: Iterable[Example],
        on_batch: Callable[[int], None] | None = None,
    ) -> Generator[tuple[Example, Votes], None, None]:
        """See `Engine.run`. An actor that dies is replaced, and its unfinished examples are computed again."""
        # Ray's own pickle: unlike a spawned process, an actor does not import the main script.
        found = found_for(classifier)
        order = packed(Order(classifier, noise, procedure, seed, self._local(), dict(found)), _ray().cloudpickle.dumps)
        with explain_ray_failure(self.address):
            pool = _Actors(self, order)
            try:
                yield from drive(pool, pool.size, examples, on_batch, found)
            finally:
                pool.close()

    def settings(self) -> dict[str, Any]:
        """For the session log. The address is left out: it says where the work ran, not how."""
        name = "ray" if self.workers is None else f"ray:{self.workers}"
        return {**self._local().settings(), "engine": name}

    def _local(self) -> LocalEngine:
        """An actor's engine, on a device that need not be on this machine."""
        return LocalEngine(self.device, self.batch_size, self.threads)


class _Actors(WorkerPool):
    """Actors. One pending call in each waits for its messages; Ray reports a lost actor."""

    advice = "Is Holdfast installed on every node, in the same version as here? The logs are in Ray's session folder"

    def __init__(self, engine: RayEngine, order: bytes) -> None:
        self._ray = _ray()
        self._engine = engine
        self._ours = not self._ray.is_initialized()
        if self._ours:
            self._open()
            print_ray_messages(False)
        try:
            self.size = self._count_actors()
            self._order = self._ray.put(order)
        except BaseException:
            self.close()
            raise
        gpus = {"num_gpus": 1} if engine.device == "cuda" else {}
        # One call waits for messages while another brings examples. Lost work is handed out again by `WorkQueue`: Ray
        # would repeat a call without knowing which results had arrived.
        self._actor = self._ray.remote(_Actor).options(
            num_cpus=engine.threads, max_restarts=0, max_task_retries=0, max_concurrency=4, **gpus
        )
        self._actors: list[Any] = []
        self._news: dict[Any, int] = {}
        # Node and process of each worker that has sent a message.
        self._where: dict[int, Location] = {}
        self._node = self._ray.get_runtime_context().get_node_id()
        # Ray ends this process, without a message, a minute after the head is lost.
        self._head = Head("" if "://" in (engine.address or "") else self._ray.get_runtime_context().gcs_address)
        self._silence = Silence()
        self._stopped = Stopwatch()
        self._heard = time.monotonic()

    def start(self) -> int:
        number = len(self._actors)
        self._actors.append(self._actor.remote(self._order))
        self._listen(number)
        return number

    def give(self, worker: int, examples: list[Example]) -> None:
        self._actors[worker].put.remote(pickle.dumps(examples))

    def messages(self) -> Iterator[tuple[int, Message | Lost]]:
        ready, _ = self._ray.wait(list(self._news), num_returns=1, timeout=_PATIENCE_SECONDS)
        for each in ready:
            worker = self._news.pop(each)
            try:
                news = pickle.loads(self._ray.get(each))
            except self._ray.exceptions.RayError as error:
                self._end_actor(worker)
                yield worker, Lost(describe_failure(error))
                continue
            self._listen(worker)
            self._heard = time.monotonic()
            self._silence.heard(worker)
            for message in news:
                if isinstance(message, Location):
                    self._where[worker] = message
                else:
                    yield worker, message
        yield from self._end_stopped()
        if time.monotonic() - self._heard > _MOST_SILENCE_SECONDS:
            raise HoldfastError(
                f"no Ray actor sent a message for {_MOST_SILENCE_SECONDS:.0f} s; each needs {self._needs()}, and the "
                f"cluster has {self._ray.available_resources()} free. `ray status` shows what it is doing"
            )

    def close(self) -> None:
        for worker in range(len(getattr(self, "_actors", []))):
            if self._ray.is_initialized():
                self._end_actor(worker)
        self._actors = []
        if self._ours and self._ray.is_initialized():
            self._ray.shutdown()
        if self._ours:
            print_ray_messages(True)

    def _open(self) -> None:
        """Join a cluster, or start one here, without output or usage reports."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
        address = self._engine.address
        if address is None:
            cores = max(os.cpu_count() or 1, (self._engine.workers or 1) * self._engine.threads)
            with explain_start_failure(), ray_log_hidden():
                self._ray.init(
                    address="local", num_cpus=cores, include_dashboard=False, object_store_memory=_STORE_BYTES, **quiet
                )
            return
        path = os.environ.get("PYTHONPATH")
        environment = {"env_vars": {"PYTHONPATH": path}} if path else None
        with explain_join_failure(address), ray_log_hidden():
            check_address(address)
            self._ray.init(address=address, runtime_env=environment, **quiet)

    def _count_actors(self) -> int:
        if self._engine.workers is not None:
            return self._engine.workers
        resources = self._ray.cluster_resources()
        actors = int(resources.get("CPU", 0) // self._engine.threads)
        if self._engine.device == "cuda":
            actors = min(actors, int(resources.get("GPU", 0)))
        if actors < 1:
            raise UsageError(f"a Ray worker needs {self._needs()}; the cluster has {resources}")
        return actors

    def _end_stopped(self) -> Iterator[tuple[int, Lost]]:
        """End actors that were stopped, or silent, for too long.

        Raises:
            HoldfastError: all actors were, or the head of the cluster is lost.
        """
        if not self._stopped.is_time():
            return
        if self._head.is_lost():
            raise HoldfastError(lost_head(self._engine.address))
        actors = set(self._news.values())
        working = actors & set(self._where)
        here = {worker for worker in working if self._where[worker].node == self._node}
        stopped = {worker for worker in here if is_stopped(self._where[worker].process)}
        # Of actors on other machines, only silence is known.
        elsewhere = working - here
        late = {**self._stopped.late(stopped), **self._silence.late(elsewhere)}
        if late and len(late) == len(actors):
            raise HoldfastError(all_stopped(len(late)))
        others = actors - stopped - set(late)
        for worker, due in late.items():
            # If somebody stopped all of them, not all are late at once: another one must have worked since.
            if not any(other not in elsewhere or self._silence.heard_since(other, due) for other in others):
                continue
            self._news = {news: each for news, each in self._news.items() if each != worker}
            self._end_actor(worker)
            yield worker, Lost(was_stopped(STOPPED_SECONDS if worker in here else SILENT_SECONDS))

    def _end_actor(self, worker: int) -> None:
        """Have Ray end an actor. A stopped one does not notice: if it is on this machine, we end its process."""
        self._ray.kill(self._actors[worker])
        place = self._where.pop(worker, None)
        self._stopped.forget(worker)
        if place is not None and place.node == self._node:
            kill_actor(place.process)

    def _needs(self) -> str:
        return f"{self._engine.threads} cores" + (" and a GPU" if self._engine.device == "cuda" else "")

    def _listen(self, worker: int) -> None:
        self._news[self._actors[worker].news.remote()] = worker


@dataclass(frozen=True)
class Location:
    """Where a worker runs: Ray's name of the node, and the process number there."""

    node: str
    process: int


class _Actor:
    """A worker in an actor: a thread works; calls bring examples and fetch messages."""

    def __init__(self, order: bytes) -> None:
        self._outbox: SimpleQueue[Message | Location] = SimpleQueue()
        self._outbox.put(Location(_ray().get_runtime_context().get_node_id(), os.getpid()))
        self._inbox = Inbox(self._outbox.put)
        Thread(target=work, args=(order, self._inbox, self._outbox.put), daemon=True).start()

    def put(self, examples: bytes) -> None:
        """Take examples."""
        self._inbox.put(pickle.loads(examples))

    def news(self) -> bytes:
        """The messages since the last call; waits a while for the first one."""
        messages: list[Message | Location] = []
        try:
            messages.append(self._outbox.get(timeout=_PATIENCE_SECONDS))
            while True:
                messages.append(self._outbox.get_nowait())
        except Empty:
            return pickle.dumps(messages)


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise MissingExtraError("ray", "ray", "The engine ray") from None
    return ray
