"""Progress of a job in Python: a bar in a terminal or a notebook, a function of the caller, or nothing."""

from __future__ import annotations

import html
import sys
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.execution.session import Progress
    from holdfast.training.trainer import TrainProgress

# Seconds between two pictures of a bar in a notebook, which keeps each of them until the next one comes.
_PICTURE_SECONDS = 0.2


def of_run(title: str, progress: object) -> AbstractContextManager[Callable[[Progress], None] | None]:
    """Wraps a run or an attack: what takes its progress, or None.

    Args:
        title: of the bar.
        progress: True for a bar where somebody may look at it, False for nothing, or a function of the caller, which
            gets an object with `examples_done`, `examples_total`, `samples` and `seconds`.

    Raises:
        UsageError: `progress` is something else.
    """
    from holdfast.terminal.console import run_progress

    def counted(state: Progress) -> tuple[int, int]:
        return state.examples_done, state.examples_total

    shown: AbstractContextManager[Callable[[Progress], None] | None] = _shown(title, progress, counted, run_progress)
    return shown


def of_training(title: str, progress: object) -> AbstractContextManager[Callable[[TrainProgress], None] | None]:
    """Wraps a training; see `of_run`. A function of the caller gets an object with `step`, `steps`, `epoch`, `loss`."""
    from holdfast.terminal.console import train_progress

    def counted(state: TrainProgress) -> tuple[int, int]:
        return state.step, state.steps

    shown: AbstractContextManager[Callable[[TrainProgress], None] | None]
    shown = _shown(title, progress, counted, train_progress)
    return shown


def of_count(title: str, progress: object) -> AbstractContextManager[Callable[[int, int], None] | None]:
    """Wraps work that is only counted; see `of_run`. A function of the caller gets how many are done, and of how many.

    Raises:
        UsageError: `progress` is something else.
    """
    from holdfast.terminal.console import count_progress

    @contextmanager
    def pictured() -> Iterator[Callable[[int, int], None] | None]:
        with _in_notebook(title, lambda state: state) as show:
            yield lambda done, total: show((done, total))

    if callable(progress):
        return nullcontext(progress)
    check(progress)
    if progress and _notebook():
        return pictured()
    return count_progress(title, not (progress and _terminal()))


def _shown(title: str, progress: object, counted: Callable[[Any], tuple[int, int]], bar: Callable[..., Any]) -> Any:
    if callable(progress):
        return nullcontext(progress)
    check(progress)
    if progress and _notebook():
        return _in_notebook(title, counted)
    # Python says itself that it was interrupted, and what the work is worth then depends on the call.
    return bar(title, False, resumes=False) if progress and _terminal() else nullcontext(None)


def check(progress: object) -> None:
    """Raise UsageError unless it is True, False or a function."""
    if not (isinstance(progress, bool) or callable(progress)):
        raise UsageError(f"progress is True, False, or a function that is told how far the work is; got {progress!r}")


def _terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _notebook() -> bool:
    """Whether this is the kernel of a notebook, by what it has loaded: nothing is imported to find out."""
    shell = sys.modules.get("IPython")
    found = None if shell is None else shell.get_ipython()
    return type(found).__name__ == "ZMQInteractiveShell"


@contextmanager
def _in_notebook(title: str, counted: Callable[[Any], tuple[int, int]]) -> Iterator[Callable[[Any], None]]:
    """A bar below the cell, drawn anew now and then."""
    display = import_module("IPython.display")

    def picture(text: str) -> Any:
        return display.HTML(text)

    handle, drawn, last = display.display(picture(""), display_id=True), 0.0, None

    def draw(state: Any) -> None:
        done, total = counted(state)
        handle.update(
            picture(f"{html.escape(title)} <progress value='{done}' max='{total}'></progress> {done:,} of {total:,}")
        )

    def show(state: Any) -> None:
        nonlocal drawn, last
        last = state
        if time.monotonic() - drawn >= _PICTURE_SECONDS:
            drawn = time.monotonic()
            draw(state)

    try:
        yield show
    finally:
        if last is not None:
            draw(last)
