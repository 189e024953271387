"""The option `classes`: how many classes there are, or a file of their names, where the data do not say."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from holdfast.budgets import content_of
from holdfast.data.texts import text_of
from holdfast.errors import DataError, UsageError
from holdfast.formats.strict import foreign_object
from holdfast.shortened import some
from holdfast.spec import place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.data.base import DataSet

_NUMBER = re.compile(r"[0-9]{1,9}")
# No manifest has more.
MOST_CLASSES = 100_000
_MOST_BYTES = 2**26


def numbered(count: int) -> tuple[str, ...]:
    """Numbers for names."""
    return tuple(str(label) for label in range(count))


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
    names = _names_in(classes)
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


def _names_in(path: str) -> tuple[str, ...]:
    file = place(path)
    if not file.is_file():
        what = f"{path} is a folder" if file.is_dir() else f"no file {path}"
        raise UsageError(f"classes is a number of classes, or a file with one name a line; {what}")
    try:
        text = text_of(content_of(file, DataError, _MOST_BYTES), file)
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror or error}); check its permissions") from error
    names = _of_json(text, path) if text.lstrip()[:1] in ("[", "{") else [line.strip() for line in text.splitlines()]
    while names and not names[-1]:
        names.pop()
    blank = next((number for number, name in enumerate(names) if not name), None)
    if not names or blank is not None:
        raise DataError(
            f"{path} has {'no names' if not names else f'no name in line {blank + 1}' if blank is not None else ''}, "
            "expected one name a line, in the order of the labels"
        )
    if len(names) > MOST_CLASSES:
        raise DataError(f"{path} has {len(names):,} names, expected {MOST_CLASSES:,} at most")
    return _told_apart(names)


def _told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """Names that stand for several classes, as two of ImageNet's do, get their labels behind them."""
    count = Counter(names)
    return tuple(f"{name} ({label})" if count[name] > 1 else name for label, name in enumerate(names))


def _of_json(text: str, path: str) -> list[str]:
    """A list of names, or names by label, as in `{"0": "tench"}` or `{"0": ["n01440764", "tench"]}`, of which the "
    "first counts."""
    try:
        found = foreign_object(f'{{"names": {text}}}'.encode())["names"]
        if isinstance(found, dict):
            found = [found[str(label)] for label in range(len(found))]
        first: Sequence[object] = [name[0] if isinstance(name, list) and name else name for name in found]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path} begins as JSON and cannot be read ({error!r}); expected a list of names, or an object of names "
            'by label, as in {"0": "cat", "1": "dog"}'
        ) from error
    wrong = next((name for name in first if not isinstance(name, str)), None)
    if wrong is not None:
        raise DataError(f"{path} has {wrong!r} for a name, expected a text for each class")
    return [str(name) for name in first]
