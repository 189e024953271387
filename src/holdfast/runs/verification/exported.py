"""An exported log (TSV or JSON lines) against the claims and votes of the run it was exported from."""

from __future__ import annotations

import codecs
import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from holdfast.errors import DataError
from holdfast.folders import read_file
from holdfast.runs.verification.promise import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from holdfast.runs.verification.check import Material, Verification
    from holdfast.runs.verification.rules import Claim

_COLUMNS = ("idx", "label", "predict", "radius", "correct")
# Exported radii are rounded down to this many decimals.
_DECIMALS = 6
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


def check_log(path: Path, material: Material, claims: Iterable[Claim], result: Verification) -> None:
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
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            result.failures.append(f"{path.name}, entry {number} cannot be read: {error!r}")
            continue
        seen.add(index)
        result.log_lines += 1
        if wrong:
            result.failures.append(f"{path.name}, example {index}: {wrong}")
    absent = len(set(material.records) - seen)
    if absent:
        result.failures.append(f"{path.name} lacks {absent} of the run's {len(material.records)} examples")


def _wrong(line: Mapping[str, Any], index: int, material: Material, known: Mapping[int, Claim]) -> str:
    """What is wrong with a line, in words; empty if nothing is."""
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
    # Not a fraction: one of 1e-999999999 has a denominator as long as that.
    if Decimal(line["radius"]) != expected:
        return f"radius {line['radius']}, the votes give {float(expected):.{_DECIMALS}f} (rounded down)"
    for stream in ("selection", "estimation"):
        if line.get(stream) is not None and line[stream] != record.get(stream):
            return f"{stream} votes {line[stream]}, the record has {record.get(stream)}"
    return ""


def _lines(path: Path) -> list[Mapping[str, Any]]:
    """The lines of a log, as text or parsed JSON whose decimals are kept."""
    raw = _unmarked(path).splitlines()
    if not raw:
        raise DataError(f"{path} is empty; `holdfast export-log RUN --out {path.name}` writes a log")
    if raw[0].lstrip().startswith(b"{"):
        return [_entry(path, number, line) for number, line in enumerate(raw, 1)]
    header = raw[0].decode(errors="replace").split("\t")
    if not set(_COLUMNS) <= set(header):
        raise DataError(
            f"{path} has the columns {', '.join(header)}; a log is JSON lines, or has tabs and {', '.join(_COLUMNS)}"
        )
    return [_fields(path, number, line, header) for number, line in enumerate(raw[1:], 2)]


def _fields(path: Path, number: int, line: bytes, header: Sequence[str]) -> Mapping[str, Any]:
    fields = line.decode(errors="replace").split("\t")
    if len(fields) != len(header):
        raise DataError(
            f"{path}, line {number} has {len(fields)} fields, the header has {len(header)} columns: the log was cut "
            "off or changed. `holdfast export-log` writes it anew"
        )
    return dict(zip(header, fields, strict=True))


def _unmarked(path: Path) -> bytes:
    """The content of a log in UTF-8, without a byte-order mark."""
    raw = read_file(path)
    if raw is None:
        raise DataError(f"there is no log {path}")
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in raw:
        raise DataError(f"{path} is UTF-16 or no text; a log is UTF-8. Write it so: `iconv -f UTF-16 -t UTF-8`")
    return raw.removeprefix(codecs.BOM_UTF8)


def _whole(value: Any) -> int:
    """A whole number as it is in JSON or in text; nothing is cut or rounded."""
    if type(value) is int:
        return value
    if not (isinstance(value, str) and _WHOLE.fullmatch(value)):
        raise ValueError(f"a whole number was expected, found {value!r}")
    return int(value)


def _entry(path: Path, number: int, line: bytes) -> Mapping[str, Any]:
    try:
        entry = parse(line)
    except ValueError as error:
        raise DataError(f"{path}, line {number} is not JSON ({error})") from error
    if not isinstance(entry, dict):
        raise DataError(f"{path}, line {number} is not a JSON object")
    return entry
