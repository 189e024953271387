"""What the terminal shows: progress bars on stderr, results on stdout."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from holdfast.runs.execute import Progress as RunProgress
    from holdfast.training.loop import TrainProgress

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")


def say(text: str) -> None:
    """A line for people, on stdout."""
    out.print(escape(text), soft_wrap=False)


def note(text: str) -> None:
    """A line on stderr about what is being done, which is not a result."""
    err.print(escape(text))


def warn(text: str) -> None:
    """A warning on stderr."""
    if _said is not None:
        if text in _said:
            return
        _said.add(text)
    err.print(f"[yellow]Warning:[/] {escape(text)}")


def fail(text: str) -> None:
    """An error on stderr."""
    err.print(f"[bold red]Error:[/] {escape(text)}")


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table as wide as the terminal allows; the first column is text, the others are numbers."""
    table = Table(header_style="bold")
    for number, name in enumerate(header):
        table.add_column(escape(name), justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    out.print(table)


@contextmanager
def resumable() -> Iterator[None]:
    """Say, when Ctrl-C ends the block, that nothing finished is lost."""
    try:
        yield
    except KeyboardInterrupt:
        err.print("Interrupted. What is finished is on the disk; the same command goes on from there.")
        raise


@contextmanager
def run_progress(title: str, hidden: bool) -> Iterator[Callable[[RunProgress], None] | None]:
    """A bar for a run: images done, images/s, samples/s, time left."""
    if hidden:
        with resumable():
            yield None
        return
    with _bar("{task.fields[speed]}") as bar:
        task = bar.add_task(title, total=None, speed="")
        before: list[int] = []

        def show(progress: RunProgress) -> None:
            bar.start()
            before[:1] = before[:1] or [progress.examples_done]
            seconds = max(progress.seconds, 1e-9)
            images = (progress.examples_done - before[0]) / seconds
            speed = f"{images:,.1f} images/s {progress.samples / seconds:,.0f} samples/s"
            bar.update(task, total=progress.examples_total, completed=progress.examples_done, speed=speed)

        yield show


_said: set[str] | None = None


@contextmanager
def each_warning_once() -> Iterator[None]:
    """Say no warning a second time while the block runs: several steps open the same files."""
    global _said
    before, _said = _said, set()
    try:
        yield
    finally:
        _said = before


@contextmanager
def several_trainings(hidden: bool) -> Iterator[Callable[[str, TrainProgress], None] | None]:
    """A bar for each of several trainings at a time, by its title."""
    if hidden:
        with resumable():
            yield None
        return
    with _bar("{task.fields[state]}") as bar:
        tasks: dict[str, TaskID] = {}

        def show(title: str, progress: TrainProgress) -> None:
            bar.start()
            if title not in tasks:
                tasks[title] = bar.add_task(title, total=None, state="")
            bar.update(tasks[title], total=progress.steps, completed=progress.step, state=_state(progress))

        yield show


@contextmanager
def train_progress(title: str, hidden: bool) -> Iterator[Callable[[TrainProgress], None] | None]:
    """A bar for a training: loss, accuracy under noise, time left."""
    if hidden:
        with resumable():
            yield None
        return
    with _bar("{task.fields[state]}") as bar:
        task = bar.add_task(title, total=None, state="")

        def show(progress: TrainProgress) -> None:
            bar.start()
            bar.update(task, total=progress.steps, completed=progress.step, state=_state(progress))

        yield show


def _state(progress: TrainProgress) -> str:
    return (
        f"epoch {progress.epoch}/{progress.epochs} loss {progress.loss:.3f} "
        f"acc. under noise {100 * progress.accuracy_under_noise:.1f}%"
    )


@contextmanager
def _bar(state: str) -> Iterator[Progress]:
    """A bar that appears when it is started, which may be repeated, and stays when the block ends."""
    # No column is cut at 80 characters: the descriptions are short and the bar is narrow.
    columns: list[ProgressColumn | str] = [
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=8),
        TextColumn("{task.percentage:>3.0f}%", table_column=Column(no_wrap=True)),
        TextColumn(state, table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True, table_column=Column(no_wrap=True)),
    ]
    bar = Progress(*columns, console=err)
    try:
        with resumable():
            yield bar
    finally:
        bar.stop()
