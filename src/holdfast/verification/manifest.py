"""The files of a run, read without the run store: numbers keep the decimals they were written with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from holdfast.errors import RunError
from holdfast.folders import Folder, entered
from holdfast.formats.checking import fitting
from holdfast.formats.manifests import RunDocument
from holdfast.formats.strict import MOST_DOCUMENT, MOST_LINE, MOST_LINES, json_object
from holdfast.verification.seed import UNTOLD, SeedStory, read_seed
from holdfast.verification.subset import indices_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.folders import Where

FORMAT = 2
MANIFEST = "manifest.json"
RECORDS = "records.jsonl"


class Numeral(str):
    """A JSON number with a point or an exponent, as it is written in the file."""

    __slots__ = ()


@dataclass(frozen=True)
class Manifest:
    """The part of the manifest that radii and procedure depend on.

    Attributes:
        kind: "certify", "imported" or "bound".
        noise: name and parameters.
        theorem: name of the guarantee.
        estimator: name and parameters.
        n0: selection votes of each example.
        shape: shape of one input.
        classes: how many there are.
        indices: the subset.
        seed: seed of all noise; None where none is given.
        joint_alpha: failure probability of all certificates together; None where each stands by itself.
        digest: digest of the manifest.
        story: origin of the seed.
        size: examples of the split; those of an imported log need not be in `indices`.
        entries: all of the manifest, numbers with a point or an exponent as they are written.
    """

    kind: str
    noise: Mapping[str, Any]
    theorem: str
    estimator: Mapping[str, Any]
    n0: int
    shape: tuple[int, ...]
    classes: int
    indices: Sequence[int]
    seed: int | None
    joint_alpha: Fraction | None
    digest: str
    story: SeedStory = UNTOLD
    size: int = 0
    entries: Mapping[str, Any] = field(default_factory=dict)


def read_manifest(folder: Where | Folder) -> Manifest:
    """The manifest of a run, after its digest has been checked.

    Raises:
        RunError: it is missing, damaged or of another format.
    """
    return _manifest(run_entries(folder))


def run_entries(folder: Where | Folder) -> dict[str, Any]:
    """The entries of a run's manifest; see `read_entries`."""
    return read_entries(folder, MANIFEST, FORMAT, "a run", RunDocument)


def read_entries(folder: Where | Folder, name: str, current: int, what: str, kind: Any) -> dict[str, Any]:
    """The entries of a manifest, after its digest and its schema have been checked.

    Args:
        folder: folder that holds it.
        name: name of the file.
        current: the format that is read.
        what: what such a folder holds, for messages: "a run".
        kind: its schema, of `holdfast.formats.manifests`.

    Raises:
        RunError: it is missing, damaged or of another format.
    """
    with entered(folder) as place:
        text, path = place.read(name, MOST_DOCUMENT), place / name
    if text is None:
        raise RunError(f"{folder} is not {what}: there is no {name} in it")
    try:
        document = json_object(text)
        entries = parse(text)
        found = entries.get("digest")
        entries_format = entries.get("format")
        expected = hashlib.sha256(canonical(entries).encode()).hexdigest()
    except ValueError as error:
        raise RunError(f"{path} is not a valid JSON object ({error}); restore it from a copy") from error
    if entries_format != current:
        raise RunError(f"{path} has format {entries_format!r}; this version of Holdfast reads format {current}")
    if found != expected:
        raise RunError(
            f"{path} was changed after it was written: its digest is {found!r}, that of its entries {expected!r}; "
            "restore it from a copy"
        )
    try:
        fitting(document, kind)
    except ValueError as error:
        raise RunError(f"{path}: {error}. Holdfast does not write it so; restore it from a copy") from None
    return entries


def _manifest(entries: Mapping[str, Any]) -> Manifest:
    data, joint = entries["data"], entries["joint_alpha"]
    return Manifest(
        kind=entries["kind"],
        noise=entries["noise"],
        theorem=entries["guarantee"],
        estimator=entries["estimator"],
        n0=entries["n0"],
        shape=tuple(data["shape"]),
        classes=len(data["class_names"]),
        indices=indices_of(data),
        seed=entries["seed"],
        joint_alpha=None if joint is None else Fraction(joint),
        digest=entries["digest"],
        story=read_seed(entries, canonical),
        size=data["size"],
        entries=entries,
    )


def read_lines(folder: Where | Folder) -> list[bytes]:
    """The whole lines of the records; a line without a newline does not count.

    Raises:
        RunError: something else than a file lies there, it is too large, or it cannot be read.
    """
    with entered(folder) as place:
        return (place.read(RECORDS, MOST_LINES) or b"").split(b"\n")[:-1]


def read_record(line: bytes, digest: str, kind: type[Any]) -> dict[str, Any]:
    """The entries of one record, after its schema and its digest have been checked.

    Args:
        line: as it lies in the file.
        digest: digest of the manifest.
        kind: its schema, of `holdfast.formats.records`.

    Raises:
        ValueError: not a record of the run whose manifest has the digest `digest`.
    """
    fitting(json_object(line, MOST_LINE), kind)
    entries = parse(line)
    expected = hashlib.sha256(f"{digest}\n{canonical(entries)}".encode()).hexdigest()[:16]
    if entries["digest"] != expected:
        raise ValueError(f"its digest is {entries['digest']!r}, that of its entries in this run {expected!r}")
    return entries


def parse(text: bytes) -> dict[str, Any]:
    """JSON that was found to be strict, once more: numbers with a point or an exponent stay text."""
    entries: dict[str, Any] = json.loads(text, parse_float=Numeral)
    return entries


def canonical(entries: Mapping[str, Any]) -> str:
    """What digests are taken of: all entries but `digest`, keys sorted, no spaces, ASCII, numbers as written."""
    return _written({key: value for key, value in entries.items() if key != "digest"})


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
