"""The field's log format, `idx label predict radius correct time` (TSV): reading other tools' logs, writing ours."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from holdfast.encodings import encoding_of
from holdfast.errors import DataError
from holdfast.runs.manifest import Manifest
from holdfast.runs.promised_data import MOST_EXAMPLES, UNKNOWN, DataPromise
from holdfast.runs.store import ClaimRecord
from holdfast.runs.subsets import TEST_SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from holdfast.estimators import Estimator
    from holdfast.noises.base import Noise
    from holdfast.runs.subsets import Published

COLUMNS = ("idx", "label", "predict", "radius", "correct", "time")
_REQUIRED = COLUMNS[:4]

# More than any data set has: a number beyond is no label, and a list as long as that is never made.
_MOST_CLASSES = 100_000

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
# No underscores, and no digits of other scripts, which Python takes too.
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)


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
    """Read a TSV log: UTF-8, or UTF-16 and UTF-32 with a byte-order mark.

    Raises:
        DataError: the file is missing, empty, not text, or has a line that cannot be right; names the line.
    """
    rows = _rows(path)
    claims = [_claim(path, number, row) for number, row in rows]
    lines: dict[int, int] = {}
    for (number, _), claim in zip(rows, claims, strict=True):
        if claim.index in lines:
            raise DataError(
                f"{path} has an index twice: {claim.index}, in lines {lines[claim.index]} and {number}; each example "
                "has one line"
            )
        lines[claim.index] = number
    wrong = sum(
        row.get("correct") not in (None, str(int(claim.predicted == claim.label)))
        for (_, row), claim in zip(rows, claims, strict=True)
    )
    largest = max(_least_meant(row["radius"]) for _, row in rows)
    return Log(tuple(sorted(claims, key=lambda claim: claim.index)), largest, wrong)


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The lines of a log after its header, with their numbers."""
    # Quotes mean nothing in this format: one that is never closed must not swallow the lines after it.
    reader = csv.DictReader(io.StringIO(_text(path), newline=None), delimiter="\t", quoting=csv.QUOTE_NONE, restkey="")
    try:
        header = tuple(reader.fieldnames or ())
        twice = [name for name in header if name in COLUMNS and header.count(name) > 1]
        if not set(_REQUIRED) <= set(header) or twice:
            found = ", ".join(map(repr, header)) if twice else ", ".join(header) or "none"
            raise DataError(f"{path} has the columns {found}; a log has {', '.join(COLUMNS)}, once each, tab-separated")
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num} cannot be read ({error}); a log is lines of text") from error
    if not rows:
        raise DataError(f"{path} has a header and no lines")
    for number, row in rows:
        if any(row.pop("", None) or ()):
            raise DataError(f"{path}, line {number} has more fields than the header has columns, {len(header)}")
    return rows


def _text(path: Path) -> str:
    if not path.is_file():
        raise DataError(f"there is no log {path}")
    raw = path.read_bytes()
    encoding = encoding_of(raw)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line} is not {encoding.removesuffix('-sig').upper()} ({error.reason}, byte "
            f"{raw[error.start]:#04x}). Write the log as UTF-8: `iconv -f LATIN1 -t UTF-8`, if it is Latin-1"
        ) from error
    if "\0" in text:
        raise DataError(
            f"{path} holds zero bytes: it is no text, or UTF-16 without a byte-order mark. Write the log as UTF-8: "
            "`iconv -f UTF-16LE -t UTF-8`, or UTF-16BE"
        )
    return text


def imported_manifest(
    log: Log, noise: Noise, guarantee: str, estimator: Estimator, n0: int, data_name: str, origin: str
) -> Manifest:
    """The manifest of a run that another tool made, as far as its log and the caller know it.

    Raises:
        DataError: an index or a label that the data set of that name does not have.
    """
    indices = [claim.index for claim in log.claims]
    known = TEST_SPLITS.get(data_name)
    _check_known(log, known, data_name)
    step = math.gcd(*indices) or 1
    size, shape = (indices[-1] + step, (1,)) if known is None else (known.size, known.shape)
    regular = indices == list(range(0, indices[-1] + 1, step))
    whole = regular and indices[-1] + step >= size
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
            sha256=UNKNOWN,
            size=size,
            shape=shape,
            low=0.0,
            high=1.0,
            class_names=tuple(str(label) for label in range(classes)),
            every=step if regular else 1,
            limit=None if whole else len(indices),
            regular=None if regular else False,
        ),
        model={"imported_from": origin},
        seed=None,
        block=0,
        precision="unknown",
        device="unknown",
        versions={},
    )


def _check_known(log: Log, known: Published | None, name: str) -> None:
    """Raise DataError if a log cannot be about the test split of a published data set."""
    if known is None:
        return
    last = log.claims[-1].index
    if last >= known.size:
        raise DataError(
            f"the log has the index {last}; the test split of {name} has {known.size:,} examples. Name another data "
            "set, or none"
        )
    for claim in log.claims:
        highest = max(claim.label, -1 if claim.predicted is None else claim.predicted)
        if highest >= known.classes:
            raise DataError(
                f"the log has class {highest} for index {claim.index}; {name} has classes 0 to {known.classes - 1}. "
                "Name another data set, or none"
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
        file.write(json.dumps(entry, allow_nan=False) + "\n")


def _claim(path: Path, number: int, row: dict[str, str]) -> ClaimRecord:
    try:
        predicted = _whole(row, "predict")
        claim = ClaimRecord(
            index=_whole(row, "idx"),
            label=_whole(row, "label"),
            predicted=None if predicted == -1 else predicted,
            radius=_real(row["radius"], "radius"),
            seconds=_seconds(row.get("time")),
        )
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}, line {number} cannot be read ({error}): {dict(row)}") from error
    if not (0.0 <= claim.radius < math.inf and 0 <= claim.index < MOST_EXAMPLES and claim.label >= 0):
        raise DataError(
            f"{path}, line {number}: indices and labels are 0 or more, and a radius is a finite number from 0 on; "
            f"found {dict(row)}"
        )
    if predicted < -1 or max(claim.label, predicted) >= _MOST_CLASSES:
        raise DataError(
            f"{path}, line {number}: classes are numbers from 0 to {_MOST_CLASSES - 1:,}, and predict is one of them "
            f"or -1 (abstain); found {dict(row)}"
        )
    return claim


def _whole(row: dict[str, str], name: str) -> int:
    text = row[name]
    if not isinstance(text, str) or not _WHOLE.fullmatch(text.strip()):
        raise ValueError(f"{name} is a whole number, found {text!r}")
    return int(text)


def _real(text: str | None, name: str) -> float:
    if not isinstance(text, str) or not _REAL.fullmatch(text.strip()):
        raise ValueError(f"{name} is a number, found {text!r}")
    return float(text)


def _seconds(text: str | None) -> float | None:
    """Seconds from `15.4` or `0:00:15.4`; None where a log does not say."""
    if not text or not text.strip():
        return None
    seconds = 0.0
    for part in text.split(":"):
        seconds = 60.0 * seconds + _real(part, "each part of time")
    if not 0.0 <= seconds < math.inf:
        raise ValueError(f"time is in seconds from 0 on, or h:m:s, found {text!r}; leave it empty if it is not known")
    return seconds


def _least_meant(text: str) -> float:
    """The smallest number that rounds to the decimal `text`."""
    mantissa, _, exponent = text.strip().lower().partition("e")
    digits = len(mantissa.partition(".")[2]) - int(exponent or 0)
    # 0e999 is 0.
    return max(0.0, float(text) - 0.5 * 10.0 ** min(-digits, 300))
