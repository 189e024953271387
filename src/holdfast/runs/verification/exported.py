"""An exported log (TSV or JSON lines) against the claims and votes of the run it was exported from."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from holdfast.errors import DataError
from holdfast.runs.verification.promise import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from holdfast.runs.verification.check import Material, Verification
    from holdfast.runs.verification.rules import Claim

_COLUMNS = ("idx", "label", "predict", "radius", "correct")
# Exported radii are rounded down to this many decimals.
_DECIMALS = 6


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
            index = int(line["idx"])
            wrong = _wrong(line, index, material, known)
            if index in seen:
                wrong = "comes a second time"
        except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
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
    label, predict = int(line["label"]), int(line["predict"])
    if label != record["label"]:
        return f"label {label}, the record has {record['label']}"
    if predict != (-1 if claim.label is None else claim.label):
        return f"predict {predict}, the votes give {'-1 (abstain)' if claim.label is None else claim.label}"
    if int(line["correct"]) != int(predict == label):
        return f"correct {line['correct']}, though label is {label} and predict {predict}"
    scale = 10**_DECIMALS
    expected = Fraction(math.floor(Fraction(claim.radius) * scale), scale)
    if Fraction(line["radius"]) != expected:
        return f"radius {line['radius']}, the votes give {float(expected):.{_DECIMALS}f} (rounded down)"
    for stream in ("selection", "estimation"):
        if line.get(stream) is not None and line[stream] != record.get(stream):
            return f"{stream} votes {line[stream]}, the record has {record.get(stream)}"
    return ""


def _lines(path: Path) -> list[Mapping[str, Any]]:
    """The lines of a log, as text or parsed JSON whose decimals are kept."""
    if not path.is_file():
        raise DataError(f"there is no log {path}")
    raw = path.read_bytes().splitlines()
    if not raw:
        raise DataError(f"{path} is empty; `holdfast export-log RUN --out {path.name}` writes a log")
    if raw[0].lstrip().startswith(b"{"):
        return [_entry(path, number, line) for number, line in enumerate(raw, 1)]
    header = raw[0].decode(errors="replace").split("\t")
    if not set(_COLUMNS) <= set(header):
        raise DataError(
            f"{path} has the columns {', '.join(header)}; a log is JSON lines, or has tabs and {', '.join(_COLUMNS)}"
        )
    return [dict(zip(header, line.decode(errors="replace").split("\t"), strict=False)) for line in raw[1:]]


def _entry(path: Path, number: int, line: bytes) -> Mapping[str, Any]:
    try:
        entry = parse(line)
    except ValueError as error:
        raise DataError(f"{path}, line {number} is not JSON ({error})") from error
    if not isinstance(entry, dict):
        raise DataError(f"{path}, line {number} is not a JSON object")
    return entry
