"""The log format of other tools, `idx label predict radius correct time` (TSV): read their logs, write ours."""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TextIO

from holdfast.encodings import encoding_of
from holdfast.errors import DataError
from holdfast.folders import read_file
from holdfast.formats.fields import MOST_CLASSES, MOST_EXAMPLES
from holdfast.formats.strict import MOST_LINES
from holdfast.shortened import as_json
from holdfast.stand_ins import refuse_stand_in
from holdfast.store.data_manifest import UNKNOWN, DataManifest
from holdfast.store.log_fields import BLANK, least_meant, real, seconds, truth, whole
from holdfast.store.run import ClaimRecord
from holdfast.store.run_manifest import RunManifest
from holdfast.store.subsets import TEST_SPLITS
from holdfast.types import Norm

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from holdfast.estimators import Estimator
    from holdfast.noises.base import Noise
    from holdfast.store.subsets import Published

COLUMNS = ("idx", "label", "predict", "radius", "correct", "time")
_REQUIRED = COLUMNS[:4]
# Of a log of Predict, which has no radii.
_ANSWERED = ("idx", "label", "predict")


@dataclass(frozen=True)
class Log:
    """A log as read.

    Attributes:
        claims: one for each line, in the order of the indices.
        largest: the smallest number that the largest printed radius can stand for, were it rounded to nearest.
        disagreements: lines whose `correct` is not what `label` and `predict` say: cumulative in some tools.
        open_end: name of the last column if the last line has no newline: the field may be cut, and lines may be
            missing. None if it has one.
    """

    claims: tuple[ClaimRecord, ...]
    largest: float
    disagreements: int
    open_end: str | None = None


@dataclass(frozen=True)
class AnswerLine:
    """One line of a log of Predict.

    Attributes:
        index: position of the example in its split.
        label: the true class.
        answer: the class; None for an abstention.
        seconds: None where the log does not say.
    """

    index: int
    label: int
    answer: int | None
    seconds: float | None


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


def read_log(path: Path, norm: Norm = Norm.L2) -> Log:
    """Read a TSV log: UTF-8, or UTF-16 and UTF-32 with a byte-order mark.

    Args:
        path: path of the file.
        norm: norm of the radii; in L0 they are whole numbers of pixels.

    Raises:
        DataError: the file is missing, empty, not text, cut off where it matters, or has a line that cannot be right;
            names the line.
    """
    rows, open_end = _rows(path)
    claims = [_claim(path, number, row, norm) for number, row in rows]
    lines: dict[int, int] = {}
    for (number, _), claim in zip(rows, claims, strict=True):
        if claim.index in lines:
            raise DataError(
                f"{path} has an index twice: {claim.index}, in lines {lines[claim.index]} and {number}; each example "
                "has one line"
            )
        lines[claim.index] = number
    if open_end == "time":
        # It may be the beginning of one.
        claims[-1] = replace(claims[-1], seconds=None)
    wrong = sum(
        "correct" in row and truth(row["correct"]) is not (claim.predicted == claim.label)
        for (_, row), claim in zip(rows, claims, strict=True)
    )
    largest = max(least_meant(row["radius"], norm) for _, row in rows)
    return Log(tuple(sorted(claims, key=lambda claim: claim.index)), largest, wrong, open_end)


def read_answers(path: Path) -> tuple[AnswerLine, ...]:
    """Read a log of Predict, `idx label predict correct time`, in the order of the indices; -1 abstains.

    Raises:
        DataError: as in `read_log`.
    """
    rows, _ = _rows(path, _ANSWERED)
    found = {}
    for number, row in rows:
        try:
            answer = whole(row["predict"], "predict")
            line = AnswerLine(
                whole(row["idx"], "idx"),
                whole(row["label"], "label"),
                None if answer == -1 else answer,
                seconds(row.get("time")),
            )
        except ValueError as error:
            raise DataError(f"{path}, line {number} cannot be read ({error}): {row}") from error
        if not (0 <= line.index < MOST_EXAMPLES and 0 <= line.label < MOST_CLASSES and -1 <= answer < MOST_CLASSES):
            raise DataError(
                f"{path}, line {number}: indices and labels are 0 or more, and predict is a class or -1; found {row}"
            )
        if line.index in found:
            raise DataError(f"{path} has the index {line.index} twice, again in line {number}; each has one line")
        found[line.index] = line
    return tuple(found[index] for index in sorted(found))


def _rows(path: Path, required: Sequence[str] = _REQUIRED) -> tuple[list[tuple[int, dict[str, str]]], str | None]:
    """The lines of a log after its header, with their numbers; and what `Log.open_end` is."""
    # Split by hand: no sign quotes or escapes another, so that no line can swallow those after it.
    first, *others = io.StringIO(_text(path), newline=None).read().split("\n")
    header = first.split("\t")
    twice = [name for name in header if name in COLUMNS and header.count(name) > 1]
    if not set(required) <= set(header) or twice:
        found = ", ".join(map(repr, header)) if twice else ", ".join(header).strip() or "none"
        raise DataError(
            f"{path} has the columns {found}; a log has {', '.join(_named(required))}, once each, tab-separated"
        )
    # Blank lines say nothing, but they count.
    lines = [(number, line) for number, line in enumerate(others, 2) if line.strip(BLANK)]
    if not lines:
        raise DataError(f"{path} has a header and no lines")
    rows = [(number, _fields(path, number, line, header)) for number, line in lines]
    # After the last newline there is nothing, unless it is missing.
    return rows, _open_end(path, lines[-1], header[-1]) if others[-1].strip(BLANK) else None


def _named(required: Sequence[str]) -> list[str]:
    """The columns of a log that needs these."""
    return [name for name in COLUMNS if name in required or name not in _REQUIRED]


def _fields(path: Path, number: int, line: str, header: Sequence[str]) -> dict[str, str]:
    """A line by columns: as many fields as the header has."""
    # Form feeds, U+2028 and others: what editors and Python's own `splitlines` take for the end of a line.
    if line.splitlines() != [line]:
        raise DataError(
            f"{path}, line {number} has a character within it that ends lines elsewhere: {as_json(line)}. Write the "
            "log again, or remove the character"
        )
    fields = line.split("\t")
    if len(fields) != len(header):
        cut = "; the file may be cut off there, or a tab is missing" if len(fields) < len(header) else ""
        raise DataError(
            f"{path}, line {number} has {len(fields)} fields, the header has {len(header)} columns{cut}: "
            f"{as_json(line)}. A line has one field for each column; write the log again, or repair the line"
        )
    return dict(zip(header, fields, strict=True))


def _open_end(path: Path, last: tuple[int, str], column: str) -> str:
    """The last column of a log without a newline at its end, if a cut there does no harm.

    Raises:
        DataError: what might be cut is an index, a class or a radius: 1.25e-05 would be read as 1.25.
    """
    number, line = last
    field = line.rpartition("\t")[2]
    if column in _REQUIRED:
        raise DataError(
            f"{path}, line {number}, the last one, has no newline at its end: its {column} "
            f"{field!r} may be cut off. Write the log again; if it is whole, add a newline"
        )
    return column


def _text(path: Path) -> str:
    raw = read_file(path, MOST_LINES, DataError)
    if raw is None:
        raise DataError(f"there is no log {path}")
    refuse_stand_in(raw, path, DataError)
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
            f"{path} holds zero bytes: it is not text, or UTF-16 without a byte-order mark. Write the log as UTF-8: "
            "`iconv -f UTF-16LE -t UTF-8`, or UTF-16BE"
        )
    return text


def imported_manifest(
    log: Log, noise: Noise, guarantee: str, estimator: Estimator, n0: int, data_name: str, origin: str
) -> RunManifest:
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
    return RunManifest(
        kind="imported",
        noise=noise.to_dict(),
        guarantee=guarantee,
        estimator=estimator.to_dict(),
        n0=n0,
        data=DataManifest(
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
    """Write lines as TSV, as other tools do."""
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


def _claim(path: Path, number: int, row: dict[str, str], norm: Norm) -> ClaimRecord:
    try:
        predicted = whole(row["predict"], "predict")
        claim = ClaimRecord(
            index=whole(row["idx"], "idx"),
            label=whole(row["label"], "label"),
            predicted=None if predicted == -1 else predicted,
            radius=real(row["radius"], "radius"),
            seconds=seconds(row.get("time")),
        )
    except ValueError as error:
        raise DataError(f"{path}, line {number} cannot be read ({error}): {row}") from error
    if not (0.0 <= claim.radius < math.inf and 0 <= claim.index < MOST_EXAMPLES and claim.label >= 0):
        raise DataError(
            f"{path}, line {number}: indices and labels are 0 or more, and a radius is a finite number from 0 on; "
            f"found {row}"
        )
    if predicted < -1 or max(claim.label, predicted) >= MOST_CLASSES:
        raise DataError(
            f"{path}, line {number}: classes are numbers from 0 to {MOST_CLASSES - 1:,}, and predict is one of them "
            f"or -1 (abstain); found {row}"
        )
    if norm.whole and not claim.radius.is_integer():
        raise DataError(
            f"{path}, line {number} has the radius {row['radius'].strip(BLANK)}; a radius in {norm.value} is a whole "
            "number of pixels. Name the noise that the log was made with, or repair the line"
        )
    return claim
