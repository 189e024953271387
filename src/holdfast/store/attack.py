"""The store of an attack: what was promised before it began, and for each example the best adversarial that held.

The adversarials themselves lie in `found/`, one array a file, written before the record that names its hash.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
from dataclasses import asdict as entries_of
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import IO, TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np
from msgspec.structs import asdict

from holdfast.errors import RunError, UsageError
from holdfast.folders import entered
from holdfast.formats.manifests import AttackManifest as Document
from holdfast.formats.records import AttackLine
from holdfast.plain import Plain
from holdfast.store.data_manifest import DataManifest
from holdfast.store.digests import DIGEST
from holdfast.store.folder import RECORDS, RunFolder, Session, opened, read_sessions, sealed, whole_lines
from holdfast.store.manifest import Manifest, ensure_manifest, read_manifest, stored_manifest
from holdfast.store.results import FILE_NAME as RESULTS
from holdfast.store.results import check_results, conclude
from holdfast.types import Counts, Norm

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from holdfast.folders import Folder, Where

FORMAT = 1
FILE_NAME = "attack.json"
FOUND = "found"
EVIDENCE = "evidence"

MISCLASSIFIED, ABSTAINS = "misclassified", "abstains"


@dataclass(frozen=True)
class Budgets(Plain):
    """How far the adversary may go.

    Attributes:
        values: in increasing order; none where the attack looks for changes as small as it can find.
        relative: whether they are multiples of each example's certified radius; otherwise input units or pixels.
    """

    values: tuple[float, ...] = ()
    relative: bool = False

    def __post_init__(self) -> None:
        if any(not (value > 0 and math.isfinite(value)) for value in self.values):
            raise UsageError(
                f"budgets are finite numbers above 0, got {', '.join(f'{value:g}' for value in self.values)}: within 0 "
                "there is nothing to attack, and what unchanged inputs are answered is shown by `holdfast predict`. "
                "With none, an attack that can looks for small changes by itself"
            )
        if list(self.values) != sorted(set(self.values)):
            raise UsageError(f"budgets are given once each and in increasing order, got {self.values}")
        if self.relative and not self.values:
            raise UsageError("budgets relative to the certified radius need factors, as in 1x,1.5x,2x")

    def of(self, radius: float | None) -> tuple[float, ...]:
        """The budgets for an example: infinity where there are none, nothing where they have no radius to refer to."""
        if not self.values:
            return (math.inf,)
        if not self.relative:
            return self.values
        return () if not radius else tuple(value * radius for value in self.values)


@dataclass(frozen=True)
class AttackManifest(Manifest):
    """Everything that the results of an attack depend on.

    Attributes:
        attack: name and parameters.
        norm: in which it is measured.
        budgets: how far the adversary may go.
        wanted: the class to lead to: a number, "next", or None for any other.
        restarts: of a randomized attack, for each example and budget.
        repeats: runs of Predict that verify a claim.
        confidence: of an adversarial that counts.
        noise: of a smoothed classifier; None for a classifier without noise.
        n: votes of each answer; 0 without noise.
        alpha: at which it answers; 0 without noise.
        search_alpha: at which it abstains while an attack searches.
        soft_samples: noisy copies of a soft vote.
        data: which examples.
        model: as in the manifest of a certification; the backend is that of the votes.
        certification: digest of the run whose certificates are attacked; None where there is none.
        seed: of all randomness; None while it awaits an auditor's nonce.
        precision: in which the base classifier computes its votes; gradients are those of float32.
        device: kind of device, "cpu" or "cuda".
        versions: of Holdfast, and of the libraries that noise, votes and attacks come from.
        created: when the promise was made, UTC; not compared on resuming.
        format: of this file and of the records.
        seed_origin: as in the manifest of a certification.
        nonce: likewise.
        promise: likewise.
    """

    document: ClassVar[Any] = Document
    file_name: ClassVar[str] = FILE_NAME
    what: ClassVar[str] = "an attack"
    made_by: ClassVar[str] = "holdfast attack"
    current: ClassVar[int] = FORMAT
    attack: dict[str, Any]
    norm: str
    budgets: Budgets
    wanted: int | str | None
    restarts: int
    repeats: int
    confidence: float
    noise: dict[str, Any] | None
    n: int
    alpha: float
    search_alpha: float
    soft_samples: int
    data: DataManifest
    model: dict[str, Any]
    certification: str | None
    seed: int | None
    precision: str
    device: str
    versions: dict[str, str]
    created: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    format: int = FORMAT
    seed_origin: str | None = None
    nonce: str | None = None
    promise: str | None = None

    @classmethod
    def _parsed(cls, raw: dict[str, Any]) -> dict[str, Any]:
        budgets = raw["budgets"]
        return {**super()._parsed(raw), "budgets": Budgets(tuple(budgets["values"]), budgets["relative"])}


@dataclass(frozen=True)
class AttackRecord(Plain):
    """What an attack did to one example.

    Attributes:
        index: of the example in its split.
        label: its true class.
        reference: the class that the attack leads away from: the certified one, or the classifier's own answer for the
            unchanged input; None where it gave none.
        radius: certified for `reference`, in the attack's norm; None where nothing is.
        budgets: that were tried, in this order, up to the first that succeeded, or up to the radius where that one is
            an abstention within it; infinity is None.
        magnitude: distance of the smallest adversarial that held, or of the one that contradicts the certificate; 0
            where the unchanged input is one; None if none was found.
        kind: `misclassified` or `abstains`; None if none was found.
        answer: the class that the smoothed classifier has there, at the confidence of the check; None for none.
        claims: adversarials that were claimed and verified: those nearer than any that held before, and those within
            the radius.
        refused: of them that fresh noise did not confirm.
        repeats: runs of Predict that verified the one that held.
        failures: of them in which it did what the adversary wants.
        votes: of all these runs together; None where nothing is random.
        restarts: runs of the attack.
        queries: what the classifier was asked, in decisions, scores, gradients and noisy samples, checks included.
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

    def to_line(self, promised: str) -> str:
        """The record as one line of JSON, in an attack whose manifest has the digest `promised`."""
        entries = {**entries_of(self), "votes": None if self.votes is None else list(self.votes.votes)}
        return sealed(promised, **{**entries, "budgets": list(self.budgets)})


@dataclass(frozen=True)
class AttackRun:
    """An attack as it lies on the disk: the promise, and the whole records in the order of their indices."""

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


class AttackStore(RunFolder):
    """An attack opened for appending, by one process at a time.

    Args:
        folder: of the attack; made if it is not there.
        manifest: what is promised; an existing attack must have promised the same.

    Raises:
        RunLockedError, RunError, StorageError: see `RunFolder`.
    """

    def __init__(self, folder: Where, manifest: AttackManifest) -> None:
        self.manifest = manifest
        super().__init__(folder, FILE_NAME, files=(RESULTS,), folders=(FOUND, EVIDENCE))

    def append(self, found: Iterable[tuple[AttackRecord, NDArray[np.float32] | None]]) -> None:
        """Write records and their adversarials, and return when they are on the disk."""
        batch = list(found)
        if not batch:
            return
        for record, values in batch:
            if values is not None:
                with (
                    self.guarded(),
                    self.folder.folder(FOUND, make=True) as place,
                    place.replacing(_name(record.index)) as file,
                ):
                    file.write(_file(values))
        self.write(b"".join(record.to_line(self.manifest.digest).encode() for record, _ in batch))
        self.done.update(record.index for record, _ in batch)

    def _promise(self) -> None:
        """Write the manifest of a new attack, or compare with that of an existing one."""
        self.manifest = ensure_manifest(self.folder, self.manifest)

    def _recorded(self) -> set[int]:
        # `results.json` is compared when the attack is complete again: records that were lost are then made anew.
        return {record.index for record in _read(self.folder, self.manifest, whole_lines(self.folder)).records}

    def conclude(self) -> None:
        """Write `results.json` if every promised example has a record; see `holdfast.store.results`."""
        with self.guarded():
            conclude(self.folder, self.manifest.digest, len(self.manifest.data.indices()))


def read_attack_manifest(folder: Where | Folder) -> AttackManifest:
    """The manifest of an attack; see `read_manifest`."""
    return read_manifest(folder, AttackManifest)


def stored_attack_manifest(folder: Where) -> AttackManifest | None:
    """The manifest of an attack that was begun in a folder; see `stored_manifest`."""
    return stored_manifest(folder, AttackManifest)


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
    records: dict[int, AttackRecord] = {}
    indices = manifest.data.indices()
    for number, text in enumerate(lines, 1):
        where = f"{folder / RECORDS}, line {number}"
        try:
            record = _record(opened(text, manifest.digest, AttackLine), manifest)
        except ValueError as error:
            raise RunError(
                f"{where} is not a record ({error}). The line was changed after it was written; delete it, and the "
                "same command will attack its example again"
            ) from error
        if record.index in records or record.index not in indices:
            why = "a second time" if record.index in records else "although it is not in the attack's subset"
            raise RunError(f"{where} records example {record.index} {why}; delete the line")
        records[record.index] = record
    in_order = tuple(records[index] for index in sorted(records))
    for record in in_order:
        _adversarial(folder, manifest, record)
    return AttackRun(folder.where, manifest, in_order, read_sessions(folder))


def hashed(values: NDArray[np.float32]) -> str:
    """The SHA-256 of the file that holds an adversarial."""
    return hashlib.sha256(_file(values)).hexdigest()


def norm_of(manifest: AttackManifest) -> Norm:
    """The norm in which an attack is measured."""
    return Norm(manifest.norm)


def _name(index: int) -> str:
    return f"{index}.npy"


def _file(values: NDArray[np.float32]) -> bytes:
    """An array as a .npy file: little endian, the last dimension first."""
    return _header(values.shape) + values.astype("<f4").tobytes()


def _header(shape: tuple[int, ...]) -> bytes:
    """What a .npy file of float32 values of this shape begins with."""
    raw = io.BytesIO()
    np.lib.format.write_array_header_1_0(raw, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return raw.getvalue()


def _adversarial(folder: Folder, manifest: AttackManifest, record: AttackRecord) -> NDArray[np.float32] | None:
    """The adversarial of a record; see `AttackRun.adversarial`."""
    if record.adversarial is None:
        return None
    name = _name(record.index)
    try:
        with _found(folder) as place, place.reading(name) or _missing() as file:
            return _values(file, manifest.data.shape, record.adversarial)
    except ValueError as error:
        raise RunError(
            f"{folder / FOUND / name} {error}. Restore it from a copy; if there is none, delete the record of example "
            f"{record.index}, and the same command attacks it again"
        ) from None


def _found(folder: Folder) -> Folder:
    try:
        return folder.folder(FOUND)
    except OSError:
        return _missing()


def _missing() -> NoReturn:
    raise ValueError("is missing")


def _values(file: IO[bytes], shape: tuple[int, ...], expected: str) -> NDArray[np.float32]:
    """The values of an adversarial. Its size is known beforehand, so that a damaged header is never followed.

    Raises:
        ValueError: it is another file than that with this hash; says so of the file.
    """
    header = _header(shape)
    size, found = len(header) + 4 * math.prod(shape), os.fstat(file.fileno()).st_size
    if found != size:
        raise ValueError(
            f"was changed after it was written: it has {found} bytes, and float32 values of shape {shape} take {size}"
        )
    raw = file.read()
    if not raw.startswith(header):
        raise ValueError(
            f"was changed after it was written: it is no .npy file of float32 values of shape {shape}, which the "
            "attack promises"
        )
    if hashlib.sha256(raw).hexdigest() != expected:
        raise ValueError("was changed after it was written: it does not have the hash that its record names")
    return np.frombuffer(raw, "<f4", offset=len(header)).reshape(shape).astype(np.float32)


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
