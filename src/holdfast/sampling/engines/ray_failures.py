"""Explanations of Ray's failures, and what to do: Ray's own texts are tracebacks of its internals."""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, first_line
from holdfast.visible import visible_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

_ON = "Finished examples are kept; the same command goes on from there"
_LOGS = "Ray's logs are in its session folder, /tmp/ray/session_latest/logs where nobody has set another"
_STANDARD_ERROR = 2
# A log line of Ray's compiled parts, or of its Python parts.
_LOGGED = re.compile(
    rb"(\x1b\[\d+m)?\[\d{4}-\d\d-\d\d |(\x1b\[\d+m)?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+\t(INFO|WARNING|ERROR)"
)
# By the names of Ray's exceptions, since versions have different ones; an exception's nearest base class decides.
_MEANINGS = {
    "OutOfMemoryError": "Ray ended it, since the memory of its machine was running out",
    "NodeDiedError": "its node was lost",
    "ActorUnschedulableError": "the cluster has no place for it",
    "ActorUnavailableError": "its node cannot be reached",
    "RayActorError": "its process died: it was killed, ran out of memory, or its node was lost",
    "WorkerCrashedError": "its process died: it was killed, or ran out of memory",
    "RuntimeEnvSetupError": "its node could not set up the environment",
    "ObjectStoreFullError": "Ray's object store is full",
    "OutOfDiskError": "the disk that Ray's object store spills to is full",
    "OwnerDiedError": "the process that held its data is gone",
    "ObjectLostError": "its data were lost with a node",
    "GetTimeoutError": "Ray did not answer in time",
}


def describe_failure(error: BaseException) -> str:
    """What happened to an actor, in plain words."""
    if "creation task" in str(error):
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return f"it could not be made: {lines[-1]}"
    for kind in type(error).__mro__:
        if kind.__name__ in _MEANINGS:
            return _MEANINGS[kind.__name__]
    return f"{type(error).__name__}: {first_line(_inner(error))}"


@contextmanager
def explain_ray_failure(address: str | None) -> Iterator[None]:
    """Raise HoldfastError with an explanation instead of Ray's own errors."""
    import ray.exceptions

    try:
        yield
    except ray.exceptions.RayError as error:
        where = "on this machine" if address is None else f"at {address!r}"
        raise HoldfastError(f"Ray {where} failed: {describe_failure(error)}. {_advice(error)}. {_ON}") from error


@contextmanager
def explain_start_failure() -> Iterator[None]:
    """Raise HoldfastError that says why Ray cannot be started on this machine."""
    try:
        yield
    except Exception as error:
        raise HoldfastError(
            f"Ray could not be started on this machine ({type(error).__name__}: {first_line(error)}). It needs some "
            "hundred megabytes of memory, room in /dev/shm and /tmp, and ports that it may open; the engine "
            f"processes:N needs none of that. {_LOGS}"
        ) from error


@contextmanager
def explain_join_failure(address: str) -> Iterator[None]:
    """Raise HoldfastError that says why a cluster cannot be joined."""
    try:
        yield
    except Exception as error:
        message = " ".join(str(error).split())
        if "ersion mismatch" in message:
            raise HoldfastError(
                f"the Ray cluster at {address!r} has another version of Ray or of Python than this process ({message}"
                "). Install the same on all of them"
            ) from error
        raise HoldfastError(
            f"no Ray cluster answers at {address!r} ({first_line(error) or type(error).__name__}). `ray start --head` "
            "starts one; without an address Holdfast starts Ray on this machine"
        ) from error


@contextmanager
def ray_log_hidden() -> Iterator[None]:
    """Hide what Ray's compiled parts log while Ray starts; output of others appears afterwards."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as captured:
        terminal = os.dup(_STANDARD_ERROR)
        os.dup2(captured.fileno(), _STANDARD_ERROR)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal, _STANDARD_ERROR)
            os.close(terminal)
            captured.seek(0)
            others = [line for line in captured.read().splitlines(keepends=True) if not _LOGGED.match(line)]
            sys.stderr.write(visible_lines(b"".join(others).decode("utf-8", "surrogateescape")))


def print_ray_messages(allowed: bool) -> None:
    """Let Ray print the messages of its daemons ("A worker died ...") to standard output, or keep it from it.

    `log_to_driver=False` does not: a thread prints them while the driver is connected, in the middle of a command's
    JSON. Ray has no public switch for them.
    """
    import ray._private.worker

    ray._private.worker._worker_logs_enabled = allowed


def lost_head(address: str | None) -> str:
    """The message for a cluster whose head does not answer any more."""
    where = "that was started for this" if address is None else f"at {address!r}"
    return (
        f"the head of the Ray cluster {where} does not answer any more: it was ended, its machine is gone, or memory "
        f"ran out. Start a cluster and repeat the command. {_ON}. {_LOGS}"
    )


def kill_actor(process: int) -> None:
    """End the process of an actor on this machine, if the number still belongs to one."""
    with suppress(OSError):
        # Ray names its processes so. The number may belong to another process by now.
        if Path(f"/proc/{process}/cmdline").read_bytes().startswith(b"ray::"):
            os.kill(process, signal.SIGKILL)


def _advice(error: BaseException) -> str:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"ObjectStoreFullError", "OutOfDiskError"}:
        return "Give Ray more room (`ray start --object-store-memory`), free /dev/shm and /tmp, or use fewer workers"
    return f"`ray status` shows whether the cluster is up. {_LOGS}"


def _inner(error: BaseException) -> Exception:
    """The exception that Ray wrapped, if it is one."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, Exception) else Exception(str(error))
