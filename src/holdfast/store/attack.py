"""The store of an attack: for each example the best adversarial that held.

The adversarials themselves (`adversarials`) are written before the record that names their hash.
"""

from __future__ import annotations

from dataclasses import asdict as entries_of
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import asdict

from holdfast.folders import entered
from holdfast.formats.records import AttackLine
from holdfast.plain import Plain
from holdfast.store.adversarials import (
    FOUND,
    INPUTS,
    inputs_there,
    read_adversarial,
    read_input,
    write_adversarial,
    write_input,
)
from holdfast.store.attack_manifest import FILE_NAME, AttackManifest, read_attack_manifest
from holdfast.store.digests import DIGEST
from holdfast.store.folder import RECORDS, RunFolder, Session, opened, read_records, read_sessions, sealed, whole_lines
from holdfast.store.manifest import ensure_manifest
from holdfast.store.results import FILE_NAME as RESULTS
from holdfast.store.results import check_results, conclude
from holdfast.types import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from holdfast.folders import Folder, Where

EVIDENCE = "evidence"

# Adversarials whose unchanged inputs are kept beside them, for pictures.
KEPT = 12

MISCLASSIFIED, ABSTAINS = "misclassified", "abstains"


@dataclass(frozen=True)
class AttackRecord(Plain):
    """The result of an attack on one example.

    Attributes:
        index: index of the example in its split.
        label: its true class.
        reference: the class that the attack leads away from: the certified one, or the classifier's own answer for the
            unchanged input; None where it gave none.
        radius: certified for `reference`, in the attack's norm; None where nothing is.
        budgets: budgets that were tried, in this order, up to the first that succeeded, or up to the radius where that
            one is an abstention within it; infinity is None.
        magnitude: distance of the smallest adversarial that held, or of the one that contradicts the certificate; 0
            where the unchanged input is one; None if none was found.
        kind: `misclassified` or `abstains`; None if none was found.
        answer: the class that the smoothed classifier has there, at the confidence of the check; None for none.
        claims: adversarials that were claimed and verified: those nearer than any that held before, and those within
            the radius.
        refused: how many of them fresh noise did not confirm.
        repeats: runs of Predict that verified the one that held.
        failures: how many of them did what the adversary wants.
        votes: votes of all these runs together; None where nothing is random.
        restarts: runs of the attack.
        queries: number of queries to the classifier: decisions, scores, gradients and noisy samples, with checks.
        adversarial: SHA-256 of the adversarial's values, float32; None if none was found.
    """

    index: int
    label: int
    reference: int | None
    radius: float | None
    budgets: tuple[float | None, ...]
    magnitude: float | None
    kind: str | None
    answer: int | None
    claims: int
    refused: int
    repeats: int
    failures: int
    votes: Counts | None
    restarts: int
    queries: dict[str, int]
    adversarial: str | None

    @property
    def alarm(self) -> bool:
        """Whether it contradicts the certificate: another class is established within the certified radius.

        An abstention there is none: the theorem says which class is the most probable, not by how many votes.
        """
        return (
            self.kind == MISCLASSIFIED
            and self.answer is not None
            and self.answer != self.reference
            and self.radius is not None
            and self.magnitude is not None
            and self.magnitude <= self.radius
        )

    def to_line(self, manifest_digest: str) -> str:
        """The record as one line of JSON, in an attack whose manifest has the digest `manifest_digest`."""
        entries = {**entries_of(self), "votes": None if self.votes is None else list(self.votes.votes)}
        return sealed(manifest_digest, **{**entries, "budgets": list(self.budgets)})


@dataclass(frozen=True)
class AttackRun:
    """An attack on the disk: the manifest, and the whole records in the order of their indices."""

    folder: Where
    manifest: AttackManifest
    records: tuple[AttackRecord, ...]
    sessions: tuple[Session, ...]

    @property
    def missing(self) -> int:
        """How many examples of the subset have no record yet."""
        return len(self.manifest.data.indices()) - len(self.records)

    @property
    def alarms(self) -> tuple[int, ...]:
        """The examples whose certificate is contradicted."""
        return tuple(record.index for record in self.records if record.alarm)

    def adversarial(self, record: AttackRecord) -> NDArray[np.float32] | None:
        """The adversarial of a record, `(*event)`; None if there is none.

        Raises:
            RunError: its file is missing, or not the one that the record names, of the shape that is promised.
        """
        with entered(self.folder) as folder:
            return _adversarial(folder, self.manifest, record)

    def original(self, record: AttackRecord) -> NDArray[np.float32] | None:
        """The unchanged input of a record, `(*event)`; None if it was not kept: only those of a few adversarials are.

        Raises:
            RunError: its file has other values than those of such an input.
        """
        with entered(self.folder) as folder:
            return read_input(folder, record.index, self.manifest.data.shape)


class AttackStore(RunFolder):
    """An attack opened for appending, by one process at a time.

    Args:
        folder: folder of the attack; made if it is not there.
        manifest: manifest of the attack; an existing attack must have the same settings.

    Raises:
        RunLockedError, RunError, StorageError: see `RunFolder`.
    """

    def __init__(self, folder: Where, manifest: AttackManifest) -> None:
        self.manifest = manifest
        super().__init__(folder, FILE_NAME, files=(RESULTS,), folders=(FOUND, EVIDENCE, INPUTS))

    def append(self, found: Iterable[tuple[AttackRecord, NDArray[np.float32] | None]]) -> None:
        """Write records and their adversarials, and return when they are on the disk."""
        batch = list(found)
        if not batch:
            return
        for record, values in batch:
            if values is not None:
                with self.guarded():
                    write_adversarial(self.folder, record.index, values)
        self.write(b"".join(record.to_line(self.manifest.digest).encode() for record, _ in batch))
        self.done.update(record.index for record, _ in batch)

    def keep(self, index: int, values: NDArray[np.float32]) -> None:
        """Keep the unchanged input of an adversarial for pictures, unless there are enough."""
        with self.guarded():
            if inputs_there(self.folder) < KEPT:
                write_input(self.folder, index, values)

    def _ensure_manifest(self) -> None:
        """Write the manifest of a new attack, or compare with that of an existing one."""
        self.manifest = ensure_manifest(self.folder, self.manifest)

    def _recorded(self) -> set[int]:
        # `results.json` is compared when the attack is complete again: records that were lost are then made anew.
        return {record.index for record in _read(self.folder, self.manifest, whole_lines(self.folder)).records}

    def conclude(self) -> None:
        """Write `results.json` if every promised example has a record; see `holdfast.store.results`."""
        with self.guarded():
            conclude(self.folder, self.manifest.digest, len(self.manifest.data.indices()))


def read_attack(folder: Where | Folder) -> AttackRun:
    """The attack in `folder`, without touching it; a torn last line is left out.

    Raises:
        RunError: not an attack, a record or an adversarial in it is corrupt, its records are not those of its
            `results.json`, or something else than a file lies in the place of one.
    """
    with entered(folder) as place:
        return _read_attack(place)


def _read_attack(folder: Folder) -> AttackRun:
    manifest, lines = read_attack_manifest(folder), whole_lines(folder)
    found = _read(folder, manifest, lines)
    check_results(folder, manifest.digest, lines)
    return found


def _read(folder: Folder, manifest: AttackManifest, lines: Sequence[bytes]) -> AttackRun:
    def read(text: bytes) -> AttackRecord:
        return _record(opened(text, manifest.digest, AttackLine), manifest)

    records = read_records(lines, folder / RECORDS, read, manifest.data.indices(), "attack", "attack")
    in_order = tuple(sorted(records, key=lambda record: record.index))
    for record in in_order:
        _adversarial(folder, manifest, record)
    return AttackRun(folder.where, manifest, in_order, read_sessions(folder))


def _adversarial(folder: Folder, manifest: AttackManifest, record: AttackRecord) -> NDArray[np.float32] | None:
    """The adversarial of a record; see `AttackRun.adversarial`."""
    if record.adversarial is None:
        return None
    return read_adversarial(folder, record.index, manifest.data.shape, record.adversarial)


def _record(line: AttackLine, manifest: AttackManifest) -> AttackRecord:
    """The record of a line.

    Raises:
        ValueError: a class or votes that the manifest leaves no room for.
    """
    classes = len(manifest.data.class_names)
    for name, label in (("label", line.label), ("reference", line.reference), ("answer", line.answer)):
        if label is not None and label >= classes:
            raise ValueError(f"{name} {label} is not one of the {classes} classes")
    if line.adversarial is not None and line.votes is not None:
        expected = line.repeats * max(1, manifest.n)
        if len(line.votes) != classes or sum(line.votes) != expected:
            raise ValueError(
                f"{sum(line.votes)} votes for {len(line.votes)} classes; {line.repeats} answers have {expected}, for "
                f"{classes} classes"
            )
    entries = {name: getattr(line, name) for name in line.__struct_fields__ if name != DIGEST}
    votes = None if line.votes is None else Counts(tuple(line.votes))
    return AttackRecord(**{**entries, "budgets": tuple(line.budgets), "votes": votes, "queries": asdict(line.queries)})
