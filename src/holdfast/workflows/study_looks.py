"""Test images that a page shows as they are, and how often the training set has each value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from holdfast.data.base import DataSet
    from holdfast.reproductions.plans import Looking
    from holdfast.reproductions.results import Looked
    from holdfast.workflows.study_models import Splits

_AT_A_TIME = 1_000
# 8 bits.
_LEVELS = 256


def looked(job: Looking, splits: Splits) -> Looked:
    """The images, the mean of the training set, and the counts of its values, which are rounded to 8 bits."""
    from holdfast.reproductions.results import Looked

    test, train = splits.open("test"), splits.open("train")
    indices = list(range(0, len(test), job.every))[: job.limit]
    mean, _ = train.channel_statistics()
    return Looked(
        tuple(indices),
        tuple(test.class_names[int(test.labels[index])] for index in indices),
        test.batch(indices),
        mean,
        tuple(_counts(train).tolist()),
    )


def _counts(data: DataSet) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    total = np.zeros(_LEVELS, dtype=np.int64)
    for start in range(0, len(data), _AT_A_TIME):
        values = data.batch(range(start, min(start + _AT_A_TIME, len(data))))
        total += np.bincount(np.rint(values.ravel() * (_LEVELS - 1)).astype(np.int64), minlength=_LEVELS)
    return total
