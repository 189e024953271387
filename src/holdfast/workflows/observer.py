"""How far a job is, for whoever wants to know: the command line shows bars, a caller in Python what it likes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.execution.session import Progress
    from holdfast.training.trainer import TrainProgress


class Observer:
    """Hears of a job of several parts. This one says nothing; a subclass overrides what it wants to hear."""

    def run(self, title: str) -> AbstractContextManager[Callable[[Progress], None] | None]:
        """Wraps a run or an attack, and takes its progress."""
        return nullcontext()

    def training(self, title: str) -> AbstractContextManager[Callable[[TrainProgress], None] | None]:
        """Wraps one training, and takes its progress."""
        return nullcontext()

    def trainings(self) -> AbstractContextManager[Callable[[str, TrainProgress], None] | None]:
        """Wraps several trainings side by side, and takes the progress of each by its title."""
        return nullcontext()

    def note(self, text: str) -> None:
        """What is being done, in a line that is no result."""
