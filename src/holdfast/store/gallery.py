"""Pictures of a few inputs of a run and their noisy versions, for the report. No result uses them."""

from __future__ import annotations

import os
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import numpy as np

from holdfast.errors import RunError
from holdfast.folders import entered
from holdfast.store.run import GALLERY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.folders import Folder, Where

# What numpy raises for torn, foreign and incomplete files.
_UNREADABLE = (
    ValueError, KeyError, TypeError, AttributeError, EOFError, OSError, MemoryError,
    zipfile.BadZipFile, zlib.error, tokenize.TokenError,
)  # fmt: skip

# Of a few pictures, packed and unpacked.
_MOST_BYTES = 2**27


@dataclass(frozen=True)
class Gallery:
    """Pictures of a few examples.

    Attributes:
        index: index of each example in its split, `(examples,)`.
        pictures: `(examples, 1 + versions, height, width, 3)`, the input first, then noisy versions of it.
        labels: `(examples, versions)`, the base classifier's class for each noisy version, -1 where it gives none; None
            until the run is finished, and for runs of older versions.
    """

    index: NDArray[np.int64]
    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64] | None = None


def write_gallery(folder: Folder, gallery: Gallery) -> None:
    """Write the gallery of a run, whole or not at all."""
    labels = {} if gallery.labels is None else {"labels": gallery.labels}
    with folder.replacing(GALLERY) as file:
        np.savez_compressed(file, allow_pickle=False, index=gallery.index, pictures=gallery.pictures, **labels)


def read_gallery(folder: Where | Folder) -> Gallery | None:
    """The gallery of a run, or None if it has none.

    Raises:
        RunError: the file is corrupt, holds something else, or is not a file.
    """
    with entered(folder) as place:
        opened, path = place.reading(GALLERY), place / GALLERY
    if opened is None:
        return None
    try:
        # Opened here, since numpy leaves a file that is no archive open.
        with opened as file:
            _check_unpacked(file, path)
            with np.load(file, allow_pickle=False) as arrays:
                index, pictures = arrays["index"], arrays["pictures"]
                labels = arrays.get("labels")
    except _UNREADABLE as error:
        raise RunError(f"{path} cannot be read ({error}); delete it to write the report without pictures") from error
    right = index.dtype.kind in "iu" and index.ndim == 1 and pictures.dtype == np.uint8
    if not right or pictures.ndim != 5 or len(pictures) != len(index) or pictures.shape[4] != 3:
        raise RunError(
            f"{path} holds index {index.dtype}{index.shape} and pictures {pictures.dtype}{pictures.shape}; "
            "expected int64 (g,) and uint8 (g, 1 + v, height, width, 3). Delete it to have the report without pictures"
        )
    copies = (len(index), pictures.shape[1] - 1)
    if labels is not None and (labels.dtype.kind not in "iu" or labels.shape != copies):
        raise RunError(
            f"{path} holds labels {labels.dtype}{labels.shape}; expected int64 {copies}, one for each noisy copy. "
            "Delete it to have the report without pictures"
        )
    return Gallery(index, pictures, labels)


def _check_unpacked(file: IO[bytes], path: Where) -> None:
    """Raise RunError if a gallery or its arrays as their archive has them, are larger than a few pictures."""
    size = os.fstat(file.fileno()).st_size
    if size <= _MOST_BYTES:
        with zipfile.ZipFile(file) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    if size > _MOST_BYTES:
        raise RunError(
            f"{path} has, or unpacks to, {size:,} bytes, expected {_MOST_BYTES:,} at most for a few pictures; delete "
            "it to have the report without pictures"
        )
    file.seek(0)
