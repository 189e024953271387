"""The field's log format, `idx label predict radius correct time` (TSV): reading other tools' logs, writing ours."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from holdfast.errors import DataError
from holdfast.runs.manifest import DataPromise, Manifest
from holdfast.runs.store import ClaimRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from holdfast.estimators import Estimator
    from holdfast.noises.base import Noise

COLUMNS = ("idx", "label", "predict", "radius", "correct", "time")
_REQUIRED = COLUMNS[:4]

# Number of test examples and shape of the data sets that published logs are about.
_KNOWN = {
    "cifar10": (10_000, (3, 32, 32)),
    "mnist": (10_000, (1, 28, 28)),
    "imagenet": (50_000, (3, 224, 224)),
}


@dataclass(frozen=True)
class Log:
    """A log as read.

    Attributes:
        claims: one for each line, in the order of the indices.
        largest: the smallest number that the largest printed radius can stand for, were it rounded to nearest.
        disagreements: lines whose `correct` is not what `label` and `predict` say: cumulative in some tools.
    """

    claims: tuple[ClaimRecord, ...]
    largest: float
    disagreements: int


@dataclass(frozen=True)
class LogLine:
    """One line of an exported log. The votes are given where they are known."""

    idx: int
    label: int
    predict: int
    radius: str
    correct: int
    time: str
    selection: tuple[int, ...] | None = None
    estimation: tuple[int, ...] | None = None


def read_log(path: Path) -> Log:
    """Read a TSV log.

    Raises:
        DataError: the file is missing, empty, or has a line that cannot be right; names the line.
    """
    if not path.is_file():
        raise DataError(f"there is no log {path}")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        header = tuple(reader.fieldnames or ())
        if not set(_REQUIRED) <= set(header):
            raise DataError(
                f"{path} has the columns {', '.join(header) or 'none'}; a log has {', '.join(COLUMNS)}, tab-separated"
            )
        rows = list(reader)
    if not rows:
        raise DataError(f"{path} has a header and no lines")
    claims = [_claim(path, number, row) for number, row in enumerate(rows, 2)]
    if len({claim.index for claim in claims}) < len(claims):
        raise DataError(f"{path} has an index twice; each example has one line")
    wrong = sum(
        row.get("correct") not in (None, str(int(claim.predicted == claim.label)))
        for row, claim in zip(rows, claims, strict=True)
    )
    largest = max(_least_meant(row["radius"]) for row in rows)
    return Log(tuple(sorted(claims, key=lambda claim: claim.index)), largest, wrong)


def imported_manifest(
    log: Log, noise: Noise, guarantee: str, estimator: Estimator, n0: int, data_name: str, origin: str
) -> Manifest:
    """The manifest of a run that another tool made, as far as its log and the caller know it."""
    indices = [claim.index for claim in log.claims]
    step = math.gcd(*indices) or 1
    size, shape = _KNOWN.get(data_name, (indices[-1] + step, (1,)))
    regular = indices == list(range(0, size, step))
    classes = 1 + max(max(claim.label, -1 if claim.predicted is None else claim.predicted) for claim in log.claims)
    return Manifest(
        kind="imported",
        noise=noise.to_dict(),
        guarantee=guarantee,
        estimator=estimator.to_dict(),
        n0=n0,
        data=DataPromise(
            source=data_name,
            split="test",
            sha256="unknown",
            size=size if regular else len(indices),
            shape=shape,
            low=0.0,
            high=1.0,
            class_names=tuple(str(label) for label in range(classes)),
            every=step if regular else 1,
        ),
        model={"imported_from": origin},
        seed=None,
        block=0,
        precision="unknown",
        device="unknown",
        versions={},
    )


def write_tsv(lines: Iterable[LogLine], file: TextIO) -> None:
    """Write lines as the field's TSV."""
    file.write("\t".join(COLUMNS) + "\n")
    for line in lines:
        file.write("\t".join(str(getattr(line, column)) for column in COLUMNS) + "\n")


def write_jsonl(lines: Sequence[LogLine], file: TextIO) -> None:
    """Write lines as JSON, one object a line, with the votes."""
    for line in lines:
        entry = {
            "idx": line.idx,
            "label": line.label,
            "predict": line.predict,
            "radius": float(line.radius),
            "correct": line.correct,
            "time": float(line.time) if line.time else None,
            "selection": line.selection,
            "estimation": line.estimation,
        }
        file.write(json.dumps(entry) + "\n")


def _claim(path: Path, number: int, row: dict[str, str]) -> ClaimRecord:
    try:
        predicted = int(row["predict"])
        claim = ClaimRecord(
            index=int(row["idx"]),
            label=int(row["label"]),
            predicted=None if predicted == -1 else predicted,
            radius=float(row["radius"]),
            seconds=_seconds(row.get("time")),
        )
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}, line {number} cannot be read ({error}): {dict(row)}") from error
    if not (0.0 <= claim.radius < math.inf) or claim.index < 0 or claim.label < 0 or predicted < -1:
        raise DataError(
            f"{path}, line {number}: indices and labels are 0 or more, predict is a class or -1 (abstain), "
            f"and a radius is a finite number from 0 on; found {dict(row)}"
        )
    return claim


def _seconds(text: str | None) -> float | None:
    """Seconds from `15.4` or `0:00:15.4`."""
    if not text:
        return None
    seconds = 0.0
    for part in text.split(":"):
        seconds = 60.0 * seconds + float(part)
    return seconds


def _least_meant(text: str) -> float:
    """The smallest number that rounds to the decimal `text`."""
    mantissa = text.lower().partition("e")[0]
    digits = len(mantissa.partition(".")[2])
    return max(0.0, float(text) - 0.5 * 10.0**-digits)
