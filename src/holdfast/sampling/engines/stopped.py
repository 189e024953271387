"""Workers that exist but do nothing, because somebody stopped them: how long to wait for them."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# A worker stopped for this long is replaced; if all are, that is an error.
STOPPED_SECONDS = 30.0
# The same for a silent worker on another machine; longer if workers were silent for longer before.
SILENT_SECONDS = 120.0
_LONGER = 10.0
# Seconds between checks of the workers.
LOOK_SECONDS = 1.0
# A longer time between checks means that this process was stopped or asleep: that time does not count.
_ASLEEP_SECONDS = 5.0


class Stopwatch:
    """How long workers have been stopped while this process was awake."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked = clock()
        self._since: dict[int, float] = {}

    def is_time(self) -> bool:
        """Whether to check again."""
        return self._clock() - self._looked >= LOOK_SECONDS

    def late(self, stopped: set[int]) -> dict[int, float]:
        """The workers that are stopped now and have been for too long, and the time since when it is too long."""
        now = self._clock()
        if now - self._looked > _ASLEEP_SECONDS:
            self._since.clear()
        self._looked = now
        self._since = {worker: self._since.get(worker, now) for worker in stopped}
        due = {worker: since + STOPPED_SECONDS for worker, since in sorted(self._since.items())}
        return {worker: time for worker, time in due.items() if now >= time}

    def forget(self, worker: int) -> None:
        """Drop a worker that has ended."""
        self._since.pop(worker, None)


class Silence:
    """How long workers have sent nothing, though they should every second; for workers that cannot be inspected."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked = clock()
        self._heard: dict[int, float] = {}
        self._longest = 0.0

    def heard(self, worker: int) -> None:
        """Note a message. A worker may hold Python's lock for long without being stopped: the limit adapts to that."""
        now = self._clock()
        self._longest = max(self._longest, now - self._heard.get(worker, now))
        self._heard[worker] = now

    def heard_since(self, worker: int, time: float) -> bool:
        """Whether a worker has sent a message after `time`."""
        return self._heard.get(worker, time) > time

    def late(self, workers: set[int]) -> dict[int, float]:
        """Those of `workers` that have been silent for too long, and the time since when it is too long."""
        now = self._clock()
        if now - self._looked > _ASLEEP_SECONDS:
            # Messages may have come meanwhile.
            self._heard = dict.fromkeys(self._heard, now)
        self._looked = now
        limit = max(SILENT_SECONDS, _LONGER * self._longest)
        due = {worker: self._heard.get(worker, now) + limit for worker in sorted(workers)}
        return {worker: time for worker, time in due.items() if now > time}


def is_stopped(process: int) -> bool:
    """Whether a process of this machine exists and does not run, because of SIGSTOP or Ctrl-Z."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] == "T"
    except OSError:
        # Not Linux, or the process has ended.
        command = ["ps", "-o", "state=", "-p", str(process)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()[:1] == "T"


def was_stopped(seconds: float) -> str:
    """The message for one stopped worker among several."""
    return f"it was stopped, as by SIGSTOP, or said nothing, for {seconds:.0f} s"


def all_stopped(number: int) -> str:
    """The message if every worker is stopped."""
    workers = "the only worker has" if number == 1 else f"all {number} workers have"
    return (
        f"{workers} been stopped, as by SIGSTOP or Ctrl-Z, for {STOPPED_SECONDS:.0f} s, so nothing is computed. A job "
        "scheduler, a debugger or `kill -STOP` does that. Finished examples are kept; the same command goes on from "
        "there"
    )
