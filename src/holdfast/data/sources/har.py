"""Human activity recognition from a smartphone's sensors: 561 features, 6 activities. Source: Anguita et al. 2013."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.data.base import DataSet
from holdfast.data.originals import Original
from holdfast.data.source import source
from holdfast.errors import DataError, UsageError
from holdfast.texts import text_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_ORIGINAL = Original(
    "the UCI HAR Dataset",
    "https://archive.ics.uci.edu/dataset/240/human+activity+recognition+using+smartphones",
)
# The folder in the published archive.
_INNER = "UCI HAR Dataset"
_SIZES = {"train": 7_352, "test": 2_947}
_FEATURES = 561
# Bytes of the largest of its texts, twice over; and of a number in them, at most.
_MOST_BYTES, _MOST_DIGITS = 2**27, 64
_CLASSES = 6


@source("har", path="DIR")
def har(path: Path, split: str, *, rescale: str = "none") -> DataSet:
    """Inputs of shape (561,), float32, in the order of the files; the split is the published one, by person.

    Args:
        path: the folder with activity_labels.txt, train/ and test/, or the one that holds "UCI HAR Dataset".
        split: "train" or "test".
        rescale: "none" for the features as published, in [-1, 1]; "unit" for (feature + 1)/2, in [0, 1], which
            ablation's multichannel encoding needs. Radii are in the units of what is given out.

    Raises:
        UsageError: an unknown `rescale`.
        DataError: a file is missing, corrupt, of another size or no text, or a feature lies outside [-1, 1].
    """
    if rescale not in ("none", "unit"):
        raise UsageError(f"rescale is 'none' (features in [-1, 1]) or 'unit' (in [0, 1]), got {rescale!r}")
    folder = path / _INNER if (path / _INNER).is_dir() else path
    names = _class_names(folder)
    features = _table(folder / split, f"X_{split}.txt", _FEATURES, np.float32)
    labels = _table(folder / split, f"y_{split}.txt", 1, np.int64)[:, 0]
    if features.size and not (features.min() >= -1 and features.max() <= 1):
        raise DataError(
            f"{folder / split / f'X_{split}.txt'} has values from {features.min()} to {features.max()}, expected "
            f"[-1, 1]; take the features as published at {_ORIGINAL.home}"
        )
    return DataSet.in_memory(
        source="har",
        split=split,
        class_names=names,
        labels=labels - 1,
        values=(features + np.float32(1)) / np.float32(2) if rescale == "unit" else features,
        bounds=(0.0, 1.0) if rescale == "unit" else (-1.0, 1.0),
        notes=_ORIGINAL.other_size(split, len(labels), _SIZES[split]),
    )


def _class_names(folder: Path) -> list[str]:
    """The activities, from lines such as `1 WALKING`."""
    file = _ORIGINAL.find(folder, ["activity_labels.txt"])
    lines = _text(file).splitlines()
    rows = [line.split() for line in lines if line.strip()]
    if [row[0] for row in rows] != [str(number + 1) for number in range(_CLASSES)] or any(
        len(row) != 2 for row in rows
    ):
        raise DataError(
            f"{file} has {len(rows)} lines that begin {rows[:1]}, expected {_CLASSES} of a number from 1 on and a "
            f"name, as in '1 WALKING'; get it again from {_ORIGINAL.home}"
        )
    return [row[1] for row in rows]


def _table(folder: Path, name: str, columns: int, kind: Any) -> NDArray[Any]:
    """The numbers in a text file, `(lines, columns)`."""
    file = _ORIGINAL.find(folder, [name])
    try:
        with warnings.catch_warnings():
            # numpy warns of an empty file; the data set then says that it has no examples.
            warnings.simplefilter("ignore", UserWarning)
            rows = np.loadtxt(_lines(file, columns), dtype=kind, ndmin=2)
    except ValueError as error:
        raise DataError(
            f"{file} cannot be read, expected {columns} numbers a line ({error}); get it again from {_ORIGINAL.home}"
        ) from error
    if rows.size and rows.shape[1] != columns:
        raise DataError(f"{file} has {rows.shape[1]} numbers a line, expected {columns}; get it again")
    return rows.reshape(-1, columns)


def _text(file: Path) -> str:
    return text_of(_ORIGINAL.read(file, _MOST_BYTES), file)


def _lines(file: Path, columns: int) -> list[str]:
    """The lines of a table, none of them so long that it cannot be one of so many numbers."""
    lines = _text(file).splitlines()
    longest = max(range(len(lines)), key=lambda number: len(lines[number]), default=None)
    if longest is not None and len(lines[longest]) > columns * _MOST_DIGITS:
        raise DataError(
            f"{file} has {len(lines[longest]):,} characters in line {longest + 1}, expected {columns} numbers a line; "
            f"get it again from {_ORIGINAL.home}"
        )
    return lines
