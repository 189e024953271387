"""A few inputs of a run with their noisy versions as pictures, for the report. Nothing is computed from it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from holdfast.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FILE_NAME = "gallery.npz"


@dataclass(frozen=True)
class Gallery:
    """Pictures of a few examples.

    Attributes:
        index: of each example in its split, `(examples,)`.
        pictures: `(examples, 1 + versions, height, width, 3)`, the input first, then noisy versions of it.
    """

    index: NDArray[np.int64]
    pictures: NDArray[np.uint8]


def write_gallery(folder: Path, gallery: Gallery) -> None:
    """Write the gallery of a run, whole or not at all."""
    temporary = folder / (FILE_NAME + ".tmp")
    with temporary.open("wb") as file:
        np.savez_compressed(file, index=gallery.index, pictures=gallery.pictures)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / FILE_NAME)


def read_gallery(folder: Path) -> Gallery | None:
    """The gallery of a run, or None if it has none.

    Raises:
        RunError: the file is corrupt.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Gallery(arrays["index"], arrays["pictures"])
    except (ValueError, KeyError, OSError, BadZipFile) as error:
        raise RunError(f"{path} cannot be read ({error}); delete it, the report does without") from error
