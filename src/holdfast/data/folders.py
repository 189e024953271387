"""Image files on the disk, in folders of one class each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm")


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
        DataError: it cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read, expected an image file ({error}); restore it") from error


def class_folders(folder: Path) -> list[str]:
    """The names of the folders in `folder`, sorted: the classes.

    Raises:
        DataError: `folder` does not exist, or has no folders.
    """
    if not folder.is_dir():
        raise DataError(f"no folder {folder}; expected a folder with one folder a class")
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise DataError(f"{folder} has no folders, expected one a class, as in {folder / 'CLASS' / 'image.png'}")
    return names


def image_files(folder: Path) -> list[Path]:
    """The image files in `folder`, sorted."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in _ENDINGS)


def files_by_class(folder: Path, class_names: Sequence[str]) -> tuple[list[Path], list[int]]:
    """Files and labels in the order of class and file name; a class may have no folder.

    Raises:
        DataError: the folder of a class has no images.
    """
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(class_names):
        if not (folder / name).is_dir():
            continue
        found = image_files(folder / name)
        if not found:
            raise DataError(
                f"{folder / name} has no images, expected files ending in {', '.join(_ENDINGS)}; "
                "add some, take the folder out, or give the folder that holds the class folders"
            )
        files += found
        labels += [label] * len(found)
    return files, labels


def check_classes(folder: Path, names: Sequence[str], training: Path, known: Sequence[str]) -> None:
    """Raise DataError if `folder` has a class, of `names`, that the training folder does not know."""
    strangers = sorted(set(names) - set(known))
    if strangers:
        raise DataError(
            f"{folder} has the class {strangers[0]!r}, expected only classes that "
            f"{training} has too; rename it or take it out"
        )
