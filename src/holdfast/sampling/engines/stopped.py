"""Workers that are there and do nothing, since somebody stopped them: for how long that is waited for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# A worker that is stopped for so long is done without; if all are, that is an error.
STOPPED_SECONDS = 30.0
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


def all_stopped(number: int) -> str:
    """What to say when no worker is left that is not stopped."""
    workers = "the only worker has" if number == 1 else f"all {number} workers have"
    return (
        f"{workers} been stopped, as by SIGSTOP or Ctrl-Z, for {STOPPED_SECONDS:.0f} s, so nothing is computed. A job "
        "scheduler, a debugger or `kill -STOP` does that. Finished examples are kept; the same command goes on from "
        "there"
    )
