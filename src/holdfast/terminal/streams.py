"""Standard output and error: nothing written there steers a terminal, and their failures are named."""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

from rich.text import Text

from holdfast.files import storage_error
from holdfast.visible import visible_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

# Characters that lay out lines and stay: the field's logs have tabs.
_LAYOUT = "\n\t"


def guard() -> None:
    """Keep whatever steers a terminal out of the standard streams of this process, whoever prints it."""
    if not isinstance(sys.stdout, Guarded):
        sys.stdout = cast("TextIO", Guarded(_Named(_escaping(sys.stdout), "standard output")))
    if not isinstance(sys.stderr, Guarded):
        sys.stderr = cast("TextIO", Guarded(_escaping(sys.stderr)))


class Guarded:
    """A stream that makes all texts `visible`: those of other libraries, of Python itself and of base classifiers.

    The colours and bars of our own consoles bypass it (`rich_proxied_file`, which rich looks for); they make their
    texts visible themselves.
    """

    def __init__(self, stream: Any) -> None:
        self.rich_proxied_file = stream
        self._stream = stream
        self._bar: Console | None = None
        self._begun = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write the text; while a bar is shown, write whole lines above it."""
        if not isinstance(text, str):
            # Libraries try bytes, and learn from this error that the stream takes text.
            raise TypeError(f"this stream takes text, got {type(text).__name__}")
        if self._bar is None:
            self._stream.write(visible_lines(text, _LAYOUT))
        else:
            *lines, self._begun = (self._begun + text).split("\n")
            for line in lines:
                self._bar.print(Text(visible_lines(line, _LAYOUT), overflow="ignore"), crop=False)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    @contextmanager
    def above(self, bar: Console) -> Iterator[None]:
        """Print lines above the bar of a console while the block runs, not within it."""
        self._bar = bar
        try:
            yield
        finally:
            self._bar, begun, self._begun = None, self._begun, ""
            self.write(begun)


class _Named:
    """A stream that names itself in its errors. Closed pipes are left to the caller."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write the text.

        Raises:
            StorageError: the stream takes no more.
        """
        with self._named():
            return self._stream.write(text)

    def flush(self) -> None:
        """Flush the stream, unless that has failed before: Python flushes again when it ends.

        Raises:
            StorageError: the stream takes no more.
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
            raise storage_error(self._name, error) from error


def _escaping(stream: TextIO) -> TextIO:
    """The stream, set to write characters that its encoding lacks as `\\u03c3`, which would be an error."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream
