"""Check an exported log (TSV or JSON lines) against the claims and votes of its run."""

from __future__ import annotations

import codecs
import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from holdfast.errors import DataError
from holdfast.folders import read_file
from holdfast.formats.checking import fitting
from holdfast.formats.records import LogLine
from holdfast.formats.strict import MOST_LINE, MOST_LINES, json_object
from holdfast.verification.manifest import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from holdfast.verification.files import RunFiles, Verification
    from holdfast.verification.rules import Claim

_COLUMNS = ("idx", "label", "predict", "radius", "correct")
# Exported radii are rounded down to this many decimals.
_DECIMALS = 6
_WHOLE = re.compile(r"-1|0|[1-9][0-9]{0,17}")
# Decimal takes underscores, blanks and the digits of all scripts, too.
_REAL = re.compile(r"[0-9]+(\.[0-9]+)?(e[+-]?[0-9]{1,4})?")


def check_log(path: Path, material: RunFiles, claims: Iterable[Claim], result: Verification) -> None:
    """Check every line of a log.

    A radius must be the claim for its example rounded down to 6 decimals. Since the claims themselves are checked
    against the votes, it is then at most what the votes give, and less by a millionth at most.

    Raises:
        DataError: there is no such log, or it is of neither format.
    """
    known = {claim.index: claim for claim in claims}
    seen: set[int] = set()
    for number, line in enumerate(_lines(path), 1):
        try:
            index = _whole(line["idx"])
            wrong = _wrong(line, index, material, known)
            if index in seen:
                wrong = "comes a second time"
        except (ValueError, ArithmeticError) as error:
            result.failures.append(f"{path.name}, entry {number} cannot be read: {error}")
            continue
        seen.add(index)
        result.log_lines += 1
        if wrong:
            result.failures.append(f"{path.name}, example {index}: {wrong}")
    absent = len(set(material.records) - seen)
    if absent:
        result.failures.append(f"{path.name} lacks {absent} of the run's {len(material.records)} examples")


def _wrong(line: Mapping[str, Any], index: int, material: RunFiles, known: Mapping[int, Claim]) -> str:
    """What is wrong with a line, in words; empty if it is right."""
    record, claim = material.records.get(index), known.get(index)
    if record is None or claim is None:
        return "is not in the run"
    label, predict = _whole(line["label"]), _whole(line["predict"])
    if label != record["label"]:
        return f"label {label}, the record has {record['label']}"
    if predict != (-1 if claim.label is None else claim.label):
        return f"predict {predict}, the votes give {'-1 (abstain)' if claim.label is None else claim.label}"
    if _whole(line["correct"]) != int(predict == label):
        return f"correct {line['correct']}, though label is {label} and predict {predict}"
    expected = Decimal(math.floor(Fraction(claim.radius) * 10**_DECIMALS)).scaleb(-_DECIMALS)
    radius = str(line["radius"])
    # Not a fraction: one of 1e-9999 has a denominator as long as that.
    if not _REAL.fullmatch(radius) or Decimal(radius) != expected:
        return f"radius {line['radius']}, the votes give {float(expected):.{_DECIMALS}f} (rounded down)"
    for stream in ("selection", "estimation"):
        if line.get(stream) is not None and line[stream] != record.get(stream):
            return f"{stream} votes {line[stream]}, the record has {record.get(stream)}"
    return ""


def _lines(path: Path) -> list[Mapping[str, Any]]:
    """The lines of a log, as text or parsed JSON whose decimals are kept."""
    raw = _unmarked(path)
    if not raw:
        raise DataError(f"{path} is empty; `holdfast export-log RUN --out {path.name}` writes a log")
    # No other sign ends a line, and none quotes another.
    lines = raw.removesuffix(b"\n").replace(b"\r\n", b"\n").split(b"\n")
    if lines[0].lstrip().startswith(b"{"):
        return [_entry(path, number, line) for number, line in enumerate(lines, 1)]
    texts = [_text(path, number, line) for number, line in enumerate(lines, 1)]
    header = texts[0].split("\t")
    if not set(_COLUMNS) <= set(header) or len(set(header)) < len(header):
        raise DataError(
            f"{path} has the columns {', '.join(header)}; a log is JSON lines, or has tabs and {', '.join(_COLUMNS)}, "
            "once each"
        )
    return [_fields(path, number, line, header) for number, line in enumerate(texts[1:], 2)]


def _text(path: Path, number: int, line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, line {number} is not UTF-8 ({error.reason}, byte {line[error.start]:#04x}): the log was changed. "
            "`holdfast export-log` writes it again"
        ) from error


def _fields(path: Path, number: int, line: str, header: Sequence[str]) -> Mapping[str, Any]:
    fields = line.split("\t")
    if len(fields) != len(header):
        raise DataError(
            f"{path}, line {number} has {len(fields)} fields, the header has {len(header)} columns: the log was cut "
            "off or changed. `holdfast export-log` writes it again"
        )
    return dict(zip(header, fields, strict=True))


def _unmarked(path: Path) -> bytes:
    """The content of a log in UTF-8, without a byte-order mark."""
    raw = read_file(path, MOST_LINES, DataError)
    if raw is None:
        raise DataError(f"there is no log {path}")
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in raw:
        raise DataError(f"{path} is UTF-16 or not text; a log is UTF-8. Convert it: `iconv -f UTF-16 -t UTF-8`")
    return raw.removeprefix(codecs.BOM_UTF8)


def _whole(value: Any) -> int:
    """A whole number from JSON or text, without cutting or rounding."""
    if type(value) is int:
        return value
    if not (isinstance(value, str) and _WHOLE.fullmatch(value)):
        raise ValueError(f"expected a whole number, found {value!r}")
    return int(value)


def _entry(path: Path, number: int, line: bytes) -> Mapping[str, Any]:
    try:
        fitting(json_object(line, MOST_LINE), LogLine)
    except ValueError as error:
        raise DataError(
            f"{path}, line {number} is not a line of a log ({error}). `holdfast export-log` writes it again"
        ) from error
    return parse(line)
