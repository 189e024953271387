"""Processes that are ended in time, with all that they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Between looks at a process; and for the ends of those that were killed.
_LOOK_SECONDS, _PATIENCE = 0.05, 2.0
_PROC = Path("/proc")


def started(
    command: Sequence[str], log: IO[str], environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """A process in a session of its own, all of whose output goes to an open file."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=None if environment is None else dict(environment),
        start_new_session=True,
        text=True,
    )


def waited(process: subprocess.Popen[str], end: float) -> int | None:
    """The exit code, or None if the process had to be ended, at `end` by `time.monotonic()`."""
    try:
        while process.poll() is None:
            if time.monotonic() >= end:
                return None
            time.sleep(_LOOK_SECONDS)
        return process.returncode
    finally:
        finish(process)


def finish(process: subprocess.Popen[str]) -> None:
    """End a process and all that it started and that still runs; wait until none does."""
    known = family(process.pid)
    # First, so that it neither sees the others end nor starts more of them.
    if process.poll() is None:
        process.kill()
    known = sorted({*known, *family(process.pid)})
    for pid in known:
        # It may have ended by itself meanwhile.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    # What a card holds for them is free only then.
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and any(map(is_running, known)):
        time.sleep(_LOOK_SECONDS)


def is_running(pid: int) -> bool:
    """Whether a process is there that has not ended; one that has may wait for its parent to notice."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def family(pid: int) -> list[int]:
    """The processes that descend from `pid`, or are in its session, without itself; none where there is no /proc."""
    parents: dict[int, int] = {}
    found: set[int] = set()
    for stat in _PROC.glob("[0-9]*/stat"):
        # It may have ended meanwhile. The name in brackets may contain anything.
        with contextlib.suppress(OSError, ValueError):
            _, parent, _, session = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:4]
            number = int(stat.parent.name)
            parents[number] = int(parent)
            if int(session) == pid:
                found.add(number)
    while True:
        more = {child for child, parent in parents.items() if parent in found or parent == pid} - found
        if not more:
            return sorted(found - {pid, os.getpid()})
        found |= more


def end_with_parent() -> None:
    """From now on, a thread ends this process and its family when the process that started it is gone."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        for pid in family(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
