"""Folders of image files, one folder a class."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from holdfast.data.base import ALL, DataSet
from holdfast.data.folders import ImageFiles, check_classes, class_folders, files_by_class, read_image_file
from holdfast.data.image_layout import split_folders, splits_there
from holdfast.data.pictures import Preparation, picture_data_set, require_pillow
from holdfast.data.remarks import LeftOut
from holdfast.data.source import source
from holdfast.data.splitting import held_out_note, rows_of_split

if TYPE_CHECKING:
    from pathlib import Path


@source("images", path="DIR", whole=True)
def images(path: Path, split: str, *, size: str = "", crop: str = "", mode: str = "rgb") -> DataSet:
    """Images in DIR/CLASS/, or in DIR/train/CLASS/ and DIR/test/CLASS/ (or other names of splits), decoded lazily.

    Classes are numbered in the order of their names; images come in the order of class and file name. Where neither DIR
    nor its folders are called by splits (`holdfast.data.image_layout`), one image in five is for testing
    (`holdfast.data.splitting`), for which every file is read once. Notes say what was decided and left out.

    Args:
        path: the folder DIR.
        split: "train", "test" or "all".
        size: resize the short side to this many pixels and keep the centre square; without it all images must have
            the same size.
        crop: resize the short side to this many pixels instead, before the centre of `size` is cut out, as published
            models have it: size=224,crop=256.
        mode: "rgb", "grey", or "grey16" for grey images of 16 bits.

    Raises:
        UsageError: `size` or `mode` cannot be.
        DataError: no images, no folder of this split beside that of the other, a class folder without images or only
            in the test split, an image that cannot be decoded or has 16 bits a channel, or images of different sizes.
        MissingExtraError: Pillow is not installed.
    """
    preparation = Preparation.parse(size, mode, crop)
    require_pillow()
    left = LeftOut(path)
    there = splits_there(path) if split == ALL else None
    found = [_of_split(path, each, left) for each in there or (split,)]
    class_names = found[0][0]
    for other, *_ in found[1:]:
        check_classes(path, other, path, class_names)
    files = [file for _, some_files, _, _ in found for file in some_files]
    labels = [label for _, _, some_labels, _ in found for label in some_labels]
    notes = tuple(dict.fromkeys(note for _, _, _, some_notes in found for note in some_notes))
    return picture_data_set(
        ImageFiles(tuple(files)),
        preparation,
        source="images",
        split=split,
        class_names=class_names,
        labels=np.array(labels, dtype=np.int64),
        notes=(*notes, *left.notes()),
    )


def _of_split(path: Path, split: str, left: LeftOut) -> tuple[list[str], list[Path], list[int], tuple[str, ...]]:
    """Class names, files, labels and notes."""
    layout = split_folders(path, split, left)
    if layout is not None:
        class_names = class_folders(layout.classes, left)
        check_classes(layout.images, class_folders(layout.images, left), layout.classes, class_names)
        files, labels = files_by_class(layout.images, class_names, left)
        return class_names, files, labels, layout.notes
    class_names = class_folders(path, left)
    files, labels = files_by_class(path, class_names, left)
    if split == ALL:
        return class_names, files, labels, ()
    digests = [hashlib.sha256(read_image_file(file)).digest() for file in files]
    rows = rows_of_split(digests, labels, split, str(path))
    return class_names, [files[row] for row in rows], [labels[row] for row in rows], (held_out_note(path),)
