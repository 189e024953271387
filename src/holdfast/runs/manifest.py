"""What was promised before the first sample: everything that a guarantee depends on, as one JSON document."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from holdfast.errors import RunError
from holdfast.estimators import Estimator, Proved, estimator_from_dict, scale_of
from holdfast.files import whole_file
from holdfast.noises.base import noise_from_dict
from holdfast.runs.digests import DIGEST, manifest_digest
from holdfast.runs.ledger import json_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from typing_extensions import Self

    from holdfast.data.base import DataSet
    from holdfast.types import ClassBounds

FORMAT = 2
FILE_NAME = "manifest.json"

CERTIFY, IMPORTED, BOUND = "certify", "imported", "bound"

# What may differ between the sessions of one run, since no result depends on it.
_NOT_COMPARED = ("created", DIGEST)
# The beginnings of entries that older manifests of these formats lack: compared where there is something to compare.
_LATER = ("model.code.", "versions.code")


@dataclass(frozen=True)
class DataPromise:
    """Which examples: the source, its content, and the subset of it, fixed beforehand.

    Attributes:
        source: short name of the source, `digits` or `mnist` say; no path.
        split: `train` or `test`.
        sha256: hash of all inputs and labels of the split, in order.
        size: number of examples in the split.
        shape: of one input, `(channels, height, width)` or `(features,)`.
        low: smallest value that an input may have.
        high: largest value that an input may have.
        class_names: one name for each class.
        decoder: library and version that decodes the images; empty for raw values.
        every: the subset takes each `every`-th example, from index 0 on,
        limit: up to this many of them (None: all).
    """

    source: str
    split: str
    sha256: str
    size: int
    shape: tuple[int, ...]
    low: float
    high: float
    class_names: tuple[str, ...]
    decoder: str = ""
    every: int = 1
    limit: int | None = None

    @classmethod
    def of(cls, data: DataSet, every: int = 1, limit: int | None = None) -> DataPromise:
        """The promise to take each `every`-th example of a data set, `limit` of them at most."""
        return cls(
            source=data.source,
            split=data.split,
            sha256=data.sha256,
            size=len(data),
            shape=data.shape,
            low=data.low,
            high=data.high,
            class_names=data.class_names,
            decoder=data.decoder,
            every=every,
            limit=limit,
        )

    def indices(self) -> range:
        """The indices of the subset, in order."""
        chosen = range(0, self.size, self.every)
        return chosen if self.limit is None else chosen[: self.limit]

    def subset(self) -> str:
        """The subset in plain words."""
        count = len(self.indices())
        if count == self.size:
            return f"all {self.size} {self.split} examples of {self.source}"
        step = "" if self.every == 1 else f", every {ordinal(self.every)}"
        cut = "" if self.limit is None or count < self.limit else f", the first {count}"
        return f"{count} of {self.size} {self.split} examples of {self.source}{step}{cut}"


class Promised:
    """What is promised before anything is computed, as one JSON document with a digest.

    A subclass is a frozen dataclass of entries that are JSON, among them `data`, `created` and `format`.

    Attributes:
        file_name: of the document in its folder.
        what: is in such a folder, for messages: "a run".
        made_by: the command that makes one.
        current: the format that this version writes and reads.
    """

    file_name: ClassVar[str]
    what: ClassVar[str]
    made_by: ClassVar[str]
    current: ClassVar[int]
    data: DataPromise

    def to_json(self) -> str:
        """The document with its digest, indented, with a final newline."""
        return json.dumps({**asdict(cast("Any", self)), DIGEST: self.digest}, indent=2) + "\n"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all entries; every record carries a digest that depends on it."""
        return manifest_digest(asdict(cast("Any", self)))

    @classmethod
    def from_json(cls, text: bytes | str, origin: str) -> Self:
        """The promise in `text`; `origin` names it in errors.

        Raises:
            RunError: not a document of this format, or its entries do not fit its digest.
        """
        noun = cls.what.split()[-1]
        try:
            raw = json_object(text)
            expected = manifest_digest(raw)
        except ValueError as error:
            raise RunError(
                f"{origin} is not a valid JSON object ({error}); the {noun} cannot be read. Restore the file from a "
                f"copy; if there is none, the {noun} has to be made again"
            ) from error
        if raw.get("format") != cls.current:
            raise RunError(
                f"{origin} has format {raw.get('format')!r}; this version of Holdfast reads format {cls.current}"
            )
        names = {item.name for item in fields(cast("Any", cls))} | {DIGEST}
        if set(raw) != names:
            odd = ", ".join(sorted(set(raw) ^ names))
            raise RunError(f"{origin} lacks or has unexpected entries: {odd}")
        found = raw.pop(DIGEST)
        if found != expected:
            raise RunError(
                f"{origin} was changed after it was written: its digest is {found!r}, that of its entries "
                f"{expected!r}. Restore the file from a copy; if there is none, the {noun} has to be made again"
            )
        return cls(**cls._parsed(raw, origin))

    @classmethod
    def _parsed(cls, raw: dict[str, Any], origin: str) -> dict[str, Any]:
        """The entries as the class has them, from those of the document."""
        try:
            data = {**raw["data"], **{name: tuple(raw["data"][name]) for name in ("shape", "class_names")}}
            return {**raw, "data": DataPromise(**data)}
        except (TypeError, KeyError) as error:
            raise RunError(f"{origin}: the entry 'data' is incomplete ({error})") from error


AnyPromised = TypeVar("AnyPromised", bound=Promised)


def read_promised(folder: Path, kind: type[AnyPromised]) -> AnyPromised:
    """What was promised in a folder.

    Raises:
        RunError: nothing of this kind, or it cannot be read.
    """
    path = folder / kind.file_name
    if not path.is_file():
        raise RunError(
            f"{folder} is not {kind.what}: there is no {kind.file_name} in it. `{kind.made_by} --out {folder}` makes "
            "one"
        )
    return kind.from_json(path.read_bytes(), str(path))


def write_promised(folder: Path, promised: Promised) -> None:
    """Write the document so that it is whole or not there at all, and on the disk when this returns."""
    with whole_file(folder / promised.file_name) as path:
        path.write_text(promised.to_json(), encoding="utf-8")


def kept(folder: Path, promised: AnyPromised) -> AnyPromised:
    """The promise of a folder: that which is written there and says the same, or this one, which then is.

    Its time, and with it the digest that records depend on, is that of the first session.

    Raises:
        RunError: the folder was started with another promise.
    """
    if not (folder / promised.file_name).exists():
        write_promised(folder, promised)
        return promised
    stored = read_promised(folder, type(promised))
    different = differences(stored, promised)
    if _left_out(*_both(stored, promised)) and not different:
        warnings.warn(
            f"{folder} was started by a version of Holdfast that did not note the code of models, noises and "
            "estimators: whether that is still the same was not compared",
            RuntimeWarning,
            stacklevel=2,
        )
    if different:
        noun = promised.what.split()[-1]
        raise RunError(
            f"{folder} was started with another promise:\n  "
            + "\n  ".join(different)
            + f"\nRepeat the call with the {noun}'s own settings to resume it, or choose another --out"
        )
    return stored


@dataclass(frozen=True)
class Manifest(Promised):
    """Everything that a run's certificates depend on.

    Attributes:
        kind: "certify", "imported" for a log that another tool wrote, or "bound" for deterministic bounds on a
            classifier without noise.
        noise: name and parameters of the noise; empty for a bound.
        guarantee: name of the theorem, or of the bound.
        estimator: name and parameters of the estimator, alpha included.
        n0: selection samples of each input.
        data: which examples.
        model: architecture, arguments, the hash of the weights, digests of the architecture's code, and the backend
            that computes with them; empty for an imported log.
        joint_alpha: where all certificates of the run are to hold together: the failure probability of that. The
            estimator's alpha is then this one divided by the number of examples.
        seed: of all noise; None for an imported log and for a bound.
        block: samples that one generator draws.
        precision: in which the base classifier computes.
        device: kind of device, "cpu" or "cuda".
        versions: of Holdfast and of the libraries that noise and votes come from, and a digest of the code of noise,
            estimator, backend and loop.
        created: when the promise was made, UTC; not compared on resuming.
        format: of this file and of the records.
    """

    file_name: ClassVar[str] = FILE_NAME
    what: ClassVar[str] = "a run"
    made_by: ClassVar[str] = "holdfast certify"
    current: ClassVar[int] = FORMAT
    kind: str
    noise: dict[str, Any]
    guarantee: str
    estimator: dict[str, Any]
    n0: int
    data: DataPromise
    model: dict[str, Any]
    seed: int | None
    block: int
    precision: str
    device: str
    versions: dict[str, str]
    created: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    format: int = FORMAT
    joint_alpha: float | None = None


def estimator_of(manifest: Manifest) -> Estimator:
    """The estimator that a manifest promised."""
    if manifest.kind == BOUND:
        return proved_of(manifest)
    scale = scale_of(noise_from_dict(manifest.noise), manifest.guarantee, manifest.data.shape)
    return estimator_from_dict(manifest.estimator, scale)


def proved_of(manifest: Manifest) -> Proved:
    """What a manifest says of its deterministic bound.

    Raises:
        RunError: it is about a smoothed classifier.
    """
    found = estimator_from_dict(manifest.estimator, _no_scale) if manifest.kind == BOUND else None
    if not isinstance(found, Proved):
        raise RunError("this run has votes of a smoothed classifier, and no deterministic bound")
    return found


def _no_scale(bounds: ClassBounds) -> float | None:
    return None


def backend_of(manifest: Manifest) -> str:
    """The name of the backend that a manifest promised: torch where it names none."""
    return str(manifest.model.get("backend", {}).get("name", "torch"))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a run; see `write_promised`."""
    write_promised(folder, manifest)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a run; see `read_promised`."""
    return read_promised(folder, Manifest)


def differences(promised: Promised, wanted: Promised) -> list[str]:
    """One line for each entry in which two promises differ, without those that no result depends on."""
    old, new = _both(promised, wanted)
    ignored = {*_NOT_COMPARED, *_left_out(old, new)}
    return [
        f"{key}: the run has {_short(old.get(key))}, this call has {_short(new.get(key))}"
        for key in dict.fromkeys([*old, *new])
        if key not in ignored and old.get(key) != new.get(key)
    ]


def _both(promised: Promised, wanted: Promised) -> tuple[dict[str, Any], dict[str, Any]]:
    """The entries of two promises, each with its path."""
    old, new = (_flatten(json.loads(each.to_json())) for each in (promised, wanted))
    return old, new


def _left_out(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The entries that an older promise could not have."""
    later = [name for name in _LATER if not any(key.startswith(name) for key in old)]
    return [key for key in new if key.startswith(tuple(later))]


def ordinal(number: int) -> str:
    """2nd, 3rd, 20th."""
    tens, ones = divmod(number % 100, 10)
    suffix = "th" if tens == 1 else {1: "st", 2: "nd", 3: "rd"}.get(ones, "th")
    return f"{number}{suffix}"


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 70 else text[:67] + "..."
