"""The append-only record of vote counts: one example a line, on the disk before the next one is taken.

A record is whole when its newline is there. Opening for writing cuts off whatever follows the last newline, so a torn
line costs one example and the next append cannot glue onto it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from holdfast.errors import RunError, UsageError
from holdfast.files import storage_error, take_lock
from holdfast.runs.digests import DIGEST, record_digest
from holdfast.runs.manifest import (
    FILE_NAME,
    Manifest,
    differences,
    estimator_of,
    read_manifest,
    write_manifest,
)
from holdfast.types import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import FileIO
    from types import TracebackType

    from typing_extensions import Self

RECORDS = "records.jsonl"
SESSIONS = "sessions.jsonl"
_LOCK = "lock"
_SAFE = "Every record written before is valid. "


@dataclass(frozen=True)
class VoteRecord:
    """The record of a certified example: its votes, from which everything else follows."""

    index: int
    label: int
    selection: Counts
    estimation: Counts

    def to_line(self, promised: str) -> str:
        """The record as one line of JSON, in a run whose manifest has the digest `promised`."""
        return _sealed(
            promised,
            index=self.index,
            label=self.label,
            selection=list(self.selection.votes),
            estimation=list(self.estimation.votes),
        )


@dataclass(frozen=True)
class ClaimRecord:
    """The record of an example in an imported log: what another tool claimed. There are no votes to check it by."""

    index: int
    label: int
    predicted: int | None
    radius: float
    seconds: float | None

    def to_line(self, promised: str) -> str:
        """The record as one line of JSON, in a run whose manifest has the digest `promised`."""
        return _sealed(
            promised,
            index=self.index,
            label=self.label,
            predicted=self.predicted,
            radius=self.radius,
            seconds=self.seconds,
        )


Record = VoteRecord | ClaimRecord


@dataclass(frozen=True)
class Session:
    """One process's work on a run, for the time column of logs and the speed in reports; no result depends on it."""

    examples: int
    samples: int
    seconds: float
    settings: dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A run as it lies on the disk: the promise, and the whole records in the order of their indices."""

    folder: Path
    manifest: Manifest
    records: tuple[Record, ...]
    sessions: tuple[Session, ...]

    @property
    def missing(self) -> int:
        """How many examples of the subset have no record yet; an imported log is complete as it is."""
        if self.manifest.kind == "imported":
            return 0
        return len(self.manifest.data.indices()) - len(self.records)


def read_run(folder: Path) -> Run:
    """The run in `folder`, without touching it; a torn last line is left out.

    Raises:
        RunError: not a run, or a record in it is corrupt.
    """
    manifest = read_manifest(folder)
    path = folder / RECORDS
    raw = path.read_bytes() if path.is_file() else b""
    records = _parse(raw[: raw.rfind(b"\n") + 1], manifest, path)
    log = folder / SESSIONS
    sessions = (
        [json.loads(line) for line in log.read_text().splitlines(True) if line.endswith("\n")] if log.is_file() else []
    )
    return Run(
        folder,
        manifest,
        tuple(sorted(records, key=lambda record: record.index)),
        tuple(Session(**session) for session in sessions),
    )


class RunStore:
    """A run opened for appending, by one process at a time.

    Args:
        folder: of the run; made if it is not there.
        manifest: what is promised. A new run writes it before anything else; an existing one must have made the same
            promise.

    Raises:
        RunLockedError: another process has the run open.
        RunError: the run promised something else, or is corrupt.
        StorageError: the disk is full or refuses to write.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._lock: IO[str] | None = None
        self._file: FileIO | None = None
        _check_folder(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(folder / _LOCK, f"is working on {folder}")
            self._promise()
            for name in (RECORDS, SESSIONS):
                _cut_torn_line(folder / name)
            self._file = (folder / RECORDS).open("ab", buffering=0)
        except OSError as error:
            self.close()
            raise storage_error(folder, error, _SAFE) from error
        except RunError:
            self.close()
            raise
        self.done = {record.index for record in read_run(folder).records}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, records: Iterable[Record]) -> None:
        """Write records and return when they are on the disk.

        Raises:
            StorageError: the disk is full; what was recorded before stays valid.
        """
        batch = list(records)
        if not batch:
            return
        if self._file is None:
            raise RunError(f"the run {self.folder} is closed; open it again to append")
        lines = b"".join(record.to_line(self.manifest.digest).encode() for record in batch)
        try:
            while lines:
                lines = lines[self._file.write(lines) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            # A line that is half written now is cut off when the run is opened again.
            self.close()
            raise storage_error(self.folder, error, _SAFE) from error
        self.done.update(record.index for record in batch)

    def log_session(self, session: Session) -> None:
        """Append what this process did to the session log."""
        try:
            with (self.folder / SESSIONS).open("a", encoding="utf-8") as file:
                file.write(
                    _line(
                        examples=session.examples,
                        samples=session.samples,
                        seconds=round(session.seconds, 3),
                        settings=session.settings,
                    )
                )
        except OSError as error:
            raise storage_error(self.folder, error, _SAFE) from error

    def close(self) -> None:
        """Close the files and release the lock; harmless when repeated."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _promise(self) -> None:
        """Write the manifest of a new run, or compare with that of an existing one."""
        if not (self.folder / FILE_NAME).exists():
            write_manifest(self.folder, self.manifest)
            return
        stored = read_manifest(self.folder)
        different = differences(stored, self.manifest)
        if different:
            raise RunError(
                f"{self.folder} was started with another promise:\n  "
                + "\n  ".join(different)
                + "\nRepeat the call with the run's own settings to resume it, or choose another --out"
            )
        # Its time, and with it the digest that records depend on, is that of the first session.
        self.manifest = stored


def _cut_torn_line(path: Path) -> None:
    """Cut off what follows the last newline: a record that a killed process left half written."""
    if not path.is_file():
        return
    whole = path.read_bytes().rfind(b"\n") + 1
    if whole < path.stat().st_size:
        with path.open("r+b") as file:
            file.truncate(whole)
            os.fsync(file.fileno())


def _check_folder(folder: Path) -> None:
    """Refuse, before anything is written, a folder that holds something else than a run."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file; a run is a folder. Choose another --out")
    if not folder.exists() or (folder / FILE_NAME).exists():
        return
    # A process that was killed while it wrote the manifest leaves the lock and a temporary file.
    ours = [folder / _LOCK, *folder.glob(f".{FILE_NAME}.*.tmp")]
    strangers = sorted(path.name for path in folder.iterdir() if path not in ours)
    if strangers:
        raise RunError(
            f"{folder} is not empty and not a run: it holds {', '.join(strangers[:3])} but no {FILE_NAME}. "
            "Choose another --out"
        )


def _parse(raw: bytes, manifest: Manifest, path: Path) -> list[Record]:
    read = _read_claim if manifest.kind == "imported" else _read_votes
    indices = set(manifest.data.indices())
    seen: set[int] = set()
    records: list[Record] = []
    for number, line in enumerate(raw.splitlines(), 1):
        try:
            raw_record = json.loads(line)
            _check_digest(raw_record, manifest.digest)
            record = read(raw_record, manifest)
        except (ValueError, KeyError, TypeError, UsageError) as error:
            raise RunError(
                f"{path}, line {number} is not a record ({error}). The line was changed after it was written; "
                "delete it, and the same command will certify its example again"
            ) from error
        if record.index in seen or (manifest.kind != "imported" and record.index not in indices):
            why = "a second time" if record.index in seen else "although it is not in the run's subset"
            raise RunError(f"{path}, line {number} records example {record.index} {why}; delete the line")
        seen.add(record.index)
        records.append(record)
    return records


def _check_digest(raw: dict[str, Any], promised: str) -> None:
    expected = record_digest(promised, raw)
    if raw[DIGEST] != expected:
        raise ValueError(f"its digest is {raw[DIGEST]!r}, that of its entries in this run {expected!r}")


def _read_votes(raw: dict[str, Any], manifest: Manifest) -> VoteRecord:
    selection, estimation = Counts(tuple(raw["selection"])), Counts(tuple(raw["estimation"]))
    classes = len(manifest.data.class_names)
    if len(selection.votes) != classes or len(estimation.votes) != classes:
        raise ValueError(f"expected votes for {classes} classes")
    if selection.total != manifest.n0:
        raise ValueError(f"expected {manifest.n0} selection votes, found {selection.total}")
    missing = estimator_of(manifest).draws_wanted(selection.top, estimation)
    if missing:
        raise ValueError(f"{estimation.total} estimation votes, {missing} fewer than the estimator asks for")
    if not 0 <= raw["label"] < classes:
        raise ValueError(f"label {raw['label']} is not one of the {classes} classes")
    return VoteRecord(int(raw["index"]), int(raw["label"]), selection, estimation)


def _read_claim(raw: dict[str, Any], manifest: Manifest) -> ClaimRecord:
    return ClaimRecord(
        index=int(raw["index"]),
        label=int(raw["label"]),
        predicted=None if raw["predicted"] is None else int(raw["predicted"]),
        radius=float(raw["radius"]),
        seconds=None if raw["seconds"] is None else float(raw["seconds"]),
    )


def _sealed(promised: str, **entries: Any) -> str:
    return _line(**entries, digest=record_digest(promised, entries))


def _line(**entries: Any) -> str:
    return json.dumps(entries, separators=(",", ":")) + "\n"
