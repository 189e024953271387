"""The progress of a job: the command line shows bars, a caller in Python whatever it likes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.execution.session import Progress
    from holdfast.training.trainer import TrainProgress


class Observer:
    """Hears of the progress of a job. This one does nothing; a subclass overrides what it wants to hear."""

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
        """Hears a line about the work, which is not a result."""
