"""MNIST in its original IDX files, gzip or raw. Also reads sets made in its likeness; class names are then digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.data.base import DataSet, source
from holdfast.data.idx import CLASSES, read_split
from holdfast.data.originals import Original

if TYPE_CHECKING:
    from pathlib import Path

_ORIGINAL = Original("MNIST's IDX files", "http://yann.lecun.com/exdb/mnist/")


@source("mnist", path="DIR")
def mnist(path: Path, split: str) -> DataSet:
    """Images of shape (1, 28, 28) in the order of the files.

    Raises:
        DataError: a file is missing, truncated, corrupt or of another format, or images and labels do not match.
    """
    found = read_split(path, split, _ORIGINAL)
    return DataSet.in_memory(
        source="mnist",
        split=split,
        class_names=[str(digit) for digit in range(CLASSES)],
        labels=found.labels,
        values=found.images,
    )
