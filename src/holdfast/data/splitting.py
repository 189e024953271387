"""Train and test from one pile of images, by their content; whether examples come class by class."""

from __future__ import annotations

import math
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


def held_out_note(where: object, what: str = "image") -> str:
    """A note about a file or folder whose images, or other things, `rows_of_split` has split."""
    return (
        f"{where} does not say which {what}s are for training and which for testing: one distinct {what} in five, "
        f"chosen by content, is the test split; a model that was trained otherwise than on the train split made so may "
        f"have been trained on {what}s of this test split"
    )


def is_sorted_by_class(labels: Sequence[int] | IntArray) -> bool:
    """Whether examples come class by class, so that the first of them do not represent all.

    True if there is more than one class and either the labels never decrease, or never increase, or they change from
    one example to the next at most half as often as they would on average in random order. The last covers classes in
    another order than that of their numbers, and several sorted files one after the other.

    Args:
        labels: class index of each example, in the order of the data set.
    """
    ordered = np.asarray(labels, dtype=np.int64)
    counts = np.unique(ordered, return_counts=True)[1].astype(np.float64)
    if len(counts) < 2:
        return False
    steps = np.diff(ordered)
    if bool((steps >= 0).all() or (steps <= 0).all()):
        return True
    num = float(len(ordered))
    # Two neighbours in random order are two examples drawn without replacement.
    in_random_order = (num - 1) * (1 - float((counts * (counts - 1)).sum()) / (num * (num - 1)))
    return bool(2 * np.count_nonzero(steps) <= in_random_order)


def class_coverage(labels: Sequence[int] | IntArray, indices: Sequence[int] | IntArray) -> tuple[int, float]:
    """How many classes some examples are of, and how many as many examples drawn at random would be of on average.

    Args:
        labels: class index of each example of the data set.
        indices: the positions of the examples in question, each once.
    """
    every = np.asarray(labels, dtype=np.int64)
    taken = every[np.asarray(indices, dtype=np.int64)]
    sizes = np.unique(every, return_counts=True)[1]
    missed = (_share_without(len(every), int(size), len(taken)) for size in sizes)
    return len(np.unique(taken)), math.fsum(1.0 - share for share in missed)


def _share_without(total: int, size: int, drawn: int) -> float:
    """The probability that `drawn` of `total` examples, without replacement, have none of a class of `size`."""
    if drawn > total - size:
        return 0.0
    log = math.lgamma(total - size + 1) - math.lgamma(total - size - drawn + 1)
    return math.exp(log - math.lgamma(total + 1) + math.lgamma(total - drawn + 1))
