"""Image files on the disk, in folders of one class each."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.budgets import content_of
from holdfast.data.image_formats import ENDINGS, MOST_BYTES
from holdfast.data.remarks import DEEPER, HIDDEN, LOOSE, NO_IMAGE
from holdfast.errors import DataError
from holdfast.stand_ins import refuse_stand_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.data.remarks import LeftOut

# What systems and archivers leave in folders, beside names that begin with a dot.
_OF_SYSTEMS = ("__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "@eadir")


@dataclass(frozen=True)
class ImageFiles:
    """Encoded images, one file each, read when asked for."""

    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> bytes:
        """The encoded bytes of one image.

        Raises:
            DataError: the file cannot be read.
        """
        return read_image_file(self.files[index])

    def name(self, index: int) -> str:
        """The path of one image."""
        return str(self.files[index])


def read_image_file(file: Path) -> bytes:
    """The content of an image file.

    Raises:
        DataError: it cannot be read, or something else lies in its place (`holdfast.stand_ins`).
    """
    try:
        content = content_of(file, DataError, MOST_BYTES)
    except OSError as error:
        raise DataError(f"{file} cannot be read, expected an image file ({error}); restore it") from error
    refuse_stand_in(content, str(file), DataError)
    return content


def is_hidden(name: str) -> bool:
    """Whether a name is that of a hidden entry (`._0.png`) or one of an operating system (`Thumbs.db`)."""
    return name.startswith(".") or name.lower() in _OF_SYSTEMS


def is_image_name(name: str) -> bool:
    """Whether a name ends as an image file that is read; capitals do not matter."""
    return Path(name).suffix.lower() in ENDINGS


def class_folders(folder: Path, left: LeftOut) -> list[str]:
    """The names of the folders in `folder`, sorted: the classes.

    Raises:
        DataError: `folder` does not exist, has no folders, or one whose name is not UTF-8.
    """
    if not folder.is_dir():
        found = f"{folder} is a file" if folder.exists() else f"no folder {folder}"
        raise DataError(f"{found}; expected a folder with one folder a class")
    names = []
    for entry in entries_of(folder):
        if is_hidden(entry.name):
            left.add(HIDDEN, folder / entry.name)
        elif entry.is_dir():
            names.append(entry.name)
        elif is_image_name(entry.name):
            left.add(LOOSE, folder / entry.name)
    if not names:
        raise DataError(f"{folder} has no folders, expected one a class, as in {folder / 'CLASS' / 'image.png'}")
    for name in names:
        # Class names go into tables and pages in UTF-8; Python holds other bytes as lone surrogates (Cs).
        if any(unicodedata.category(letter) in ("Cs", "Cc") for letter in name):
            raise DataError(
                f"{folder} has the class folder {os.fsencode(name)!r}, expected a name in UTF-8 without control "
                "characters; rename it"
            )
    return names


def image_files(folder: Path, left: LeftOut) -> list[Path]:
    """The image files in `folder`, sorted; whatever else lies there is left out."""
    files = []
    for entry in entries_of(folder):
        path = folder / entry.name
        if is_hidden(entry.name):
            left.add(HIDDEN, path)
        elif entry.is_dir():
            left.add(DEEPER, path)
        elif is_image_name(entry.name):
            files.append(path)
        else:
            left.add(NO_IMAGE, path)
    return files


def files_by_class(folder: Path, class_names: Sequence[str], left: LeftOut) -> tuple[list[Path], list[int]]:
    """Files and labels in the order of class and file name; a class may have no folder.

    Raises:
        DataError: the folder of a class has no images.
    """
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(class_names):
        if not (folder / name).is_dir():
            continue
        found = image_files(folder / name, left)
        if not found:
            raise DataError(
                f"{folder / name} has no images, expected files ending in {', '.join(ENDINGS)} in the folder itself; "
                "add some, take the folder out, or give the folder that holds the class folders"
            )
        files += found
        labels += [label] * len(found)
    return files, labels


def entries_of(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read, expected a folder ({error.strerror}); check its permissions"
        ) from error


def check_classes(folder: Path, names: Sequence[str], training: Path, known: Sequence[str]) -> None:
    """Raise DataError if `folder` has a class, of `names`, that the training folder does not know."""
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise DataError(
            f"{folder} has the class {unknown[0]!r}, expected only classes that "
            f"{training} has too; rename it or take it out"
        )
