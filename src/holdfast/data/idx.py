"""IDX files, gzip or raw: the format of MNIST and of the sets made in its likeness.

Source: LeCun, Cortes & Burges, "The MNIST database of handwritten digits", section "File formats".
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from holdfast.budgets import content_of, unzipped
from holdfast.errors import DataError
from holdfast.stand_ins import refuse_stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from holdfast.data.originals import Original

_PREFIXES = {"train": "train", "test": "t10k"}
_SIDE = 28
CLASSES = 10


@dataclass(frozen=True)
class IdxSplit:
    """Images `(len, 1, 28, 28)` and labels `(len,)` of a split, and the files that they come from."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    files: tuple[Path, Path]


def read_split(folder: Path, split: str, original: Original) -> IdxSplit:
    """The images and labels of a split, in the order of the files.

    Raises:
        DataError: a file is missing, truncated, corrupt or of another format, or images and labels do not match.
    """
    prefix = _PREFIXES[split]
    image_file = original.find(folder, _spellings(f"{prefix}-images", "idx3-ubyte"))
    label_file = original.find(folder, _spellings(f"{prefix}-labels", "idx1-ubyte"))
    images = _read(image_file, (_SIDE, _SIDE))
    labels = _read(label_file, ())
    if len(images) != len(labels):
        raise DataError(
            f"{label_file} has {len(labels)} labels, expected {len(images)} as there are images in {image_file}; "
            "take both files from the same source"
        )
    if labels.size and labels.max() >= CLASSES:
        raise DataError(f"{label_file} has the label {labels.max()}, expected 0 to {CLASSES - 1}; get it again")
    return IdxSplit(images[:, np.newaxis], labels, (image_file, label_file))


def _spellings(stem: str, kind: str) -> list[str]:
    return [f"{stem}{mark}{kind}{ending}" for mark in "-." for ending in ("", ".gz")]


def _read(file: Path, item: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The array `(count, *item)` in an IDX file: magic number, sizes (32 bits, big endian), then bytes."""
    content = _content(file, item)
    dimensions = 1 + len(item)
    header = 4 * (1 + dimensions)
    if len(content) < header:
        raise DataError(f"{file} has {len(content)} bytes, expected a header of {header}; get it again")
    # Two zero bytes, 0x08 for unsigned bytes, the number of dimensions.
    expected = 0x0800 + dimensions
    magic, count, *sizes = (int(number) for number in np.frombuffer(content, dtype=">u4", count=1 + dimensions))
    if magic != expected:
        raise DataError(
            f"{file} begins with the magic number 0x{magic:08x}, expected 0x{expected:08x} (IDX, unsigned bytes, "
            f"{dimensions} dimensions); check that this is the file its name says"
        )
    if tuple(sizes) != item:
        raise DataError(f"{file} has images of {' x '.join(map(str, sizes))}, expected {_SIDE} x {_SIDE}")
    expected_bytes = header + count * int(np.prod(item, dtype=np.int64))
    if len(content) != expected_bytes:
        raise DataError(
            f"{file} has {len(content)} bytes after decompression, expected {expected_bytes} for the {count} items "
            "that its header promises; it is truncated or has something appended: get it again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(count, *item)


def _content(file: Path, item: tuple[int, ...]) -> bytes:
    """The bytes of a file, unpacked as far as its own header asks for, and one more where there are."""
    try:
        content = content_of(file, DataError)
        refuse_stand_in(content, file, DataError)
        if not _packed(file):
            return content
        return unzipped(content, file, DataError, lambda start: _bytes_by_header(start, item))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{file} cannot be read, expected a complete {'gzip' if _packed(file) else 'IDX'} file ({error}); "
            "get it again"
        ) from error


def _packed(file: Path) -> bool:
    return file.suffix == ".gz"


def _bytes_by_header(start: bytes, item: tuple[int, ...]) -> int:
    """The number of bytes that a header claims; only its own size for another kind of file, which is refused later."""
    header = 4 * (2 + len(item))
    count = int.from_bytes(start[4:8], "big") if len(start) >= header else 0
    return header + count * math.prod(item)
