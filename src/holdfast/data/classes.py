"""The option `classes`: how many classes there are, or a file of their names, where the data do not say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from holdfast.class_names import MOST_CLASSES, names_in, numbered
from holdfast.errors import DataError, UsageError
from holdfast.shortened import some

if TYPE_CHECKING:
    from holdfast.data.base import DataSet

_NUMBER = re.compile(r"[0-9]{1,9}")


def with_classes(data: DataSet, classes: str) -> DataSet:
    """A data set with the classes that were declared.

    A number says how many there are, of which the data may lack some. A file has one name a line, or is a JSON list or
    an object of names by label. Classes with names are numbered anew in the order of the file; labels without names,
    which are numbers, stay, and get the names.

    Args:
        data: the data set.
        classes: number or path; empty for what the data say themselves.

    Raises:
        UsageError: it is neither.
        DataError: the data have a class that is not among them, or the file cannot be read.
    """
    if not classes:
        return data
    found = data.class_names
    only_numbers = found == numbered(len(found))
    if _NUMBER.fullmatch(classes):
        return _counted(data, int(classes), only_numbers)
    names = names_in(classes)
    unknown = [name for name in found if name not in set(names)]
    if not unknown:
        place_of = {name: label for label, name in enumerate(names)}
        moved = np.array([place_of[name] for name in found], dtype=np.int64)
        return data.relabelled(names, moved[data.labels])
    if not only_numbers:
        raise DataError(
            f"{classes} has {len(names):,} names, and not the class {unknown[0]!r} of the data; expected a line for "
            "each class, written as in the data"
        )
    if len(found) > len(names):
        raise DataError(
            f"{classes} has {len(names):,} names, and the data have labels up to {len(found) - 1}; expected one each"
        )
    return data.relabelled(names, data.labels)


def _counted(data: DataSet, count: int, only_numbers: bool) -> DataSet:
    if not 1 <= count <= MOST_CLASSES:
        raise UsageError(f"classes is a number from 1 to {MOST_CLASSES:,}, or a file of names; got {count:,}")
    largest, known = int(data.labels.max()), len(data.class_names)
    if count < known:
        raise DataError(
            f"classes={count}, and the data have {known} classes, labels up to {largest}; expected {known} or "
            "more. Labels count from 0 on"
        )
    if not only_numbers and count > known:
        raise DataError(
            f"classes={count}, and the data name {known} classes ({some(data.class_names)}); to add others, give a "
            "file with the names of all, one a line: classes=FILE"
        )
    return data.relabelled(numbered(count), data.labels) if only_numbers else data
