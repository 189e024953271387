"""The run store: for each certified example its votes, one a line (`folder`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import RunError, UsageError
from holdfast.estimators.proved import MOST_RADIUS
from holdfast.folders import Folder, Where, entered
from holdfast.formats.records import BoundLine, ClaimLine, VoteLine
from holdfast.plain import Plain
from holdfast.store.data_manifest import DataManifest
from holdfast.store.folder import (
    RECORDS,
    SESSIONS,
    RunFolder,
    Session,
    opened,
    read_records,
    read_sessions,
    sealed,
    whole_lines,
)
from holdfast.store.manifest import ensure_manifest
from holdfast.store.results import FILE_NAME as RESULTS
from holdfast.store.results import check_results, conclude
from holdfast.store.run_manifest import (
    BOUND,
    CERTIFY,
    FILE_NAME,
    IMPORTED,
    RunManifest,
    checked_estimator,
    estimator_of,
    proved_of,
    read_run_manifest,
)
from holdfast.types import Counts, RankedCounts, unranked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.folders import Below

# Pictures of the first examples; see `gallery`.
GALLERY = "gallery.npz"

__all__ = [
    "GALLERY",
    "BoundRecord",
    "RECORDS",
    "SESSIONS",
    "ClaimRecord",
    "Record",
    "Run",
    "RunStore",
    "Session",
    "VoteRecord",
    "read_run",
]


@dataclass(frozen=True)
class VoteRecord(Plain):
    """The record of a certified example: its votes, from which everything else follows."""

    index: int
    label: int
    selection: Counts
    estimation: Counts

    def to_line(self, manifest_digest: str) -> str:
        """The record as one line of JSON, in a run whose manifest has the digest `manifest_digest`."""
        pairs = self.estimation.pairs if isinstance(self.estimation, RankedCounts) else None
        return sealed(
            manifest_digest,
            index=self.index,
            label=self.label,
            selection=list(self.selection.votes),
            estimation=list(self.estimation.votes),
            **({} if pairs is None else {"pairs": [list(row) for row in pairs]}),
        )


@dataclass(frozen=True)
class ClaimRecord(Plain):
    """The record of an example in an imported log: the claim of another tool, without votes to check it."""

    index: int
    label: int
    predicted: int | None
    radius: float
    seconds: float | None

    def to_line(self, manifest_digest: str) -> str:
        """The record as one line of JSON, in a run whose manifest has the digest `manifest_digest`."""
        return sealed(
            manifest_digest,
            index=self.index,
            label=self.label,
            predicted=self.predicted,
            radius=self.radius,
            seconds=self.seconds,
        )


@dataclass(frozen=True)
class BoundRecord(Plain):
    """The record of an example that a deterministic bound is about.

    Attributes:
        index: index of the example in its split.
        label: its true class.
        answer: answer of the classifier for the unchanged example; None where rounding does not let one say.
        radius: within which the answer is proved not to change; 0 where nothing further is proved.
    """

    index: int
    label: int
    answer: int | None
    radius: float

    def to_line(self, manifest_digest: str) -> str:
        """The record as one line of JSON, in a run whose manifest has the digest `manifest_digest`."""
        return sealed(manifest_digest, index=self.index, label=self.label, answer=self.answer, radius=self.radius)


Record = VoteRecord | ClaimRecord | BoundRecord


@dataclass(frozen=True)
class Run:
    """A run on the disk: the manifest, and the whole records in the order of their indices.

    `results` is the digest of them all, where it was written: when the run was complete.
    """

    folder: Where
    manifest: RunManifest
    records: tuple[Record, ...]
    sessions: tuple[Session, ...]
    results: str | None = None

    @property
    def missing(self) -> int:
        """How many examples of the subset have no record yet."""
        return len(self.manifest.data.indices()) - len(self.records)


def read_run(folder: Where | Folder, to_go_on: bool = False) -> Run:
    """The run in `folder`, without touching it; a torn last line is left out.

    Args:
        folder: folder of the run.
        to_go_on: whether it will be continued, so that records may have been lost since it was complete.

    Raises:
        RunError: not a run, a record in it is corrupt, its records are not those of its `results.json`, or something
            else than a file lies in the place of one.
    """
    with entered(folder) as place:
        manifest, lines = read_run_manifest(place), whole_lines(place)
        records = _parse(lines, manifest, place / RECORDS)
        unfinished = to_go_on and len(lines) < len(manifest.data.indices())
        results = None if unfinished else check_results(place, manifest.digest, lines)
        return Run(
            place.where,
            manifest,
            tuple(sorted(records, key=lambda record: record.index)),
            read_sessions(place),
            None if results is None else results.results,
        )


class RunStore(RunFolder):
    """A run opened for appending, by one process at a time.

    Args:
        folder: folder of the run; made if it is not there.
        manifest: manifest of the run. A new run writes it before anything else; an existing run must have the same
            settings.

    Raises:
        RunLockedError: another process has the run open.
        RunError: the run has other settings, or is corrupt.
        StorageError: the disk is full or refuses to write.
    """

    def __init__(self, folder: Where, manifest: RunManifest) -> None:
        self.manifest = manifest
        super().__init__(folder, FILE_NAME, files=(GALLERY, RESULTS))

    def append(self, records: Iterable[Record]) -> None:
        """Write records and return when they are on the disk.

        Raises:
            StorageError: the disk is full; what was recorded before stays valid.
        """
        batch = list(records)
        if not batch:
            return
        self.write(b"".join(record.to_line(self.manifest.digest).encode() for record in batch))
        self.done.update(record.index for record in batch)

    def _ensure_manifest(self) -> None:
        """Write the manifest of a new run, or compare with that of an existing one."""
        self.manifest = ensure_manifest(self.folder, self.manifest)

    def _recorded(self) -> set[int]:
        # `results.json` is compared when the run is complete again: records that were lost are then made anew.
        return {record.index for record in self.records()}

    def records(self) -> list[Record]:
        """The whole records that lie in the folder."""
        return _parse(whole_lines(self.folder), self.manifest, self.folder / RECORDS)

    def conclude(self) -> None:
        """Write `results.json` if every promised example has a record; see `holdfast.store.results`."""
        with self.guarded():
            conclude(self.folder, self.manifest.digest, len(self.manifest.data.indices()))


def _parse(lines: Sequence[bytes], manifest: RunManifest, path: Below) -> list[Record]:
    kind = _KINDS[manifest.kind]
    try:
        read = kind.reader(manifest)
    except UsageError as error:
        raise RunError(
            f"{path.parent / FILE_NAME} has impossible settings: {error}. Restore the file from a copy; if there is "
            "none, the run has to be made again"
        ) from error
    return read_records(lines, path, read, kind.indices(manifest.data), "run", "certify")


def _votes_of(manifest: RunManifest) -> Callable[[bytes], VoteRecord]:
    """A function that reads a line of a certification, after a check of the manifest."""
    estimator, classes, manifest_digest = checked_estimator(manifest), len(manifest.data.class_names), manifest.digest

    def read(text: bytes) -> VoteRecord:
        line = opened(text, manifest_digest, VoteLine)
        selection, estimation = Counts(tuple(line.selection)), _estimation(line, ranked=estimator.ranked)
        if len(selection.votes) != classes or len(estimation.votes) != classes:
            raise ValueError(f"expected votes for {classes} classes")
        if selection.total != manifest.n0:
            raise ValueError(f"expected {manifest.n0} selection votes, found {selection.total}")
        if not estimator.passes(estimation.total):
            raise ValueError(f"the estimator does not stop at {estimation.total} votes")
        missing = estimator.informed(selection).draws_wanted(selection.top, estimation)
        if missing:
            raise ValueError(f"{estimation.total} estimation votes, {missing} fewer than the estimator asks for")
        return VoteRecord(line.index, _class("label", line.label, classes), selection, estimation)

    return read


def _estimation(line: VoteLine, *, ranked: bool) -> Counts:
    if (line.pairs is not None) != ranked:
        raise ValueError(f"the estimator {'needs' if ranked else 'has no'} rankings of pairs, in the entry pairs")
    if line.pairs is None:
        return Counts(tuple(line.estimation))
    if found := unranked(line.estimation, line.pairs):
        raise ValueError(found)
    return RankedCounts.ranked(line.estimation, line.pairs)


def _claims_of(manifest: RunManifest) -> Callable[[bytes], ClaimRecord]:
    """What reads a line of an imported log."""
    estimator_of(manifest)
    classes, manifest_digest = len(manifest.data.class_names), manifest.digest

    def read(text: bytes) -> ClaimRecord:
        line = opened(text, manifest_digest, ClaimLine)
        return ClaimRecord(
            index=line.index,
            label=_class("label", line.label, classes),
            predicted=None if line.predicted is None else _class("predicted", line.predicted, classes),
            radius=line.radius,
            seconds=line.seconds,
        )

    return read


def _bounds_of(manifest: RunManifest) -> Callable[[bytes], BoundRecord]:
    """A function that reads a line of deterministic bounds."""
    classes, manifest_digest, proved = len(manifest.data.class_names), manifest.digest, proved_of(manifest)
    most = MOST_RADIUS if proved.most is None else min(MOST_RADIUS, proved.most)

    def read(text: bytes) -> BoundRecord:
        line = opened(text, manifest_digest, BoundLine)
        answer = None if line.answer is None else _class("answer", line.answer, classes)
        if answer is None and line.radius > 0.0:
            raise ValueError(f"there is no answer, and a radius of {line.radius}")
        if line.radius > most:
            raise ValueError(f"the radius is {line.radius}, and the bound {proved.spelling} gives {most:g} at most")
        return BoundRecord(line.index, _class("label", line.label, classes), answer, line.radius)

    return read


def _class(name: str, value: int, classes: int) -> int:
    if value >= classes:
        raise ValueError(f"{name} {value!r} is not one of the {classes} classes")
    return value


@dataclass(frozen=True)
class _Kind:
    """What the lines of a kind of run hold.

    Attributes:
        reader: manifest, which it checks -> what reads a line.
        indices: of the examples that may have a record: a range, which knows its members without listing them.
    """

    reader: Callable[[RunManifest], Callable[[bytes], Record]]
    indices: Callable[[DataManifest], Sequence[int]]


_KINDS = {
    CERTIFY: _Kind(_votes_of, DataManifest.indices),
    # Which examples a log is about is in its records alone.
    IMPORTED: _Kind(_claims_of, lambda data: range(data.size)),
    BOUND: _Kind(_bounds_of, DataManifest.indices),
}
