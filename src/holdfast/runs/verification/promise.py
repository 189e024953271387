"""The files of a run, read without the run store: numbers keep the decimals they were written with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from holdfast.errors import RunError
from holdfast.runs.verification.seed import SeedStory, read_seed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT = 2
MANIFEST = "manifest.json"
RECORDS = "records.jsonl"


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
        story: where the seed comes from.
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
    story: SeedStory


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
    return Promise(
        kind=entries["kind"],
        noise=entries["noise"],
        theorem=entries["guarantee"],
        estimator=entries["estimator"],
        n0=entries["n0"],
        shape=tuple(data["shape"]),
        classes=len(data["class_names"]),
        indices=range(0, data["size"], data["every"])[: data["limit"]],
        seed=entries["seed"],
        joint_alpha=None if joint is None else Fraction(joint),
        digest=entries["digest"],
        story=read_seed(entries, canonical),
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
