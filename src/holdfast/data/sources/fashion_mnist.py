"""Fashion-MNIST in its original IDX files, gzip or raw. Source: Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.data.base import DataSet
from holdfast.data.idx import read_split
from holdfast.data.originals import Original
from holdfast.data.source import source

if TYPE_CHECKING:
    from pathlib import Path

_ORIGINAL = Original("Fashion-MNIST's IDX files", "https://github.com/zalandoresearch/fashion-mnist")
_CLASS_NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
# Of the compressed files, as that page states them; it states none for raw ones.
_MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
_SIZES = {"train": 60_000, "test": 10_000}


@source("fashion-mnist", path="DIR")
def fashion_mnist(path: Path, split: str) -> DataSet:
    """Images of shape (1, 28, 28) in the order of the files, which have the names of MNIST's.

    Compressed files with another MD5 than the published one are noted, and so is another number of images.

    Raises:
        DataError: a file is missing, truncated, corrupt or of another format, or images and labels do not match.
    """
    found = read_split(path, split, _ORIGINAL)
    notes = _ORIGINAL.other_size(split, len(found.labels), _SIZES[split])
    for file in found.files:
        if file.name in _MD5:
            notes += _ORIGINAL.other_content(str(file), _ORIGINAL.read(file), _MD5[file.name])
    return DataSet.in_memory(
        source="fashion-mnist",
        split=split,
        class_names=_CLASS_NAMES,
        labels=found.labels,
        values=found.images,
        notes=notes,
    )
