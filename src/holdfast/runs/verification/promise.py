"""The files of a run, read without the run store: numbers keep the decimals they were written with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from holdfast.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT = 2
MANIFEST = "manifest.json"
RECORDS = "records.jsonl"


# What numbers in a file may be: a fraction of 1e-100000000 has a denominator as long as that.
_MOST_DIGITS, _MOST_EXPONENT = 400, 400
# Examples of a split; sides of an input.
_MOST = 10**12
# Votes of an example, of either kind: a bound on the share of more takes long to compute.
MOST_VOTES = 10**9


class Numeral(str):
    """A JSON number with a point or an exponent, as it is written in the file."""

    __slots__ = ()


@dataclass(frozen=True)
class Promise:
    """What the manifest says, as far as radii and procedure depend on it.

    Attributes:
        kind: "certify", "imported" or "bound".
        noise: name and parameters.
        theorem: name of the guarantee.
        estimator: name and parameters.
        n0: selection votes of each example.
        shape: of one input.
        classes: how many there are.
        indices: the subset.
        seed: of all noise; None where none is given.
        joint_alpha: failure probability of all certificates together; None where each is promised by itself.
        digest: of the manifest.
    """

    kind: str
    noise: Mapping[str, Any]
    theorem: str
    estimator: Mapping[str, Any]
    n0: int
    shape: tuple[int, ...]
    classes: int
    indices: range
    seed: int | None
    joint_alpha: Fraction | None
    digest: str


def read_promise(folder: Path) -> Promise:
    """The manifest of a run, after its digest has been checked.

    Raises:
        RunError: it is missing, damaged or of another format.
    """
    entries = read_entries(folder, MANIFEST, FORMAT, "a run")
    try:
        return _promise(entries)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{folder / MANIFEST} lacks an entry, or has one of another kind than expected: {error!r}"
        ) from error


def read_entries(folder: Path, name: str, current: int, what: str) -> dict[str, Any]:
    """The entries of a manifest, after its digest has been checked.

    Args:
        folder: in which it lies.
        name: of the file.
        current: the format that is read.
        what: is in such a folder, for messages: "a run".

    Raises:
        RunError: it is missing, damaged or of another format.
    """
    path = folder / name
    if not path.is_file():
        raise RunError(f"{folder} is not {what}: there is no {name} in it")
    try:
        entries: dict[str, Any] = parse(path.read_bytes())
        found = entries.get("digest")
        entries_format = entries.get("format")
        expected = hashlib.sha256(canonical(entries).encode()).hexdigest()
    except (ValueError, AttributeError) as error:
        raise RunError(f"{path} is not a JSON object ({error}); restore it from a copy") from error
    if entries_format != current:
        raise RunError(f"{path} has format {entries_format!r}; this version of Holdfast reads format {current}")
    if found != expected:
        raise RunError(
            f"{path} was changed after it was written: its digest is {found!r}, that of its entries {expected!r}; "
            "restore it from a copy"
        )
    return entries


def _promise(entries: Mapping[str, Any]) -> Promise:
    data, joint = entries["data"], entries["joint_alpha"]
    if not (entries["kind"] == "bound" or (type(entries["n0"]) is int and 0 <= entries["n0"] <= MOST_VOTES)):
        raise ValueError(f"n0 is {entries['n0']}, a whole number of votes up to {MOST_VOTES:,} was expected")
    return Promise(
        kind=entries["kind"],
        noise=entries["noise"],
        theorem=entries["guarantee"],
        estimator=entries["estimator"],
        n0=entries["n0"],
        shape=tuple(data["shape"]),
        classes=len(data["class_names"]),
        indices=subset(data),
        seed=entries["seed"],
        joint_alpha=None if joint is None else Fraction(joint),
        digest=entries["digest"],
    )


def subset(data: Mapping[str, Any]) -> range:
    """The indices of the subset that a manifest promises.

    Raises:
        ValueError: one of its numbers, or the shape of its inputs, can be none.
        KeyError: one is missing.
    """
    limit = data["limit"]
    for name, value in (("size", data["size"]), ("every", data["every"]), ("limit", 1 if limit is None else limit + 1)):
        if type(value) is not int or not 1 <= value <= _MOST:
            raise ValueError(f"{name} is {data[name]}, a whole number below {_MOST:,} was expected")
    shape = data["shape"]
    if not (0 < len(shape) <= 3 and all(type(side) is int and 1 <= side < _MOST for side in shape)):
        raise ValueError(f"the shape is {shape}, one or three whole numbers below {_MOST:,} were expected")
    return range(0, data["size"], data["every"])[:limit]


def read_lines(folder: Path) -> list[bytes]:
    """The whole lines of the records; one without a newline at its end does not count."""
    path = folder / RECORDS
    raw = path.read_bytes() if path.is_file() else b""
    return raw[: raw.rfind(b"\n") + 1].splitlines()


def read_record(line: bytes, promised: str) -> dict[str, Any]:
    """The entries of one record, after its digest has been checked.

    Raises:
        ValueError: not a record of the run whose manifest has the digest `promised`.
    """
    entries = parse(line)
    if not isinstance(entries, dict) or "digest" not in entries:
        raise ValueError("not a JSON object with a digest")
    expected = hashlib.sha256(f"{promised}\n{canonical(entries)}".encode()).hexdigest()[:16]
    if entries["digest"] != expected:
        raise ValueError(f"its digest is {entries['digest']!r}, that of its entries in this run {expected!r}")
    return entries


def parse(text: bytes) -> Any:
    """JSON whose numbers with a point or an exponent stay text, and in which no key comes twice.

    Raises:
        ValueError: not JSON, nested too deeply, a key that comes twice, or one of NaN and Infinity.
    """
    try:
        return json.loads(
            text.decode(), parse_float=_numeral, parse_int=_whole, parse_constant=_refuse, object_pairs_hook=_unique
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def canonical(entries: Mapping[str, Any]) -> str:
    """What digests are taken of: all entries but `digest`, keys sorted, no spaces, ASCII, numbers as written.

    Raises:
        ValueError: they are nested too deeply.
    """
    try:
        return _written({key: value for key, value in entries.items() if key != "digest"})
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _written(value: Any) -> str:
    if isinstance(value, Numeral):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_written(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value)


def _numeral(text: str) -> Numeral:
    exponent = text.lower().partition("e")[2]
    if len(text) > _MOST_DIGITS or len(exponent.lstrip("+-0")) > 3 or abs(int(exponent or "0")) > _MOST_EXPONENT:
        raise ValueError(f"{_cut(text)} is no number as Holdfast writes them: it has too many digits, or too large an exponent")
    return Numeral(text)


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"{_cut(text)} is no number as Holdfast writes them: it has {len(text):,} digits")
    return int(text)


def _cut(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:20]}..."


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError(f"a key comes twice among {', '.join(key for key, _ in pairs)}")
    return entries
