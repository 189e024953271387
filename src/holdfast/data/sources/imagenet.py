"""ImageNet (ILSVRC2012) as the field lays it out: train/WNID/ and val/WNID/, or val/ as published and a list of labels.

Source: Russakovsky et al. 2015, "ImageNet Large Scale Visual Recognition Challenge".
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from holdfast.data.base import DataSet
from holdfast.data.folders import ImageFiles, check_classes, class_folders, files_by_class, image_files, is_hidden
from holdfast.data.originals import Original
from holdfast.data.pictures import Preparation, picture_data_set, require_pillow
from holdfast.data.remarks import LeftOut
from holdfast.data.source import source
from holdfast.errors import DataError, UsageError
from holdfast.texts import text_of

_ORIGINAL = Original("ImageNet's train/ and val/", "https://image-net.org/challenges/LSVRC/2012/")
_SIZES = {"train": 1_281_167, "test": 50_000}
# Short side 256 for a crop of 224.
_MARGIN = 256 / 224
# Where the archive of the Kaggle challenge has train/ and val/.
_INNER = Path("ILSVRC") / "Data" / "CLS-LOC"
_LIST = "LOC_val_solution.csv"
# It has 2 MB.
_MOST_LIST = 2**26


@source("imagenet", path="DIR")
def imagenet(path: Path, split: str, *, size: str = "224", crop: str = "") -> DataSet:
    """Images of shape (3, size, size), decoded lazily; the test split is ILSVRC2012's validation set.

    The short side is resized to size x 256/224 pixels, rounded, then the centre square is kept, as the field does.
    Classes are WordNet's identifiers, sorted, so that labels are those of published models: the folders of train/, or
    where there is none, those of val/ or of the list. Images come in the order of class and file name, from a val/
    without class folders in the order of file name.

    Args:
        path: the folder with train/ and val/ (one of them will do for its own split), or that holds
            ILSVRC/Data/CLS-LOC; a val/ without class folders needs LOC_val_solution.csv there or beside it.
        split: "train" or "test".
        size: width and height in pixels.
        crop: the short side that images are resized to, in the place of size x 256/224.

    Raises:
        UsageError: `size` cannot be.
        DataError: a folder or the list is missing or does not fit, or an image cannot be decoded.
        MissingExtraError: Pillow is not installed.
    """
    if not size:
        raise UsageError("size is the width and height in pixels, a positive whole number, got ''")
    plain = Preparation.parse(size, "rgb", crop)
    require_pillow()
    base = path / _INNER if (path / _INNER).is_dir() else path
    folder = base / ("train" if split == "train" else "val")
    if not folder.is_dir():
        raise _ORIGINAL.missing(base, [f"{folder.name}/"])
    flat = split == "test" and not any(entry.is_dir() and not is_hidden(entry.name) for entry in folder.iterdir())
    left = LeftOut(path)
    names, files, labels = _listed(path, base, folder, left) if flat else _by_class(base, folder, left)
    return picture_data_set(
        ImageFiles(tuple(files)),
        plain if crop else Preparation(plain.size, plain.mode, _MARGIN),
        source="imagenet",
        split=split,
        class_names=names,
        labels=np.array(labels, dtype=np.int64),
        notes=_ORIGINAL.other_size(split, len(labels), _SIZES[split]) + left.notes(),
        # 1,281,167 headers are not read before they are needed: of the published images it is known what they are.
        survey=False,
    )


def _by_class(base: Path, folder: Path, left: LeftOut) -> tuple[list[str], list[Path], list[int]]:
    training = base / "train" if (base / "train").is_dir() else folder
    names = class_folders(training, left)
    check_classes(folder, class_folders(folder, left), training, names)
    return names, *files_by_class(folder, names, left)


def _listed(path: Path, base: Path, folder: Path, left: LeftOut) -> tuple[list[str], list[Path], list[int]]:
    """Files of a val/ as published, with the classes that the list gives them."""
    places = [place / _LIST for place in (path, base, folder)]
    listing = next((place for place in places if place.is_file()), None)
    if listing is None:
        raise DataError(
            f"{folder} has no class folders, and looked in vain for {', '.join(map(str, places))}; put this list of "
            "the Kaggle challenge there, or sort the images into folders by class (val/n01440764/...)"
        )
    classes = _classes(listing)
    names = class_folders(base / "train", left) if (base / "train").is_dir() else sorted(set(classes.values()))
    check_classes(listing, list(classes.values()), base / "train", names)
    files = image_files(folder, left)
    unknown = [file for file in files if file.stem not in classes]
    if unknown:
        raise DataError(f"{unknown[0]} is not in {listing}, expected a line for each image; get the list again")
    number = {name: label for label, name in enumerate(names)}
    return names, files, [number[classes[file.stem]] for file in files]


def _classes(listing: Path) -> dict[str, str]:
    """Image name to class, from lines such as `ILSVRC2012_val_00048981,n03995372 85 1 499 272`."""
    text = text_of(_ORIGINAL.read(listing, _MOST_LIST), listing)
    try:
        rows = [(row["ImageId"], row["PredictionString"].split()[0]) for row in csv.DictReader(io.StringIO(text))]
    except (csv.Error, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(
            f"{listing} cannot be read, expected a CSV file with the columns ImageId and PredictionString ({error!r}); "
            "get it again"
        ) from error
    classes: dict[str, str] = {}
    for name, found in rows:
        if classes.setdefault(name, found) != found:
            raise DataError(
                f"{listing} gives {name} the classes {classes[name]} and {found}, expected one; get it again"
            )
    return classes
