"""The 1,797 handwritten digits of 8 x 8 pixels that come with the package (files/README.md says from where)."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from holdfast.data.base import DataSet
from holdfast.data.source import source

if TYPE_CHECKING:
    from pathlib import Path


@source("digits")
def digits(path: Path | None, split: str) -> DataSet:
    """Digits of shape (1, 8, 8), values 0..16 of 16; every fifth, beginning with the first, is for testing."""
    with resources.files("holdfast.data").joinpath("files").joinpath("digits.npz").open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        images, labels = archive["images"], archive["labels"]
    for_testing = np.arange(len(labels)) % 5 == 0
    chosen = for_testing if split == "test" else ~for_testing
    return DataSet.in_memory(
        source="digits",
        split=split,
        class_names=[str(digit) for digit in range(10)],
        labels=labels[chosen],
        values=images[chosen][:, np.newaxis],
        peak=16,
    )
