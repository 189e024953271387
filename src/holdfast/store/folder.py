"""A folder with a manifest and an append-only file of records, one a line, each on the disk before the next.

A record is whole when its newline is there. Opening for writing cuts off whatever follows the last newline, so a torn
line costs one record and the next append cannot glue onto it.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar, final

from holdfast.errors import RunError
from holdfast.files import storage_error
from holdfast.folders import Folder, entered
from holdfast.formats.checking import fitting
from holdfast.formats.records import SessionLine
from holdfast.formats.strict import MOST_LINE, MOST_LINES, json_object
from holdfast.locks import take_lock
from holdfast.shortened import some
from holdfast.store.digests import record_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence
    from io import FileIO
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from holdfast.folders import Below, Where

RECORDS = "records.jsonl"
SESSIONS = "sessions.jsonl"
LOCK = "lock"
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
        """The digest of its other entries, in its run."""


AnyLine = TypeVar("AnyLine", bound=Line)


class Indexed(Protocol):
    """What all records have once they are read, whatever else they hold."""

    @property
    def index(self) -> int:
        """The index of its example."""


AnyRecord = TypeVar("AnyRecord", bound=Indexed)


class RunFolder(ABC):
    """A folder opened for appending, by one process at a time. A subclass writes `_ensure_manifest` and `_recorded`.

    Whatever becomes of the path of the folder meanwhile, what is written goes into the folder that was opened.

    Args:
        where: the folder lies; made if it is not there.
        manifest_name: the file that makes a folder one of these.
        files: other names of files that this kind of folder may hold.
        folders: names of folders that this kind of folder may hold.

    Attributes:
        folder: the open folder.
        done: indices of the examples that have a record.

    Raises:
        RunLockedError: another process has it open.
        RunError: it has another manifest, is corrupt, or has something else than files and folders in the places of
            such.
        StorageError: the disk is full or refuses to write.
    """

    def __init__(
        self, where: Where, manifest_name: str, files: Sequence[str] = (), folders: Sequence[str] = ()
    ) -> None:
        self._lock: IO[bytes] | None = None
        self._file: FileIO | None = None
        try:
            self.folder = Folder.opened(where, make=True)
        except OSError as error:
            raise storage_error(str(where), error, _SAFE) from error
        try:
            _check_folder(self.folder, manifest_name)
            for name in (manifest_name, *files):
                self.folder.check(name)
            for name in (RECORDS, SESSIONS, LOCK):
                self.folder.check(name, one_name=True)
            for name in folders:
                self.folder.check(name, folder=True)
            self._lock = take_lock(self.folder, LOCK, f"is working on {self.folder}")
            self._ensure_manifest()
            for name in (RECORDS, SESSIONS):
                _cut_torn_line(self.folder, name)
            self.done = self._recorded()
            self._file = self.folder.appending(RECORDS)
            self.folder.sync()
        except OSError as error:
            self.close()
            raise storage_error(str(where), error, _SAFE) from error
        except BaseException:
            self.close()
            raise

    @abstractmethod
    def _ensure_manifest(self) -> None:
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
        with self.guarded():
            _append(self._file, lines)
            os.fsync(self._file.fileno())

    @final
    def log_session(self, session: Session) -> None:
        """Append what this process did to the session log, unless the folder is closed."""
        if self._file is None:
            return
        text = line(
            examples=session.examples,
            samples=session.samples,
            seconds=round(session.seconds, 3),
            settings=session.settings,
        )
        with self.guarded(), self.folder.appending(SESSIONS) as file:
            _append(file, text.encode())

    @final
    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Write something into the folder.

        Raises:
            StorageError: the operating system refuses; the folder is then closed.
        """
        try:
            yield
        except OSError as error:
            # A line that is half written now is cut off when the run is opened again.
            self.close()
            raise storage_error(str(self.folder), error, _SAFE) from error

    @final
    def close(self) -> None:
        """Close the files and release the lock; harmless when repeated."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        self.folder.close()


def whole_lines(folder: Where | Folder) -> list[bytes]:
    """The records' lines in a folder, without touching them; a torn last line is left out.

    Raises:
        RunError: the folder or the file cannot be read, or something else than a file lies there.
    """
    with entered(folder) as place:
        return _whole(place, RECORDS)


def read_records(
    lines: Sequence[bytes],
    path: Path | Below,
    read: Callable[[bytes], AnyRecord],
    indices: Container[int],
    kind: str,
    verb: str,
) -> list[AnyRecord]:
    """The records of a folder, in the order of their lines; at most one for each example.

    Args:
        lines: see `whole_lines`.
        path: of the file, for messages.
        read: makes a record of a line, or raises ValueError.
        indices: of the examples that may have a record.
        kind: "run" or "attack", for messages.
        verb: what makes the record of an example anew: "certify" or "attack", for messages.

    Raises:
        RunError: a line is not a record, or its example has one already or may not have one.
    """
    found: dict[int, AnyRecord] = {}
    for number, text in enumerate(lines, 1):
        where = f"{path}, line {number}"
        try:
            record = read(text)
        except ValueError as error:
            raise RunError(
                f"{where} is not a record ({error}). The line was changed after it was written; delete it, and run "
                f"the same command to {verb} its example again"
            ) from error
        if record.index in found or record.index not in indices:
            why = "a second time" if record.index in found else f"although it is not in the {kind}'s subset"
            raise RunError(f"{where} records example {record.index} {why}; delete the line")
        found[record.index] = record
    return list(found.values())


def read_sessions(folder: Where | Folder) -> tuple[Session, ...]:
    """The session log of a folder; a torn last line is left out.

    Raises:
        RunError: a line is not a session, or see `whole_lines`.
    """
    found = []
    with entered(folder) as place:
        lines = _whole(place, SESSIONS)
    for number, text in enumerate(lines, 1):
        try:
            entries = fitting(json_object(text, MOST_LINE), SessionLine)
        except ValueError as error:
            raise RunError(
                f"{place / SESSIONS}, line {number} is not a session ({error}); expected examples, samples, seconds "
                "and settings. No result depends on this file: delete the line"
            ) from error
        found.append(Session(entries.examples, entries.samples, entries.seconds, entries.settings))
    return tuple(found)


def sealed(manifest_digest: str, **entries: Any) -> str:
    """A record as one line of JSON, with its digest in a folder whose manifest has the digest `manifest_digest`."""
    return line(**entries, digest=record_digest(manifest_digest, entries))


def opened(text: bytes, manifest_digest: str, kind: type[AnyLine]) -> AnyLine:
    """A record that was `sealed` in a folder whose manifest has the digest `manifest_digest`.

    Args:
        text: the line.
        manifest_digest: digest of the manifest.
        kind: what such records hold; one of `holdfast.formats.records`.

    Raises:
        ValueError: it is not of that kind, or its digest does not fit.
    """
    raw = json_object(text, MOST_LINE)
    found = fitting(raw, kind)
    expected = record_digest(manifest_digest, raw)
    if found.digest != expected:
        raise ValueError(f"its digest is {found.digest!r}, that of its entries in this run {expected!r}")
    return found


def line(**entries: Any) -> str:
    """Entries as one line of JSON.

    Raises:
        ValueError: one is NaN or infinite, which JSON has no word for.
    """
    return json.dumps(entries, separators=(",", ":"), allow_nan=False) + "\n"


def _whole(folder: Folder, name: str) -> list[bytes]:
    """The lines of a file, if there is one, that have an end."""
    return (folder.read(name, MOST_LINES) or b"").split(b"\n")[:-1]


def _append(file: FileIO, content: bytes) -> None:
    """Write all of it: a disk that fills up takes a part."""
    while content:
        content = content[file.write(content) :]


def _cut_torn_line(folder: Folder, name: str) -> None:
    """Cut off what follows the last newline: a record that a killed process left half written."""
    if not folder.has(name):
        return
    content = folder.read(name, MOST_LINES) or b""
    with folder.appending(name) as file:
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)
            os.fsync(file.fileno())


def _check_folder(folder: Folder, manifest_name: str) -> None:
    """Refuse, before anything is written, a folder that holds something else than a run."""
    if folder.has(manifest_name):
        return
    # A process that was killed while it wrote the manifest leaves the lock and a temporary file.
    others = sorted(
        name for name in folder.names() if name != LOCK and not fnmatchcase(name, f".{manifest_name}.*.tmp")
    )
    if others:
        raise RunError(
            f"{folder} is not empty and not a run: it holds {some(others)} but no {manifest_name}. Choose another place"
        )
