"""Folders of image files, one folder a class."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from holdfast.data.base import DataSet, source
from holdfast.data.pictures import Preparation, picture_data_set, require_pillow
from holdfast.data.splitting import rows_of_split
from holdfast.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm")
_TEST_FOLDERS = ("test", "val", "validation")


@source("images", path="DIR")
def images(path: Path, split: str, *, size: str = "", mode: str = "rgb") -> DataSet:
    """Images in DIR/CLASS/, or in DIR/train/CLASS/ and DIR/test/CLASS/ (also val/, validation/), decoded lazily.

    Classes are numbered in the order of their names; images come in the order of class and file name. Where DIR has no
    train/ and test/, one image in five is for testing (`holdfast.data.splitting`), for which every file is read once.

    Args:
        path: the folder DIR.
        split: "train" or "test".
        size: resize the short side to this many pixels and keep the centre square; without it all images must have
            the same size, and all headers are read to make sure.
        mode: "rgb" or "grey".

    Raises:
        UsageError: `size` or `mode` cannot be.
        DataError: no images, a class folder without images or only in the test split, an image that cannot be
            decoded, or images of different sizes.
        MissingExtraError: Pillow is not installed.
    """
    preparation = Preparation.parse(size, mode)
    require_pillow()
    folders = _split_folders(path)
    if folders is None:
        class_names = _class_names(path)
        files, labels = _files(path, class_names)
        digests = [hashlib.sha256(_read(file)).digest() for file in files]
        rows = rows_of_split(digests, labels, split, str(path))
        files, labels = [files[row] for row in rows], [labels[row] for row in rows]
    else:
        class_names = _class_names(folders["train"])
        strangers = sorted(set(_class_names(folders[split])) - set(class_names))
        if strangers:
            raise DataError(
                f"{folders[split]} has the class folder {strangers[0]!r}, expected only classes that "
                f"{folders['train']} has too; rename it or take it out"
            )
        files, labels = _files(folders[split], class_names)
    return picture_data_set(
        _Files(tuple(files)),
        preparation,
        source="images",
        split=split,
        class_names=class_names,
        labels=np.array(labels, dtype=np.int64),
    )


@dataclass(frozen=True)
class _Files:
    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> bytes:
        return _read(self.files[index])

    def name(self, index: int) -> str:
        return str(self.files[index])


def _split_folders(folder: Path) -> dict[str, Path] | None:
    """The folders of the two splits, or None; both must be there, since "train" alone may be a class."""
    train = folder / "train"
    for name in _TEST_FOLDERS:
        if train.is_dir() and (folder / name).is_dir():
            return {"train": train, "test": folder / name}
    return None


def _class_names(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise DataError(f"no folder {folder}; expected a folder with one folder a class")
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise DataError(f"{folder} has no folders, expected one a class, as in {folder / 'CLASS' / 'image.png'}")
    return names


def _files(folder: Path, class_names: list[str]) -> tuple[list[Path], list[int]]:
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(class_names):
        if not (folder / name).is_dir():
            continue
        found = sorted(file for file in (folder / name).iterdir() if file.suffix.lower() in _ENDINGS)
        if not found:
            raise DataError(
                f"{folder / name} has no images, expected files ending in {', '.join(_ENDINGS)}; "
                "add some, take the folder out, or give the folder that holds the class folders"
            )
        files += found
        labels += [label] * len(found)
    return files, labels


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read, expected an image file ({error}); restore it") from error
