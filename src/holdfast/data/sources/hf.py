"""Data sets that the library `datasets` has saved to a disk: `datasets.Dataset.save_to_disk` or `DatasetDict`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.data.base import DataSet
from holdfast.data.hugging_face import of_dataset, opened
from holdfast.data.source import source

if TYPE_CHECKING:
    from pathlib import Path


@source("hf", path="DIR", whole=True)
def hf(
    path: Path,
    split: str,
    *,
    x: str = "",
    label: str = "",
    size: str = "",
    crop: str = "",
    mode: str = "rgb",
    range: str = "",
    train: str = "train",
    test: str = "",
) -> DataSet:
    """Images, or arrays of numbers, of a folder that `save_to_disk` wrote; nothing in it is run.

    Of a DatasetDict the splits are taken by their names; `validation` stands in for a test split that is not there. A
    Dataset without splits has one example in five for testing (`holdfast.data.splitting`).

    Args:
        path: the folder.
        split: "train", "test" or "all".
        x: column of the inputs, images or arrays of numbers; without it the only one.
        label: column of the class indices; without it `label`, `labels`, or the only ClassLabel.
        size, crop, mode: of images, as for the source `images`.
        range: of numbers, LOW..HIGH, as for the source `npz`.
        train: name of the split that is for training.
        test: name of the split that is for testing.

    Raises:
        UsageError: an option cannot be.
        DataError: it is no such folder, or has no such columns; or what is wrong with a value.
        MissingExtraError: `datasets` is not installed.
    """
    options = {
        "x": x,
        "label": label,
        "size": size,
        "crop": crop,
        "mode": mode,
        "range": range,
        "train": train,
        "test": test,
    }
    return of_dataset(opened(path), split, str(path), options)
