"""SVHN, house numbers cropped to 32 x 32 pixels, in its MATLAB files. Source: Netzer et al. 2011, format 2."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.budgets import check_memory, check_packed
from holdfast.data.base import DataSet
from holdfast.data.originals import Original
from holdfast.data.source import source
from holdfast.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_ORIGINAL = Original("SVHN's cropped digits", "http://ufldl.stanford.edu/housenumbers/")
_MD5 = {"train": "e26dedcc434d2e4c54c9b2d4a06d8373", "test": "eb5a983be6a315427106f1b164d9cef3"}
_SIZES = {"train": 73_257, "test": 26_032}
_SHAPE = (32, 32, 3)
# Bytes of a number, by the names that MATLAB has for their kinds.
_NUMBERS = {
    **{f"{sign}int{bits}": bits // 8 for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "single": 4, "double": 8, "logical": 1, "char": 2,
}  # fmt: skip


@source("svhn", path="DIR")
def svhn(path: Path, split: str) -> DataSet:
    """Images of shape (3, 32, 32) of `train_32x32.mat` or `test_32x32.mat`; the file's label 10 is the digit 0.

    A file with another MD5 than the published one is noted, and so is another number of images.

    Raises:
        DataError: the file is missing, corrupt, or holds something else.
    """
    file = _ORIGINAL.find(path, [f"{split}_32x32.mat"])
    content = _ORIGINAL.read(file)
    images, labels = _variables(file, content)
    return DataSet.in_memory(
        source="svhn",
        split=split,
        class_names=[str(digit) for digit in range(10)],
        labels=labels % 10,
        # (row, column, channel, image) in the file.
        values=images.transpose(3, 2, 0, 1),
        notes=_ORIGINAL.other_size(split, len(labels), _SIZES[split])
        + _ORIGINAL.other_content(str(file), content, _MD5[split]),
    )


def _variables(file: Path, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """X `(32, 32, 3, len)` and y `(len,)`, 1 to 10."""
    import scipy.io

    load: Any = scipy.io.loadmat  # The stubs know paths only, not open files.
    _check_claims(file, content)
    try:
        found: dict[str, Any] = load(io.BytesIO(content), variable_names=("X", "y"))
    except Exception as error:  # scipy raises nearly anything on corrupt bytes.
        raise _corrupt(file, error) from error
    images, labels = (np.asarray(found.get(name, ())) for name in ("X", "y"))
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[:3] != _SHAPE:
        raise DataError(
            f"{file} has X of {images.dtype} and shape {images.shape}, expected uint8 (32, 32, 3, images); give the "
            f"file of cropped digits from {_ORIGINAL.home}"
        )
    if labels.dtype.kind not in "iuf" or labels.shape != (images.shape[3], 1):
        raise DataError(
            f"{file} has y of {labels.dtype} and shape {labels.shape}, expected numbers ({images.shape[3]}, 1), one "
            "for each image of X; get it again"
        )
    numbers = labels[:, 0]
    # Written so that a NaN fails.
    if numbers.size and not (numbers.min() >= 1 and numbers.max() <= 10):
        raise DataError(
            f"{file} has labels from {numbers.min()} to {numbers.max()}, expected 1 to 10 (10 is the digit 0)"
        )
    fractions = numbers[numbers != np.floor(numbers)]
    if fractions.size:
        raise DataError(f"{file} has the label {fractions[0]}, expected whole numbers from 1 to 10; get it again")
    return images, numbers.astype(np.int64)


def _check_claims(file: Path, content: bytes) -> None:
    """Raise DataError unless the arrays that a file claims can be in it: nothing of them is unpacked for that.

    X and y are arrays of numbers, the only kind whose size their header says.
    """
    import scipy.io

    listed: Any = scipy.io.whosmat
    try:
        claimed = [(name, shape, kind) for name, shape, kind in listed(io.BytesIO(content)) if name in ("X", "y")]
    except Exception as error:  # scipy raises nearly anything on corrupt bytes.
        raise _corrupt(file, error) from error
    for name, shape, kind in claimed:
        if kind not in _NUMBERS:
            raise DataError(
                f"{file} has {name} of the kind {kind}, expected an array of numbers; give the file of cropped digits "
                f"from {_ORIGINAL.home}"
            )
        size, advice = math.prod(shape) * _NUMBERS[kind], f"get it again from {_ORIGINAL.home}"
        check_packed(size, len(content), f"{name} in {file}", DataError, advice)
        # scipy takes the packed, the unpacked bytes and the array.
        check_memory(2 * size, f"{name} in {file}", DataError, advice)


def _corrupt(file: Path, error: Exception) -> DataError:
    return DataError(
        f"{file} cannot be read, expected a complete MATLAB 5 file ({error}); get it again from {_ORIGINAL.home}"
    )
