"""Train and test from one pile of images, by their content."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from holdfast.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]


def rows_of_split(digests: Sequence[bytes], labels: Sequence[int] | IntArray, split: str, where: str) -> IntArray:
    """Positions of the images of one split when a source has no splits of its own: one image in five is for testing.

    The distinct images are put in the order of their class, then of their hash, and every fifth is taken, beginning
    with the first. So the split depends neither on file names nor on the order of listing; a class with five distinct
    images or more has some in both splits; and copies of an image are never on both sides. An image that is filed
    under several classes counts for the first of them.

    Args:
        digests: hash of each image's encoded bytes.
        labels: class index of each image.
        split: "train" or "test".
        where: the file or folder, for the error.

    Raises:
        DataError: the split would be empty.
    """
    classes: dict[bytes, int] = {}
    for digest, label in zip(digests, labels, strict=True):
        classes[digest] = min(int(label), classes.get(digest, int(label)))
    ranked = sorted(classes, key=lambda digest: (classes[digest], digest))
    for_testing = set(ranked[::5])
    rows = [row for row, digest in enumerate(digests) if (digest in for_testing) == (split == "test")]
    if not rows:
        raise DataError(
            f"the {split} split of {where} would be empty: found {len(ranked)} distinct images, expected at least 2 "
            "to hold out one in five; add images, or give train and test separately"
        )
    return np.array(rows, dtype=np.int64)
