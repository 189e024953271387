"""CIFAR-10 as published, in its binary or its Python version: a folder or the archive. Source: Krizhevsky 2009."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.budgets import Limited, size_of
from holdfast.data.base import DataSet
from holdfast.data.cifar_pickle import read_dictionary
from holdfast.data.originals import Original
from holdfast.data.source import source
from holdfast.errors import DataError
from holdfast.stand_ins import refuse_stand_in, refuse_stand_in_file
from holdfast.texts import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_ORIGINAL = Original(
    "CIFAR-10 (cifar-10-batches-bin or cifar-10-batches-py) or one of its archives",
    "https://www.cs.toronto.edu/~kriz/cifar.html",
)
_CLASS_NAMES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_STEMS = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}
_SIZES = {"train": 50_000, "test": 10_000}
_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_ARCHIVES = ("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz")
_ARCHIVE_MD5 = {"bin": "c32a1d4ab5d03f1284b67883e8d87530", "py": "c58f30108f718f92721af3b95e74349a"}
# None are published for the files of the binary version.
_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7cb15",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
# A batch has 31 MB.
_LARGEST_FILE = 2**26
# How gzip files begin.
_GZIP = b"\x1f\x8b"

Batch = tuple["NDArray[np.uint8]", "NDArray[np.int64]"]


@source("cifar10", path="DIR")
def cifar10(path: Path, split: str) -> DataSet:
    """Images of shape (3, 32, 32) in the order of the files.

    Nothing that a file of the Python version names is run (`holdfast.data.cifar_pickle`). Archives are read where they
    lie, not unpacked. An archive or a file of the Python version with another MD5 than the published one is noted,
    and so is another number of images.

    Args:
        path: the folder with the batches, one that holds cifar-10-batches-bin or cifar-10-batches-py, or the .tar.gz
            archive of either, or the folder it lies in.
        split: "train" or "test".

    Raises:
        DataError: a file is missing, cut off, corrupt, or holds something else.
    """
    found = _from_archive(path, split) if path.is_file() else _from_folder(path, split)
    version = _VERSIONS[found.version]
    _check_meta(found, version)
    batches = [version.read(found.contents[name], f"{name} in {path}") for name in version.batches(split)]
    labels = np.concatenate([labels for _, labels in batches])
    if labels.size and not (labels.min() >= 0 and labels.max() < len(_CLASS_NAMES)):
        raise DataError(f"{path} has labels from {labels.min()} to {labels.max()}, expected 0 to 9; get it again")
    return DataSet.in_memory(
        source="cifar10",
        split=split,
        class_names=_CLASS_NAMES,
        labels=labels,
        values=np.concatenate([images for images, _ in batches]),
        notes=_ORIGINAL.other_size(split, len(labels), _SIZES[split]) + found.notes,
    )


@dataclass(frozen=True)
class _Version:
    """One of the two published forms: how its files are called and read."""

    ending: str
    meta: str
    class_names: Callable[[bytes, str], list[str]]
    read: Callable[[bytes, str], Batch]

    def batches(self, split: str) -> list[str]:
        return [stem + self.ending for stem in _STEMS[split]]


@dataclass(frozen=True)
class _Found:
    """The files of a version, where they were found, and notes about them."""

    version: str
    where: Path
    contents: Mapping[str, bytes]
    notes: tuple[str, ...]


def _from_folder(path: Path, split: str) -> _Found:
    tried = [path, path / "cifar-10-batches-bin", path / "cifar-10-batches-py"]
    for folder in tried:
        for name, version in _VERSIONS.items():
            names = version.batches(split)
            if (folder / names[0]).is_file():
                absent = [each for each in names if not (folder / each).is_file()]
                if absent:
                    raise DataError(
                        f"{folder} lacks {', '.join(absent)}, expected {', '.join(names)}; get {_ORIGINAL.files} "
                        f"again from {_ORIGINAL.home}"
                    )
                present = [each for each in (*names, version.meta) if (folder / each).is_file()]
                contents = {each: _ORIGINAL.read(folder / each, _LARGEST_FILE) for each in present}
                return _Found(name, folder, contents, _changed_files(contents, folder))
    for name in _ARCHIVES:
        if (path / name).is_file():
            return _from_archive(path / name, split)
    names = [each for version in _VERSIONS.values() for each in version.batches(split)]
    raise _ORIGINAL.missing(path, [*names, *_ARCHIVES])


def _from_archive(path: Path, split: str) -> _Found:
    names = {each for version in _VERSIONS.values() for each in (*version.batches(split), version.meta)}
    contents: dict[str, bytes] = {}
    refuse_stand_in_file(path, DataError)
    try:
        with _opened(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                # A sparse member is a hole of any size, which no published archive has.
                if name not in names or not member.isfile() or member.issparse() or member.size > _LARGEST_FILE:
                    continue
                if name in contents:
                    raise DataError(f"{path} holds {name} twice, expected it once; get it again from {_ORIGINAL.home}")
                file = archive.extractfile(member)
                contents[name] = file.read() if file else b""
                refuse_stand_in(contents[name], f"{name} in {path}", DataError)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read, expected a complete .tar.gz archive ({error}); get it again from {_ORIGINAL.home}"
        ) from error
    for version, form in _VERSIONS.items():
        if all(name in contents for name in form.batches(split)):
            return _Found(version, path, contents, _changed_archive(path, version, contents))
    raise DataError(
        f"{path} holds {', '.join(sorted(contents)) or 'no file of CIFAR-10'}, expected "
        f"{' or '.join(', '.join(form.batches(split)) for form in _VERSIONS.values())}; get it again from "
        f"{_ORIGINAL.home}"
    )


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """An archive, packed by gzip or not at all, to be read from its beginning to its end."""
    size = size_of(path, DataError)
    with path.open("rb") as file:
        packed = file.read(len(_GZIP)) == _GZIP
    with gzip.open(path) if packed else path.open("rb") as stream:
        limited: Any = Limited(stream, size, path, DataError)
        with tarfile.open(fileobj=limited, mode="r|") as archive:
            yield archive


def _changed_archive(path: Path, version: str, contents: Mapping[str, bytes]) -> tuple[str, ...]:
    """Notes on an archive that is not the published one; its files may yet be."""
    md5 = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while part := file.read(2**20):
            md5.update(part)
    if md5.hexdigest() == _ARCHIVE_MD5[version]:
        return ()
    if version == "py":
        return _changed_files(contents, path)
    return (
        f"{path} has the MD5 {md5.hexdigest()}, the archive published at {_ORIGINAL.home} {_ARCHIVE_MD5[version]}: it "
        "was changed or packed again; compare results with published ones only if its content is the same",
    )


def _changed_files(contents: Mapping[str, bytes], where: Path) -> tuple[str, ...]:
    checked = [(name, content) for name, content in contents.items() if name in _MD5]
    return tuple(
        note for name, content in checked for note in _ORIGINAL.other_content(f"{name} in {where}", content, _MD5[name])
    )


def _check_meta(found: _Found, version: _Version) -> None:
    """Raise DataError if there is a file of class names, and they are others."""
    if version.meta not in found.contents:
        return
    names = version.class_names(found.contents[version.meta], f"{version.meta} in {found.where}")
    if tuple(names) != _CLASS_NAMES:
        raise DataError(
            f"{version.meta} in {found.where} has the class names {', '.join(names) or 'none'}, expected "
            f"{', '.join(_CLASS_NAMES)}; this is another data set: get it again from {_ORIGINAL.home}"
        )


def _binary_batch(content: bytes, name: str) -> Batch:
    """Records of one byte for the label and 3 x 32 x 32 bytes."""
    if len(content) % (1 + _PIXELS):
        raise DataError(
            f"{name} has {len(content)} bytes, expected a multiple of {1 + _PIXELS}; it is cut off or has something "
            f"appended: get it again from {_ORIGINAL.home}"
        )
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, 1 + _PIXELS)
    return records[:, 1:].reshape(-1, *_SHAPE), records[:, 0].astype(np.int64)


def _binary_names(content: bytes, name: str) -> list[str]:
    return text_of(content, name).split()


def _python_batch(content: bytes, name: str) -> Batch:
    """A dictionary with data `(len, 3072)` and a list of labels."""
    batch = read_dictionary(content, name, _ORIGINAL.home)
    data, labels = batch.get("data"), batch.get("labels")
    if (
        not isinstance(data, np.ndarray)
        or data.shape[1:] != (_PIXELS,)
        or not isinstance(labels, list)
        or not all(type(label) is int and abs(label) < 2**31 for label in labels)
    ):
        found = f"data {data.shape}" if isinstance(data, np.ndarray) else "no array 'data'"
        raise DataError(
            f"{name} has {', '.join(sorted(batch))} with {found}, expected data (images, {_PIXELS}) and a list "
            f"'labels' of whole numbers; get it again from {_ORIGINAL.home}"
        )
    if len(labels) != len(data):
        raise DataError(
            f"{name} has {len(data)} images and {len(labels)} labels, expected as many of each; get it again"
        )
    return data.reshape(-1, *_SHAPE), np.array(labels, dtype=np.int64)


def _python_names(content: bytes, name: str) -> list[str]:
    names = read_dictionary(content, name, _ORIGINAL.home).get("label_names")
    if not isinstance(names, list):
        return []
    return [each.decode("latin1") if isinstance(each, bytes) else str(each) for each in names]


_VERSIONS = {
    "bin": _Version(".bin", "batches.meta.txt", _binary_names, _binary_batch),
    "py": _Version("", "batches.meta", _python_names, _python_batch),
}
