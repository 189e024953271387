"""Folders of image files, one folder a class."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from holdfast.data.base import DataSet, source
from holdfast.data.folders import ImageFiles, check_classes, class_folders, files_by_class, read_image_file
from holdfast.data.pictures import Preparation, picture_data_set, require_pillow
from holdfast.data.splitting import rows_of_split

if TYPE_CHECKING:
    from pathlib import Path

_TEST_FOLDERS = ("test", "val", "validation")


@source("images", path="DIR")
def images(path: Path, split: str, *, size: str = "", mode: str = "rgb") -> DataSet:
    """Images in DIR/CLASS/, or in DIR/train/CLASS/ and DIR/test/CLASS/ (also val/, validation/), decoded lazily.

    Classes are numbered in the order of their names; images come in the order of class and file name. Where DIR has no
    train/ and test/, one image in five is for testing (`holdfast.data.splitting`), for which every file is read once.

    Args:
        path: the folder DIR.
        split: "train" or "test".
        size: resize the short side to this many pixels and keep the centre square; without it all images must have
            the same size, and all headers are read to make sure.
        mode: "rgb" or "grey".

    Raises:
        UsageError: `size` or `mode` cannot be.
        DataError: no images, a class folder without images or only in the test split, an image that cannot be
            decoded, or images of different sizes.
        MissingExtraError: Pillow is not installed.
    """
    preparation = Preparation.parse(size, mode)
    require_pillow()
    folders = _split_folders(path)
    if folders is None:
        class_names = class_folders(path)
        files, labels = files_by_class(path, class_names)
        digests = [hashlib.sha256(read_image_file(file)).digest() for file in files]
        rows = rows_of_split(digests, labels, split, str(path))
        files, labels = [files[row] for row in rows], [labels[row] for row in rows]
    else:
        class_names = class_folders(folders["train"])
        check_classes(folders[split], class_folders(folders[split]), folders["train"], class_names)
        files, labels = files_by_class(folders[split], class_names)
    return picture_data_set(
        ImageFiles(tuple(files)),
        preparation,
        source="images",
        split=split,
        class_names=class_names,
        labels=np.array(labels, dtype=np.int64),
    )


def _split_folders(folder: Path) -> dict[str, Path] | None:
    """The folders of the two splits, or None; both must be there, since "train" alone may be a class."""
    train = folder / "train"
    for name in _TEST_FOLDERS:
        if train.is_dir() and (folder / name).is_dir():
            return {"train": train, "test": folder / name}
    return None
