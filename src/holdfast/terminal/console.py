"""Writes to the terminal: progress bars to stderr, results to stdout."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from holdfast.terminal.streams import Guarded
from holdfast.visible import visible
from holdfast.widths import width
from holdfast.workflows.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from holdfast.execution.session import Progress as RunProgress
    from holdfast.training.trainer import TrainProgress

AnyProgress = TypeVar("AnyProgress")
AnyItem = TypeVar("AnyItem")


# A file has lines of any length.
_WIDE = 100_000


class _Terminal(Console):
    """Prints all output for people: texts as they are, without emoji, markup and colours for what looks like code.

    Lines are drawn in ASCII where the stream takes no other characters.
    """

    def __init__(self, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, emoji=False, markup=False, highlight=False)

    def put(self, *parts: str | tuple[str, str]) -> None:
        """Print a text, of which a part may have a style.

        A terminal gets lines that are broken between words, never within one, since a path would be cut; a file gets
        them whole.
        """
        self.print(Text.assemble(*parts, overflow="ignore"), soft_wrap=not self.is_terminal, crop=False)

    @property
    def encoding(self) -> str:
        """The encoding of the stream that it writes to now."""
        return (getattr(self.file, "encoding", None) or "utf-8").lower()


out = _Terminal()
err = _Terminal(stderr=True)


def print_json(document: Any) -> None:
    """Print one JSON document on stdout, in ASCII: texts are unchanged, and none can steer a terminal."""
    text = json.dumps(_encodable(document), indent=2, allow_nan=False)
    # The only ASCII character that JSON leaves as it is and a terminal does not show.
    sys.stdout.write(text.replace("\x7f", "\\u007f") + "\n")


def _encodable(document: Any) -> Any:
    """The document without lone surrogates, which file names may have and strict JSON readers refuse."""
    if isinstance(document, str):
        return "".join(visible(sign) if "\ud800" <= sign <= "\udfff" else sign for sign in document)
    if isinstance(document, dict):
        return {_encodable(key): _encodable(value) for key, value in document.items()}
    return [_encodable(each) for each in document] if isinstance(document, (list, tuple)) else document


def _text(text: object, console: Console = err) -> str:
    """The text as a console can print it, in one line: escaped before it is laid out."""
    return visible(text).encode(console.encoding, "backslashreplace").decode(console.encoding)


def say(text: str) -> None:
    """Print a line for people on stdout."""
    out.put(_text(text, out))


def note(text: str) -> None:
    """Print a line on stderr about the work, which is not a result."""
    err.put(_text(text))


def warn(text: str) -> None:
    """Print a warning on stderr."""
    if _shown_warnings is not None:
        if text in _shown_warnings:
            return
        _shown_warnings.add(text)
    err.put(("Warning:", "yellow"), f" {_text(text)}")


def fail(text: str, *more: str) -> None:
    """Print an error on stderr; `more` are the lines below its first one."""
    err.put(("Error:", "bold red"), f" {_text(text)}")
    for line in more:
        err.put(_text(line))


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, as wide as the terminal, or in full to a file; the first column is text, the others numbers."""
    table = Table(header_style="bold")
    lines = [[_text(cell, out) for cell in line] for line in (header, *rows)]
    measured = out.is_terminal or "COLUMNS" in os.environ
    if measured and sum(_needed(column) + 3 for column in zip(*lines, strict=True)) >= out.width:
        # An interval goes below its value, rather than being broken in its middle.
        lines = [[cell.replace(" [", "\n[") for cell in line] for line in lines]
    for number, name in enumerate(lines[0]):
        table.add_column(Text(name), justify="left" if number == 0 else "right", overflow="fold")
    for line in lines[1:]:
        table.add_row(*map(Text, line))
    (out if measured else _Terminal(width=_WIDE)).print(table)


def _needed(column: Sequence[str]) -> int:
    """The columns of the terminal that the cells with an interval need, or all cells if there is no interval."""
    return max(width(cell) for cell in [cell for cell in column if " [" in cell] or column)


@contextmanager
def resumable() -> Iterator[None]:
    """When Ctrl-C ends the block, say that no finished work is lost."""
    try:
        yield
    except KeyboardInterrupt:
        err.put("Interrupted. Finished work is on the disk. Run the same command again to continue.")
        raise


def run_progress(
    title: str, hidden: bool, resumes: bool = True
) -> AbstractContextManager[Callable[[RunProgress], None] | None]:
    """A bar for a run: examples done, examples/s, samples/s, time left; `resumes`: whether an interruption is told."""
    before: list[int] = []

    def state(progress: RunProgress) -> tuple[int, int, str]:
        before[:1] = before[:1] or [progress.examples_done]
        seconds = max(progress.seconds, 1e-9)
        examples = (progress.examples_done - before[0]) / seconds
        speed = f"{examples:,.1f} examples/s {progress.samples / seconds:,.0f} samples/s"
        return progress.examples_total, progress.examples_done, speed

    return _shown(title, hidden, state, resumes)


def train_progress(
    title: str, hidden: bool, resumes: bool = True
) -> AbstractContextManager[Callable[[TrainProgress], None] | None]:
    """A bar for a training: loss, accuracy under noise, time left."""
    return _shown(title, hidden, _of_training, resumes)


@contextmanager
def count_progress(title: str, hidden: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar for work that is only counted, (done, total), and that an interruption loses."""

    def state(progress: tuple[int, int]) -> tuple[int, int, str]:
        done, total = progress
        return total, done, ""

    with _shown(title, hidden, state, resumes=False) as show:
        yield None if show is None else lambda done, total: show((done, total))


def counted(title: str, items: Iterable[AnyItem], total: int, hidden: bool) -> Iterator[AnyItem]:
    """Yield the items, and show in a bar how many there were."""
    with count_progress(title, hidden) as show:
        for done, item in enumerate(items, start=1):
            if show is not None:
                show(done, total)
            yield item


_shown_warnings: set[str] | None = None


@contextmanager
def each_warning_once() -> Iterator[None]:
    """Print each warning only once while the block runs: several steps open the same files."""
    global _shown_warnings
    before, _shown_warnings = _shown_warnings, set()
    try:
        yield
    finally:
        _shown_warnings = before


class Bars(Observer):
    """Shows a bar for each part of a job.

    Args:
        hidden: show nothing.
    """

    def __init__(self, hidden: bool) -> None:
        self.hidden = hidden

    def run(self, title: str) -> AbstractContextManager[Callable[[RunProgress], None] | None]:
        """A bar for a run or an attack."""
        return run_progress(title, self.hidden)

    def training(self, title: str) -> AbstractContextManager[Callable[[TrainProgress], None] | None]:
        """A bar for a training."""
        return train_progress(title, self.hidden)

    def trainings(self) -> AbstractContextManager[Callable[[str, TrainProgress], None] | None]:
        """A bar for each training that runs side by side."""
        return several_trainings(self.hidden)

    def note(self, text: str) -> None:
        """Print a line on stderr, unless hidden."""
        if not self.hidden:
            note(text)


@contextmanager
def several_trainings(hidden: bool) -> Iterator[Callable[[str, TrainProgress], None] | None]:
    """A bar for each training that runs side by side, by its title."""
    if hidden:
        with resumable():
            yield None
        return
    with resumable(), _bar() as bar:
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
    title: str, hidden: bool, state: Callable[[AnyProgress], tuple[int, int, str]], resumes: bool = True
) -> Iterator[Callable[[AnyProgress], None] | None]:
    """Yield a function that shows progress, or None if `hidden`; `state` gives total, done, and more words."""
    interrupted = resumable() if resumes else nullcontext()
    if hidden:
        with interrupted:
            yield None
        return
    with interrupted, _bar() as bar:
        task = bar.add_task(_text(title), total=None, state="")

        def show(progress: AnyProgress) -> None:
            bar.start()
            total, done, words = state(progress)
            bar.update(task, total=total, completed=done, state=words)

        yield show


@contextmanager
def _bar() -> Iterator[Progress]:
    """A bar that appears when it is started, more than once if need be, and stays when the block ends."""
    # No column is cut at 80 characters: the descriptions are short and the bar is narrow.
    columns: list[ProgressColumn | str] = [
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=8),
        TextColumn("{task.percentage:>3.0f}%", markup=False, table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[state]}", markup=False, table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True, table_column=Column(no_wrap=True)),
    ]
    # Not redirected by rich, which would take escape sequences of others for colours and links.
    bar = Progress(*columns, console=err, redirect_stdout=False, redirect_stderr=False)
    with ExitStack() as above:
        if err.is_terminal:
            for stream in (sys.stdout, sys.stderr):
                if isinstance(stream, Guarded) and stream.isatty():
                    above.enter_context(stream.above(err))
        above.callback(bar.stop)
        yield bar
