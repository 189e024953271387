"""An attack checked from its files, and its distances where the unchanged inputs are given; by no code that made it.

What no file shows, that a classifier answers as a record says, is for whoever has the model (`holdfast.cli`).
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.budgets import check_memory
from holdfast.errors import RunError
from holdfast.folders import below, lies, opened_file
from holdfast.formats.manifests import AttackManifest
from holdfast.formats.records import AttackLine
from holdfast.verification.findings import Findings
from holdfast.verification.manifest import canonical, read_entries, read_lines, read_record
from holdfast.verification.results import check_results
from holdfast.verification.seed import read_seed
from holdfast.verification.subset import indices_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holdfast.folders import Where

MANIFEST = "attack.json"
_FORMAT = 1
_FOUND, _EVIDENCE = "found", "evidence"
_MAGIC = b"\x93NUMPY\x01\x00"
# Bytes of a file of values, before them; and that a value takes on its way, as a number of Python's in a tuple.
_MOST_HEADER, _VALUE = 1024, 36
# float32 ends here.
_LARGEST = 3.4e38
# Distances in L2 are sums in float64, in whatever order.
_TOLERANCE = 1e-9


@dataclass
class AttackVerification(Findings):
    """The outcome of checking an attack.

    Attributes:
        adversarials: number of files whose hash, shape and range are right.
        distances: how many of them lie as far from their unchanged inputs as recorded.
        answers: number of answers that the classifier gave again.
        certified: number of records that were compared with the run whose certificates were attacked.
        certification: digest of that run's manifest; None where there is none.
    """

    adversarials: int = 0
    distances: int = 0
    answers: int = 0
    certified: int = 0
    certification: str | None = None


@dataclass(frozen=True)
class AttackFiles:
    """An attack as verify read it.

    Attributes:
        folder: folder of the attack.
        norm: norm of its distances: L0, L1, L2, Linf or patch.
        n: votes of each answer; 0 without noise.
        shape: shape of one input.
        low: smallest value of an input.
        high: largest value of an input.
        classes: how many there are.
        indices: the subset.
        entries: all of the manifest, numbers with a point or an exponent as they are written.
        records: entries by index, those whose digest, content and adversarial are right.
    """

    folder: Where
    norm: str
    n: int
    shape: tuple[int, ...]
    low: float
    high: float
    classes: int
    indices: Sequence[int]
    entries: Mapping[str, Any]
    records: dict[int, Mapping[str, Any]]

    def adversarial(self, index: int) -> tuple[float, ...]:
        """The values of an adversarial, the last dimension first.

        Raises:
            ValueError: its file is missing, of another kind or shape, or has a value out of range.
        """
        return self.values(index, self.file(index))

    def file(self, index: int) -> bytes:
        """The content of an adversarial's file; empty if there is none, or one of another size, which may be huge.

        Raises:
            RunError: something else than a file lies there.
        """
        opened = opened_file(below(self.folder, _FOUND, f"{index}.npy"))
        if opened is None:
            return b""
        with opened as file:
            fits = os.fstat(file.fileno()).st_size <= _MOST_HEADER + 4 * math.prod(self.shape)
            return file.read() if fits else b""

    def values(self, index: int, raw: bytes) -> tuple[float, ...]:
        """The values in what the file of an adversarial holds.

        Raises:
            ValueError: see `adversarial`.
        """
        count = math.prod(self.shape)
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {self.shape}, }}".encode()
        begin = len(_MAGIC) + 2 + int.from_bytes(raw[len(_MAGIC) : len(_MAGIC) + 2], "little")
        described = raw[len(_MAGIC) + 2 : begin].strip()
        if not raw.startswith(_MAGIC) or described != header or len(raw) != begin + 4 * count:
            raise ValueError(f"found/{index}.npy is missing, or is not a file of float32 values of shape {self.shape}")
        values = struct.unpack(f"<{count}f", raw[begin:])
        # Written so that a NaN fails.
        if not all(_float32(self.low) <= value <= _float32(self.high) for value in values):
            raise ValueError(f"found/{index}.npy has values outside [{self.low:g}, {self.high:g}]")
        return values


def attack_entries(folder: Where) -> dict[str, Any]:
    """The entries of an attack's manifest; see `read_entries`."""
    return read_entries(folder, MANIFEST, _FORMAT, "an attack", AttackManifest)


def check_attack(folder: Where, result: AttackVerification) -> AttackFiles | None:
    """Check the digests, records and adversarials of an attack; None where the manifest itself is wrong.

    Args:
        folder: folder of the attack.
        result: takes the counts, digests, failures and notes.
    """
    try:
        entries = attack_entries(folder)
        files = _material(folder, entries)
        lines = read_lines(folder)
    except RunError as error:
        result.failures.append(str(error))
        return None
    result.digest, result.examples = entries["digest"], len(files.indices)
    result.certification = entries["certification"]
    read_seed(entries, canonical).tell(result)
    for number, line in enumerate(lines, 1):
        try:
            record = read_record(line, result.digest, AttackLine)
            _check_record(record, files)
            result.records += 1
            if record["adversarial"] is not None:
                _check_file(record, files)
                result.adversarials += 1
        except (ValueError, RunError) as error:
            result.failures.append(f"records.jsonl, line {number}: {error}")
        else:
            files.records[record["index"]] = record
    if not result.failures:
        check_results(folder, files.records, result)
        _check_left_over(files, result)
    alarms = [index for index, record in files.records.items() if _contradicts(record)]
    if alarms:
        result.notes.append(f"these examples contradict their certificates: {', '.join(map(str, alarms))}")
    return files


def check_distances(
    files: AttackFiles, inputs: Iterable[tuple[int, Sequence[float]]], result: AttackVerification
) -> None:
    """Check distances against the unchanged inputs.

    Args:
        files: the attack.
        inputs: index and values (the last dimension first) of each example with a record.
        result: takes the counts and failures.
    """
    for index, values in inputs:
        record = files.records[index]
        if record["adversarial"] is None:
            continue
        found = _distance(files.norm, files.shape, values, files.adversarial(index))
        if math.isclose(found, float(record["magnitude"]), rel_tol=_TOLERANCE):
            result.distances += 1
        else:
            result.failures.append(
                f"example {index}: the adversarial is at {files.norm} distance {found!r}, {record['magnitude']} is "
                "recorded"
            )


def check_certification(
    files: AttackFiles,
    digest: str,
    norm: str,
    certified: Mapping[int, tuple[int | None, float | None]],
    result: AttackVerification,
) -> None:
    """Check what an attack claims about the certificates that it attacked.

    Args:
        files: the attack.
        digest: digest of the manifest of the run with these certificates.
        norm: norm of its radii.
        certified: for each of its examples the class that is attacked, and the radius that is certified for it.
        result: takes the counts and failures.
    """
    if result.certification != digest:
        result.failures.append(f"the certification has the digest {digest}, the attack names {result.certification}")
        return
    if norm != files.norm:
        result.failures.append(f"the radii of the certification are {norm}, the attack is measured in {files.norm}")
    for index, record in files.records.items():
        radius = None if record["radius"] is None else float(record["radius"])
        if index not in certified:
            result.failures.append(f"example {index} is not in the certification")
        elif (record["reference"], radius) != certified[index]:
            result.failures.append(
                f"example {index}: class {record['reference']} within {radius} is recorded, certified is class "
                f"{certified[index][0]} within {certified[index][1]}"
            )
        result.certified += 1


def _check_left_over(files: AttackFiles, result: AttackVerification) -> None:
    """A file of an adversarial or an alarm that its record does not name was taken out of the record."""
    for index, record in sorted(files.records.items()):
        if record["adversarial"] is None and lies(below(files.folder, _FOUND, f"{index}.npy")):
            result.failures.append(f"found/{index}.npy exists, but the record of example {index} names none")
        if not _contradicts(record) and lies(below(files.folder, _EVIDENCE, f"{index}.json")):
            result.failures.append(f"evidence/{index}.json exists, but the record of example {index} is not an alarm")


def _material(folder: Where, entries: Mapping[str, Any]) -> AttackFiles:
    data = entries["data"]
    if not (-_LARGEST < float(data["low"]) < float(data["high"]) < _LARGEST):
        raise RunError(f"{folder / MANIFEST}: inputs in [{data['low']}, {data['high']}] are none that float32 can hold")
    check_memory(_VALUE * math.prod(data["shape"]), folder / MANIFEST, RunError, "its shape was changed")
    return AttackFiles(
        folder=folder,
        norm=entries["norm"],
        n=entries["n"],
        shape=tuple(data["shape"]),
        low=float(data["low"]),
        high=float(data["high"]),
        classes=len(data["class_names"]),
        indices=indices_of(data),
        entries=entries,
        records={},
    )


def _check_record(record: Mapping[str, Any], files: AttackFiles) -> None:
    """Raise ValueError unless the record is one that the attack can have written."""
    index, votes, repeats = record["index"], record["votes"], record["repeats"]
    if index in files.records:
        raise ValueError(f"example {index} has a second record")
    if index not in files.indices:
        raise ValueError(f"example {index} is not in the subset")
    for name in ("label", "reference", "answer"):
        found = record[name]
        if found is not None and found >= files.classes:
            raise ValueError(f"example {index}: {name} {found!r} is not one of {files.classes} classes")
    if record["adversarial"] is None:
        return
    most = _largest_budget(files.entries["budgets"], record["radius"])
    if not float(record["magnitude"]) <= most:
        raise ValueError(
            f"example {index}: the adversarial is at {record['magnitude']}, beyond {most!r}, the largest budget that "
            "the manifest promises"
        )
    if votes is None:
        return
    if len(votes) != files.classes or sum(votes) != repeats * max(1, files.n):
        raise ValueError(f"example {index}: {sum(votes)} votes, {repeats} answers have {repeats * max(1, files.n)}")


def _largest_budget(budgets: Mapping[str, Any], radius: float | str | None) -> float:
    """The largest budget for an example with this certified radius: without any budgets there is no end."""
    largest = max(map(float, budgets["values"]), default=math.inf)
    if not budgets["relative"]:
        return largest
    return largest * float(radius) if radius is not None else 0.0


def _check_file(record: Mapping[str, Any], files: AttackFiles) -> None:
    """Raise ValueError unless the adversarial is the one that the record names, in range."""
    index = record["index"]
    raw = files.file(index)
    files.values(index, raw)
    found = hashlib.sha256(raw).hexdigest()
    if found != record["adversarial"]:
        raise ValueError(f"found/{index}.npy has the SHA-256 {found}, the record names {record['adversarial']}")


def _contradicts(record: Mapping[str, Any]) -> bool:
    """Whether the record has another class within the certified radius."""
    other = record["kind"] == "misclassified" and record["answer"] not in (None, record["reference"])
    return other and record["radius"] is not None and float(record["magnitude"]) <= float(record["radius"])


def _distance(norm: str, shape: tuple[int, ...], x: Sequence[float], other: Sequence[float]) -> float:
    """The distance of two inputs; all channels of a pixel count as one.

    The size of a patch is the side of the smallest square that holds all changed pixels, on the circle of rows and on
    that of columns.
    """
    changes = [abs(second - first) for first, second in zip(x, other, strict=True)]
    if norm == "Linf":
        return max(changes)
    if norm == "L1":
        return math.fsum(changes)
    if norm == "L2":
        return math.sqrt(math.fsum(change * change for change in changes))
    pixels = math.prod(shape[1:]) if len(shape) > 1 else shape[0]
    differs = [any(changes[pixel::pixels]) for pixel in range(pixels)]
    if norm == "L0":
        return float(sum(differs))
    height, width = shape[1:]
    rows = [any(differs[row * width : (row + 1) * width]) for row in range(height)]
    return float(max(_arc(rows), _arc([any(differs[column::width]) for column in range(width)])))


def _arc(marked: list[bool]) -> int:
    """The least number of places in a row, on a circle, among which all marked ones are."""
    twice = marked + marked
    return next(
        length
        for length in range(len(marked) + 1)
        if any(sum(twice[first : first + length]) == sum(marked) for first in range(len(marked)))
    )


def _float32(value: float) -> float:
    """The float32 next to it, which inputs of that range go to."""
    (found,) = struct.unpack("<f", struct.pack("<f", value))
    return float(found)
