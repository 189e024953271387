"""MNIST in its original IDX files, gzip or raw. Also reads sets made in its likeness; class names are then digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.data.base import DataSet
from holdfast.data.idx import CLASSES, read_split
from holdfast.data.originals import Original
from holdfast.data.source import source
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_ORIGINAL = Original("MNIST's IDX files", "http://yann.lecun.com/exdb/mnist/")


@source("mnist", path="DIR")
def mnist(path: Path, split: str, *, levels: str = "256") -> DataSet:
    """Images of shape (1, 28, 28) in the order of the files.

    Args:
        path: the folder.
        split: "train" or "test".
        levels: "256" as published, or "2": pixels from 128 on are 1, the others 0 (as in Lee et al. 2019).

    Raises:
        UsageError: other levels.
        DataError: a file is missing, truncated, corrupt or of another format, or images and labels do not match.
    """
    if levels not in ("2", "256"):
        raise UsageError(f"levels of mnist is 256 (as published) or 2 (black and white), got {levels!r}")
    found = read_split(path, split, _ORIGINAL)
    binary = levels == "2"
    return DataSet.in_memory(
        source="mnist-binary" if binary else "mnist",
        split=split,
        class_names=[str(digit) for digit in range(CLASSES)],
        labels=found.labels,
        values=(found.images >= 128).astype(found.images.dtype) if binary else found.images,
        peak=1 if binary else 255,
    )
