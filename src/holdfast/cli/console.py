"""What the terminal shows: progress bars on stderr, results on stdout."""

from __future__ import annotations

import io
import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from holdfast.files import shown, storage_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from holdfast.runs.execute import Progress as RunProgress
    from holdfast.training.loop import TrainProgress

AnyProgress = TypeVar("AnyProgress")


class _Terminal(Console):
    """A console that draws lines in ASCII where its stream takes no other characters."""

    @property
    def encoding(self) -> str:
        """Of the stream that it writes to now."""
        return (getattr(self.file, "encoding", None) or "utf-8").lower()


out = _Terminal(highlight=False)
err = _Terminal(stderr=True, highlight=False)


class StandardOutput:
    """Standard output, whose failures are named as such. Closed pipes are left to the program that calls it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write to it.

        Raises:
            StorageError: it takes no more.
        """
        with self._named():
            return self._stream.write(text)

    def flush(self) -> None:
        """Have what was written go out, unless that has failed before: it is tried again when Python ends.

        Raises:
            StorageError: it takes no more.
        """
        if not self._failed:
            with self._named():
                self._stream.flush()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            self._failed = True
            raise storage_error("standard output", error) from error


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(_printable(document), indent=2, allow_nan=False) + "\n")


def _printable(document: Any) -> Any:
    """A document whose texts are such as JSON can hold: names of files may have bytes that are no UTF-8."""
    if isinstance(document, str):
        return shown(document)
    if isinstance(document, dict):
        return {_printable(key): _printable(value) for key, value in document.items()}
    return [_printable(each) for each in document] if isinstance(document, (list, tuple)) else document


def escape_unprintable(stream: TextIO) -> None:
    """Have what a stream's encoding has no bytes for written as `\\u03c3`, where it would be an error."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _text(text: str, console: Console = err) -> str:
    """Text as a console can print it, escaped before it is laid out; brackets are no markup."""
    return escape(shown(text).encode(console.encoding, "backslashreplace").decode(console.encoding))


def say(text: str) -> None:
    """A line for people, on stdout."""
    out.print(_text(text, out), soft_wrap=False)


def note(text: str) -> None:
    """A line on stderr about what is being done, which is not a result."""
    err.print(_text(text))


def warn(text: str) -> None:
    """A warning on stderr."""
    if _said is not None:
        if text in _said:
            return
        _said.add(text)
    err.print(f"[yellow]Warning:[/] {_text(text)}")


def fail(text: str) -> None:
    """An error on stderr."""
    err.print(f"[bold red]Error:[/] {_text(text)}")


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table as wide as the terminal allows; the first column is text, the others are numbers."""
    table = Table(header_style="bold")
    for number, name in enumerate(header):
        table.add_column(_text(name, out), justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(_text(cell, out) for cell in row))
    out.print(table)


@contextmanager
def resumable() -> Iterator[None]:
    """Say, when Ctrl-C ends the block, that nothing finished is lost."""
    try:
        yield
    except KeyboardInterrupt:
        err.print("Interrupted. What is finished is on the disk; the same command goes on from there.")
        raise


def run_progress(title: str, hidden: bool) -> AbstractContextManager[Callable[[RunProgress], None] | None]:
    """A bar for a run: images done, images/s, samples/s, time left."""
    before: list[int] = []

    def state(progress: RunProgress) -> tuple[int, int, str]:
        before[:1] = before[:1] or [progress.examples_done]
        seconds = max(progress.seconds, 1e-9)
        images = (progress.examples_done - before[0]) / seconds
        speed = f"{images:,.1f} images/s {progress.samples / seconds:,.0f} samples/s"
        return progress.examples_total, progress.examples_done, speed

    return _shown(title, hidden, state)


def train_progress(title: str, hidden: bool) -> AbstractContextManager[Callable[[TrainProgress], None] | None]:
    """A bar for a training: loss, accuracy under noise, time left."""
    return _shown(title, hidden, _of_training)


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
    with _bar() as bar:
        tasks: dict[str, TaskID] = {}

        def show(title: str, progress: TrainProgress) -> None:
            bar.start()
            if title not in tasks:
                tasks[title] = bar.add_task(_text(title), total=None, state="")
            total, done, words = _of_training(progress)
            bar.update(tasks[title], total=total, completed=done, state=words)

        yield show


def _of_training(progress: TrainProgress) -> tuple[int, int, str]:
    words = (
        f"epoch {progress.epoch}/{progress.epochs} loss {progress.loss:.3f} "
        f"acc. under noise {100 * progress.accuracy_under_noise:.1f}%"
    )
    return progress.steps, progress.step, words


@contextmanager
def _shown(
    title: str, hidden: bool, state: Callable[[AnyProgress], tuple[int, int, str]]
) -> Iterator[Callable[[AnyProgress], None] | None]:
    """What shows a progress, or None if `hidden`; `state` says how much there is, how much is done, and more."""
    if hidden:
        with resumable():
            yield None
        return
    with _bar() as bar:
        task = bar.add_task(_text(title), total=None, state="")

        def show(progress: AnyProgress) -> None:
            bar.start()
            total, done, words = state(progress)
            bar.update(task, total=total, completed=done, state=words)

        yield show


@contextmanager
def _bar() -> Iterator[Progress]:
    """A bar that appears when it is started, which may be repeated, and stays when the block ends."""
    # No column is cut at 80 characters: the descriptions are short and the bar is narrow.
    columns: list[ProgressColumn | str] = [
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=8),
        TextColumn("{task.percentage:>3.0f}%", table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[state]}", table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True, table_column=Column(no_wrap=True)),
    ]
    bar = Progress(*columns, console=err)
    try:
        with resumable():
            yield bar
    finally:
        bar.stop()
