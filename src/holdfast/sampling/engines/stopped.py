"""Workers that are there and do nothing, since somebody stopped them: for how long that is waited for."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# A worker that is stopped for so long is done without; if all are, that is an error.
STOPPED_SECONDS = 30.0
# The same of a worker on another machine that says nothing; longer where workers have been silent for longer before.
SILENT_SECONDS = 120.0
_LONGER = 10.0
# Workers are looked at so often.
LOOK_SECONDS = 1.0
# If we have not looked for so long, we were stopped ourselves, or asleep: that does not count.
_ASLEEP_SECONDS = 5.0


class Stopwatch:
    """Since when workers are stopped, as far as we were awake to see it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked = clock()
        self._since: dict[int, float] = {}

    def is_time(self) -> bool:
        """Whether to look again."""
        return self._clock() - self._looked >= LOOK_SECONDS

    def late(self, stopped: set[int]) -> list[int]:
        """Of the workers that are stopped now, those that have been for too long."""
        now = self._clock()
        if now - self._looked > _ASLEEP_SECONDS:
            self._since.clear()
        self._looked = now
        self._since = {worker: self._since.get(worker, now) for worker in stopped}
        return sorted(worker for worker, since in self._since.items() if now - since >= STOPPED_SECONDS)

    def forget(self, worker: int) -> None:
        """It is gone."""
        self._since.pop(worker, None)


class Silence:
    """How long a worker has said nothing that should say something every second; for those that cannot be looked at."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked = clock()
        self._heard: dict[int, float] = {}
        self._longest = 0.0

    def heard(self, worker: int) -> None:
        """It has said something. One that holds Python's lock for long is not stopped: the limit learns from it."""
        now = self._clock()
        self._longest = max(self._longest, now - self._heard.get(worker, now))
        self._heard[worker] = now

    def late(self, workers: set[int]) -> list[int]:
        """Of these workers, those that have said nothing for too long."""
        now = self._clock()
        if now - self._looked > _ASLEEP_SECONDS:
            # They may have, while we did not listen.
            self._heard = dict.fromkeys(self._heard, now)
        self._looked = now
        limit = max(SILENT_SECONDS, _LONGER * self._longest)
        return sorted(worker for worker in workers if now - self._heard.get(worker, now) > limit)


def is_stopped(process: int) -> bool:
    """Whether a process of this machine is there and not running, by SIGSTOP or Ctrl-Z."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] == "T"
    except OSError:
        # Not Linux, or it is gone.
        asked = ["ps", "-o", "state=", "-p", str(process)]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()[:1] == "T"


def was_stopped(seconds: float) -> str:
    """What became of one of several workers."""
    return f"it was stopped, as by SIGSTOP, or said nothing, for {seconds:.0f} s"


def all_stopped(number: int) -> str:
    """What to say when no worker is left that is not stopped."""
    workers = "the only worker has" if number == 1 else f"all {number} workers have"
    return (
        f"{workers} been stopped, as by SIGSTOP or Ctrl-Z, for {STOPPED_SECONDS:.0f} s, so nothing is computed. A job "
        "scheduler, a debugger or `kill -STOP` does that. Finished examples are kept; the same command goes on from "
        "there"
    )
