"""A folder with a promise and an append-only file of records: one record a line, on the disk before the next is taken.

A record is whole when its newline is there. Opening for writing cuts off whatever follows the last newline, so a torn
line costs one record and the next append cannot glue onto it.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar, final

from holdfast.errors import RunError
from holdfast.files import storage_error, take_lock
from holdfast.formats.checking import fitting
from holdfast.formats.records import SessionLine
from holdfast.formats.strict import MOST_LINE, MOST_LINES, json_object
from holdfast.runs.digests import record_digest
from holdfast.shortened import some

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

RECORDS = "records.jsonl"
SESSIONS = "sessions.jsonl"
_LOCK = "lock"
_SAFE = "Every record written before is valid. "


@dataclass(frozen=True)
class Session:
    """One process's work on a run, for the time column of logs and the speed in reports; no result depends on it."""

    examples: int
    samples: int
    seconds: float
    settings: dict[str, Any]


class Line(Protocol):
    """What all records have, whatever else they hold."""

    @property
    def digest(self) -> str:
        """Of its other entries, in its run."""


AnyLine = TypeVar("AnyLine", bound=Line)


class Ledger(ABC):
    """A folder opened for appending, by one process at a time. A subclass writes `_promise` and `_recorded`.

    Args:
        folder: made if it is not there.
        manifest_name: the file that makes a folder one of these.

    Attributes:
        done: indices of the examples that have a record.

    Raises:
        RunLockedError: another process has it open.
        RunError: it promised something else, or is corrupt.
        StorageError: the disk is full or refuses to write.
    """

    def __init__(self, folder: Path, manifest_name: str) -> None:
        self.folder = folder
        self._lock: IO[str] | None = None
        self._file: FileIO | None = None
        try:
            _check_folder(folder, manifest_name)
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(folder / _LOCK, f"is working on {folder}")
            self._promise()
            for name in (RECORDS, SESSIONS):
                _cut_torn_line(folder / name)
            self.done = self._recorded()
            self._file = (folder / RECORDS).open("ab", buffering=0)
        except OSError as error:
            self.close()
            raise storage_error(folder, error, _SAFE) from error
        except RunError:
            self.close()
            raise

    @abstractmethod
    def _promise(self) -> None:
        """Write the manifest of a new folder, or compare with that of an existing one."""

    @abstractmethod
    def _recorded(self) -> set[int]:
        """Read the folder: the indices of the examples that have a record."""

    @final
    def __enter__(self) -> Self:
        return self

    @final
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @final
    def write(self, lines: bytes) -> None:
        """Append whole lines and return when they are on the disk.

        Raises:
            StorageError: the disk is full; what was recorded before stays valid.
        """
        if self._file is None:
            raise RunError(f"the run {self.folder} is closed; open it again to append")
        try:
            while lines:
                lines = lines[self._file.write(lines) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            # A line that is half written now is cut off when the run is opened again.
            self.close()
            raise storage_error(self.folder, error, _SAFE) from error

    @final
    def log_session(self, session: Session) -> None:
        """Append what this process did to the session log."""
        try:
            with (self.folder / SESSIONS).open("a", encoding="utf-8") as file:
                file.write(
                    line(
                        examples=session.examples,
                        samples=session.samples,
                        seconds=round(session.seconds, 3),
                        settings=session.settings,
                    )
                )
        except OSError as error:
            raise storage_error(self.folder, error, _SAFE) from error

    @final
    def close(self) -> None:
        """Close the files and release the lock; harmless when repeated."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def whole_lines(folder: Path) -> list[bytes]:
    """The records' lines in a folder, without touching them; a torn last line is left out."""
    return _whole(folder / RECORDS)


def read_sessions(folder: Path) -> tuple[Session, ...]:
    """The session log of a folder; a torn last line is left out.

    Raises:
        RunError: a line is no session.
    """
    log, found = folder / SESSIONS, []
    for number, text in enumerate(_whole(log), 1):
        try:
            entries = fitting(json_object(text, MOST_LINE), SessionLine)
        except ValueError as error:
            raise RunError(
                f"{log}, line {number} is not a session ({error}); expected examples, samples, seconds and settings. "
                "No result depends on this file: delete the line"
            ) from error
        found.append(Session(entries.examples, entries.samples, entries.seconds, entries.settings))
    return tuple(found)


def sealed(promised: str, **entries: Any) -> str:
    """A record as one line of JSON, with its digest in a folder whose manifest has the digest `promised`."""
    return line(**entries, digest=record_digest(promised, entries))


def opened(text: bytes, promised: str, kind: type[AnyLine]) -> AnyLine:
    """A record that was `sealed` in a folder whose manifest has the digest `promised`.

    Args:
        text: the line.
        promised: digest of the manifest.
        kind: what such records hold; one of `holdfast.formats.records`.

    Raises:
        ValueError: it is none of that kind, or its digest does not fit.
    """
    raw = json_object(text, MOST_LINE)
    found = fitting(raw, kind)
    expected = record_digest(promised, raw)
    if found.digest != expected:
        raise ValueError(f"its digest is {found.digest!r}, that of its entries in this run {expected!r}")
    return found


def line(**entries: Any) -> str:
    """Entries as one line of JSON.

    Raises:
        ValueError: one is NaN or infinite, which JSON has no word for.
    """
    return json.dumps(entries, separators=(",", ":"), allow_nan=False) + "\n"


def _whole(path: Path) -> list[bytes]:
    """The lines of a file, if there is one, that have an end."""
    if not path.is_file():
        return []
    size = path.stat().st_size
    if size > MOST_LINES:
        raise RunError(f"{path} has {size:,} bytes, and {MOST_LINES:,} are the most that are read; it is none of ours")
    raw = path.read_bytes()
    return raw.split(b"\n")[:-1]


def _cut_torn_line(path: Path) -> None:
    """Cut off what follows the last newline: a record that a killed process left half written."""
    if not path.is_file():
        return
    whole = path.read_bytes().rfind(b"\n") + 1
    if whole < path.stat().st_size:
        with path.open("r+b") as file:
            file.truncate(whole)
            os.fsync(file.fileno())


def _check_folder(folder: Path, manifest_name: str) -> None:
    """Refuse, before anything is written, a folder that holds something else than a run."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file; a run is a folder. Choose another place")
    if not folder.exists() or (folder / manifest_name).exists():
        return
    # A process that was killed while it wrote the manifest leaves the lock and a temporary file.
    ours = [folder / _LOCK, *folder.glob(f".{manifest_name}.*.tmp")]
    strangers = sorted(path.name for path in folder.iterdir() if path not in ours)
    if strangers:
        raise RunError(
            f"{folder} is not empty and not a run: it holds {some(strangers)} but no {manifest_name}. "
            "Choose another place"
        )
