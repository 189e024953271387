"""The files of a run, read without the run store: numbers keep the decimals they were written with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from holdfast.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT = 2
MANIFEST = "manifest.json"
RECORDS = "records.jsonl"
# Entries that a manifest has; behind them those that documents of older versions lack.
_ENTRIES = frozenset(
    {
        "kind",
        "noise",
        "guarantee",
        "estimator",
        "n0",
        "data",
        "model",
        "joint_alpha",
        "seed",
        "block",
        "precision",
        "device",
        "versions",
        "created",
        "format",
        "digest",
    }
)
_LATER = frozenset({"seed_origin", "nonce"})
DATA_ENTRIES = frozenset(
    {"source", "split", "sha256", "size", "shape", "low", "high", "class_names", "decoder", "every", "limit"}
)
DATA_LATER = frozenset({"sorted_by_class", "regular"})


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
        entries: all of the manifest, numbers with a point or an exponent as they are written.
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
    entries: Mapping[str, Any] = field(default_factory=dict)


def read_promise(folder: Path) -> Promise:
    """The manifest of a run, after its digest has been checked.

    Raises:
        RunError: it is missing, damaged or of another format.
    """
    entries = read_manifest(folder)
    try:
        return _promise(entries)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{folder / MANIFEST} lacks an entry, or has one of another kind than expected: {error!r}"
        ) from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """The entries of a run's manifest; see `read_entries`."""
    return read_entries(folder, MANIFEST, FORMAT, "a run")


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


def subset(data: Mapping[str, Any]) -> range:
    """The indices of the promised examples.

    Raises:
        ValueError: an entry is missing, there is one too many, or a number is none.
    """
    check_names("the entry data", data, DATA_ENTRIES, DATA_LATER)
    for name in ("size", "every", *(["limit"] if data["limit"] is not None else [])):
        whole(name, data[name])
    for side in data["shape"]:
        whole("shape", side)
    if not all(isinstance(name, str) for name in data["class_names"]):
        raise ValueError(f"class names are texts, found {data['class_names']!r}")
    return range(0, data["size"], data["every"])[: data["limit"]]


def check_names(where: str, entries: Mapping[str, Any], wanted: frozenset[str], later: frozenset[str]) -> None:
    """Raise ValueError unless there are the entries that are wanted, and no others but `later`."""
    lacking, odd = sorted(wanted - set(entries)), sorted(set(entries) - wanted - later)
    if lacking or odd:
        said = [f"lacks {', '.join(lacking)}"] if lacking else []
        said += [f"has the unknown {', '.join(map(ascii, odd))}"] if odd else []
        raise ValueError(f"{where} {' and '.join(said)}")


def whole(name: str, value: Any) -> int:
    """A whole number from 0 on: no text, no fraction, and neither true nor false.

    Raises:
        ValueError: it is something else.
    """
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is a whole number from 0 on, found {value!r}")
    return value


def number(name: str, value: Any) -> float:
    """A number from 0 on, written as Python writes it: nothing is rounded, and `-0.0` is none.

    Raises:
        ValueError: it is something else.
    """
    if type(value) is int and value >= 0:
        return float(value)
    if not isinstance(value, Numeral) or value.startswith("-") or repr(float(value)) != value:
        raise ValueError(f"{name} is a number from 0 on, found {value!r}")
    return float(value)


def _promise(entries: Mapping[str, Any]) -> Promise:
    check_names("it", entries, _ENTRIES, _LATER)
    data, joint, seed = entries["data"], entries["joint_alpha"], entries["seed"]
    for name in ("n0", "block", *(["seed"] if seed is not None else [])):
        whole(name, entries[name])
    for name, value in (
        ("alpha", entries["estimator"].get("alpha", 0)),
        ("joint_alpha", 0 if joint is None else joint),
    ):
        number(name, value)
    return Promise(
        kind=entries["kind"],
        noise=entries["noise"],
        theorem=entries["guarantee"],
        estimator=entries["estimator"],
        n0=entries["n0"],
        shape=tuple(data["shape"]),
        classes=len(data["class_names"]),
        indices=subset(data),
        seed=seed,
        joint_alpha=None if joint is None else Fraction(joint),
        digest=entries["digest"],
        entries=entries,
    )


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
        return json.loads(text.decode(), parse_float=Numeral, parse_constant=_refuse, object_pairs_hook=_unique)
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


def plain(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Entries with numbers as Python has them."""
    made: dict[str, Any] = json.loads(canonical(entries))
    return made


def _written(value: Any) -> str:
    if isinstance(value, Numeral):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_written(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError(f"a key comes twice among {', '.join(key for key, _ in pairs)}")
    return entries
