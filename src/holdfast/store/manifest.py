"""A manifest, the settings of a run as one JSON document: written first, read, and compared on resuming."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from holdfast.code_digest import is_version, place
from holdfast.errors import RunError
from holdfast.files import storage_error
from holdfast.folders import Folder, entered, lies
from holdfast.formats.checking import fitting
from holdfast.formats.strict import MOST_DOCUMENT, json_object
from holdfast.plain import Plain
from holdfast.shortened import as_json
from holdfast.store import data_manifest, seeds
from holdfast.store.data_manifest import DataManifest
from holdfast.store.digests import DIGEST, manifest_digest
from holdfast.store.seeds import DERIVED, Seed, check_derivation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self

    from holdfast.folders import Where

# What may differ between the sessions of one run, since no result depends on it, or since it follows from the hash of
# the data. Where a seed comes from is said when the promise is made, and not again.
_NOT_COMPARED = ("created", DIGEST, "data.sorted_by_class", "data.notes", *seeds.NOTED_LATER)
# Attacks note it where a classifier is random.
_BLOCK = "block"
# The beginnings of entries that older manifests of these formats lack: compared where there is something to compare.
_CODE_OF_MODEL, _CODE_AT_WORK = "model.code.", "versions.code"
_LATER = (_CODE_OF_MODEL, _CODE_AT_WORK)


class Manifest(Plain):
    """The settings of a run or an attack before anything is computed, as one JSON document with a digest.

    A subclass is a frozen dataclass of entries that are JSON, among them `data`, `created` and `format`.

    Attributes:
        document: schema of its content; a class of `holdfast.formats.manifests`, or several.
        file_name: file name of the document in its folder.
        what: what such a folder holds, for messages: "a run".
        made_by: the command that makes one.
        current: the format that this version writes and reads.
    """

    document: ClassVar[Any]
    file_name: ClassVar[str]
    what: ClassVar[str]
    made_by: ClassVar[str]
    current: ClassVar[int]
    data: DataManifest
    seed: int | None
    seed_origin: str | None
    nonce: str | None
    promise: str | None

    def to_json(self) -> str:
        """The document with its digest, indented, with a final newline."""
        return json.dumps({**self.entries(), DIGEST: self.digest}, indent=2, allow_nan=False) + "\n"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all entries; every record carries a digest that depends on it."""
        return manifest_digest(self.entries())

    def entries(self) -> dict[str, Any]:
        """The entries of the document, without the digest."""
        entries = asdict(cast("Any", self))
        data = _without_unnoted(entries["data"], data_manifest.NOTED_LATER)
        return {**_without_unnoted(entries, (*seeds.NOTED_LATER, _BLOCK)), "data": data}

    @property
    def origin(self) -> Seed:
        """The seed, with where it comes from."""
        return Seed(self.seed, self.seed_origin, self.nonce, self.promise)

    @property
    def awaits_nonce(self) -> bool:
        """Whether the seed is still to be derived from an auditor's nonce."""
        return self.seed_origin == DERIVED and self.seed is None

    def with_nonce(self, nonce: str) -> Self:
        """The promise with the seed that follows from it and a nonce.

        Raises:
            UsageError: no nonce.
            RunError: the promise awaits none.
        """
        if not self.awaits_nonce:
            raise RunError("this promise has its seed, and awaits no nonce; make another promise")
        return cast("Self", replace(cast("Any", self), **Seed.derived(self.digest, nonce).entries()))

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
        found = raw.get(DIGEST)
        if found != expected:
            raise RunError(
                f"{origin} was changed after it was written: its digest is {found!r}, that of its entries "
                f"{expected!r}. Restore the file from a copy; if there is none, the {noun} has to be made again"
            )
        try:
            fitting(raw, cls.document)
            check_derivation(raw)
        except ValueError as error:
            raise RunError(
                f"{origin}: {error}. It is not as Holdfast writes it; restore the file from a copy; if there is none, "
                f"the {noun} has to be made again"
            ) from None
        del raw[DIGEST]
        return cls(**cls._parsed(raw))

    @classmethod
    def _parsed(cls, raw: dict[str, Any]) -> dict[str, Any]:
        """The entries as the class has them, from those of a document that fits its schema."""
        names = [name for name in ("shape", "class_names", "notes") if name in raw["data"]]
        lists = {name: tuple(raw["data"][name]) for name in names}
        return {**raw, "data": DataManifest(**{**raw["data"], **lists})}


AnyManifest = TypeVar("AnyManifest", bound=Manifest)


def read_manifest(folder: Where | Folder, kind: type[AnyManifest]) -> AnyManifest:
    """The manifest in a folder.

    Raises:
        RunError: there is none of this kind, or it cannot be read.
    """
    found = stored_manifest(folder, kind)
    if found is None:
        raise RunError(
            f"{folder} is not {kind.what}: there is no {kind.file_name} in it. `{kind.made_by} --out {folder}` makes "
            "one"
        )
    return found


def stored_manifest(folder: Where | Folder, kind: type[AnyManifest]) -> AnyManifest | None:
    """The manifest in a folder; None if there is no such folder, or no such manifest in it.

    Raises:
        RunError: it cannot be read, or something else than a file lies there.
    """
    if not isinstance(folder, Folder) and not lies(folder):
        return None
    with entered(folder) as place:
        text = place.read(kind.file_name, MOST_DOCUMENT)
    return None if text is None else kind.from_json(text, str(place / kind.file_name))


def write_manifest(folder: Where | Folder, manifest: Manifest) -> None:
    """Write the document, whole or not at all; it is on the disk when this returns.

    Raises:
        RunError: it could not be read again, or something else than a file lies there.
        StorageError: it cannot be written.
    """
    text = manifest.to_json()
    # What could not be read again is not begun.
    type(manifest).from_json(text, str(folder / manifest.file_name))
    try:
        with entered(folder) as place, place.replacing(manifest.file_name) as file:
            file.write(text.encode())
    except OSError as error:
        raise storage_error(str(folder), error) from error


def ensure_manifest(folder: Folder, manifest: AnyManifest) -> AnyManifest:
    """The manifest of a folder: the one in it, if it has the same settings, or this one, which is then written.

    Its time, and with it the digest that records depend on, is that of the first session. One that awaits a nonce is
    completed by `manifest`, once and for all, if that is derived from it.

    Raises:
        RunError: the folder was started with other settings.
    """
    stored = stored_manifest(folder, type(manifest))
    if stored is None:
        write_manifest(folder, manifest)
        return manifest
    found = stored
    if found.awaits_nonce and manifest.promise == found.digest and manifest.nonce is not None:
        stored = found.with_nonce(manifest.nonce)
    different = differences(stored, manifest)
    if _left_out(*_both(stored, manifest)) and not different:
        warnings.warn(
            f"{folder} was started by a version of Holdfast that did not note the code of models, noises and "
            "estimators: whether that is still the same was not compared",
            RuntimeWarning,
            stacklevel=2,
        )
    if different:
        noun = manifest.what.split()[-1]
        raise RunError(
            f"{folder} was started with other settings:",
            *(f"  {each}" for each in different),
            f"Repeat the call with the {noun}'s own settings{_and_code(stored, manifest)} to resume it, or choose "
            "another place",
        )
    if stored is not found:
        write_manifest(folder, stored)
    return stored


def _without_unnoted(entries: dict[str, Any], noted_later: Sequence[str]) -> dict[str, Any]:
    """Entries without those that a document lacks: they are left out, so that its digest stays what it was."""
    return {key: value for key, value in entries.items() if key not in noted_later or value is not None}


def differences(stored: Manifest, given: Manifest) -> list[str]:
    """One line for each entry in which two manifests differ, without those that no result depends on."""
    old, new = _both(stored, given)
    ignored = {*_NOT_COMPARED, *_left_out(old, new)}
    return [
        _difference(key, old.get(key), new.get(key))
        for key in dict.fromkeys([*old, *new])
        if key not in ignored and old.get(key) != new.get(key)
    ]


def _difference(key: str, old: Any, new: Any) -> str:
    """What differs in an entry; for code the module, since digests mean nothing to people."""
    if key == _CODE_AT_WORK:
        return (
            "the code that draws and counts (noise, estimator, backend, attack or bound, loop) has changed since then; "
            "one digest covers all of it"
        )
    module = key.removeprefix(_CODE_OF_MODEL)
    if module == key:
        return f"{key}: the run has {as_json(old)}, this call has {as_json(new)}"
    if old is None or new is None:
        return f"the model's code: {place(module)} {'is a part of it now only' if old is None else 'was a part of it'}"
    if is_version(str(new)):
        return f"the model's code: the package {module} was of {old}, and is of {new}"
    return f"the model's code: {place(module)} has changed since then"


def _and_code(stored: Manifest, given: Manifest) -> str:
    old, new = _both(stored, given)
    changed = any(key.startswith(_LATER) and old.get(key) != new.get(key) for key in [*old, *new])
    return " and with the code as it was" if changed else ""


def _both(stored: Manifest, given: Manifest) -> tuple[dict[str, Any], dict[str, Any]]:
    """The entries of two manifests, each with its path."""
    old, new = (_flatten(json.loads(each.to_json())) for each in (stored, given))
    return old, new


def _left_out(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The entries that an older manifest could not have."""
    later = [name for name in _LATER if not any(key.startswith(name) for key in old)]
    return [key for key in new if key.startswith(tuple(later))]


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
