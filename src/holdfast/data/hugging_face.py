"""Data sets of the library `datasets`, from the disk or from memory: their splits, columns and class names."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.budgets import check_memory
from holdfast.class_names import numbered
from holdfast.data.base import ALL, DataSet
from holdfast.data.given import held_out, inputs_of, labels_of, of_splits, parse_range
from holdfast.data.kinds import missing
from holdfast.data.pictures import Preparation, picture_data_set, require_pillow
from holdfast.data.splitting import held_out_note, rows_of_split
from holdfast.errors import DataError, MissingExtraError, UsageError, first_line
from holdfast.shortened import some
from holdfast.stand_ins import refuse_stand_in_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LABELS = ("label", "labels", "fine_label", "target", "y")
# Of rows that are turned into numbers at a time.
_ROWS = 1_000


def opened(path: Path) -> Any:
    """The `Dataset` or `DatasetDict` of a folder that `save_to_disk` wrote.

    Raises:
        DataError: it is no such folder, or cannot be read.
        MissingExtraError: `datasets` is not installed.
    """
    if not path.exists():
        raise DataError(missing(path))
    if not path.is_dir():
        raise DataError(f"{path} is a file, expected a folder that datasets' save_to_disk wrote; give the folder")
    names = {entry.name for entry in path.iterdir()}
    if not names & {"state.json", "dataset_dict.json"}:
        scripts = sorted(name for name in names if name.endswith(".py"))
        reason = (
            f"it has {some(scripts)}, a program that loads data, and no such program is run"
            if scripts
            else f"it has {some(sorted(names)) or 'nothing in it'}"
        )
        raise DataError(
            f"{path} is no folder that datasets' save_to_disk wrote, which has state.json or dataset_dict.json: "
            f"{reason}. "
            "Load it with `datasets` where you trust it, and save it by save_to_disk(DIR)"
        )
    datasets = _library()
    try:
        return datasets.load_from_disk(str(path))
    except Exception as error:  # It raises nearly anything on files that are cut off.
        for file in sorted(each for each in path.rglob("*") if each.is_file()):
            refuse_stand_in_file(file, DataError)
        raise DataError(
            f"{path} cannot be read, expected a complete folder that datasets' save_to_disk wrote "
            f"({type(error).__name__}: {first_line(error)}); save it again"
        ) from error


def of_dataset(found: Any, split: str, where: str, options: Mapping[str, str]) -> DataSet:
    """One split of a `Dataset` or `DatasetDict`; see the source `hf` for the options."""
    library = _library()
    if isinstance(found, library.DatasetDict):
        parts, notes = _splits(found, where, options)
        wanted = [each for each in ("train", "test") if each in parts] if split == ALL else [split]
        if split != ALL and split not in parts:
            raise DataError(
                f"{where} has the splits {', '.join(found)}, and none for {split}; name the one to take, as in "
                f"{split}={next(iter(found))}"
            )
        made = {each: _built(parts[each], each, where, options, notes, parts.get("train")) for each in wanted}
        return of_splits(made, split, where)
    if not isinstance(found, library.Dataset):
        raise DataError(
            f"{where} is of the type {type(found).__name__}, expected a datasets.Dataset or DatasetDict; of a stream, "
            "take a part and collect it first"
        )
    return _built(found, split, where, options, (), None, pooled=True)


def _library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("datasets", "hf", "Reading data sets of the library datasets") from error
    return datasets


def _splits(found: Any, where: str, options: Mapping[str, str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    names = list(found)
    training = options.get("train") or "train"
    testing = options.get("test") or next((name for name in ("test", "validation", "val") if name in names), "")
    notes: tuple[str, ...] = ()
    for key in ("train", "test"):
        asked = options.get(key)
        if asked and asked not in names and not (key == "train" and asked == "train"):
            raise UsageError(f"{key}={asked}: {where} has the splits {', '.join(names)}")
    if testing and testing != "test" and not options.get("test"):
        notes += (f"the test split is the split {testing!r} of {where}: there is no 'test'",)
    left = [name for name in names if name not in (training, testing)]
    if left:
        notes += (f"left out of {where}: the splits {some(left)}",)
    parts = {}
    if training in names:
        parts["train"] = found[training]
    if testing in names:
        parts["test"] = found[testing]
    return parts, notes


def _built(
    part: Any,
    split: str,
    where: str,
    options: Mapping[str, str],
    notes: tuple[str, ...],
    training: Any,
    *,
    pooled: bool = False,
) -> DataSet:
    """A `Dataset` as a data set; `pooled` takes the split out of it."""
    library = _library()
    if not len(part):
        raise DataError(f"{where} has no rows in its {split} split, expected at least one")
    label = _label(part, where, options.get("label", ""))
    column, images = _inputs(part, where, options.get("x", ""), label)
    labels = _labels(part, label, where)
    all_notes = (*notes, *labels[2])
    if images:
        preparation = Preparation.parse(options.get("size", ""), options.get("mode", "rgb"), options.get("crop", ""))
        require_pillow()
        encoded = _Images(part.cast_column(column, library.Image(decode=False)), column, where, None)
        rows = np.arange(len(part))
        if pooled and split != ALL:
            digests = [hashlib.sha256(encoded.read(index)).digest() for index in range(len(part))]
            rows = rows_of_split(digests, labels[0], split, where)
            all_notes += (held_out_note(where),)
        return picture_data_set(
            _Images(encoded.part, column, where, rows),
            preparation,
            source="hf",
            split=split,
            class_names=labels[1],
            labels=labels[0][rows],
            notes=all_notes,
        )
    values = _numbers(part, column, where)
    others = None if training is None or training is part else _numbers(training, column, where)
    inputs = inputs_of(
        values,
        f"the column {column!r} of {where}",
        bounds=parse_range(options.get("range", "")),
        channels="",
        peak=None,
        training=others,
    )
    data = DataSet.in_memory(
        source="hf",
        split=ALL if pooled else split,
        class_names=labels[1],
        labels=labels[0],
        values=inputs.values,
        peak=inputs.peak,
        bounds=inputs.bounds,
        notes=(*all_notes, *inputs.notes),
    )
    return held_out(data, split, where) if pooled else data


@dataclass(frozen=True)
class _Images:
    """The encoded images of a column, read when they are asked for."""

    part: Any
    column: str
    where: str
    rows: Any

    def __len__(self) -> int:
        return len(self.part) if self.rows is None else len(self.rows)

    def read(self, index: int) -> bytes:
        row = index if self.rows is None else int(self.rows[index])
        found = self.part[row][self.column]
        content = found.get("bytes") if isinstance(found, dict) else None
        if not content:
            raise DataError(
                f"{self.name(index)} has no image in it, only the path of one or nothing; files elsewhere are not "
                "opened: "
                "save the data set again with its images embedded, as save_to_disk does"
            )
        return bytes(content)

    def name(self, index: int) -> str:
        row = index if self.rows is None else int(self.rows[index])
        return f"row {row} of {self.where}"


def _label(part: Any, where: str, asked: str) -> str:
    library = _library()
    if asked:
        if asked not in part.features:
            raise UsageError(f"label={asked}: {where} has the columns {_columns(part)}")
        return asked
    usual = [name for name in _LABELS if name in part.features]
    if usual:
        return str(usual[0])
    named = [str(name) for name, kind in part.features.items() if isinstance(kind, library.ClassLabel)]
    if len(named) != 1:
        raise UsageError(f"{where} has the columns {_columns(part)}; name that of the classes, as in label=COLUMN")
    return named[0]


def _inputs(part: Any, where: str, asked: str, label: str) -> tuple[str, bool]:
    """The column of the inputs, and whether it holds images."""
    library = _library()
    images = [name for name, kind in part.features.items() if isinstance(kind, library.Image)]
    if asked:
        if asked not in part.features:
            raise UsageError(f"x={asked}: {where} has the columns {_columns(part)}")
        return asked, asked in images
    arrays = [
        name for name, kind in part.features.items() if name not in (*images, label) and _is_array(kind) and not images
    ]
    found = images or arrays
    if len(found) != 1:
        raise UsageError(
            f"{where} has the columns {_columns(part)}, of which "
            f"{some(found) + ' may all be the inputs' if found else 'none holds images or arrays of numbers'}; name "
            "that "
            "of the inputs, as in x=COLUMN"
        )
    return found[0], bool(images)


def _is_array(kind: Any) -> bool:
    """Whether a feature holds numbers in lists or arrays."""
    library = _library()
    if type(kind).__name__ in ("Array2D", "Array3D", "Array4D", "Array5D"):
        return True
    depth = 0
    while not isinstance(kind, library.Value):
        kind = kind[0] if isinstance(kind, list) and kind else getattr(kind, "feature", None)
        depth += 1
        if kind is None or depth > 5:
            return False
    return depth > 0 and any(each in kind.dtype for each in ("int", "float", "bool"))


def _columns(part: Any) -> str:
    return ", ".join(f"{name} ({type(kind).__name__})" for name, kind in part.features.items())


def _labels(
    part: Any, label: str, where: str
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], tuple[str, ...], tuple[str, ...]]:
    kind = part.features[label]
    found = list(part.select_columns([label]).with_format(None)[label])
    hole = next((row for row, value in enumerate(found) if value is None), None)
    if hole is not None:
        raise DataError(f"{where} has no label in row {hole} of the column {label!r}, expected one in each row")
    names = getattr(kind, "names", None)
    made = labels_of(
        np.array(found, dtype=object if isinstance(found[0], str) else None), f"the column {label!r} of {where}"
    )
    if names is None:
        return made.labels, made.class_names, made.notes
    largest = int(made.labels.max())
    if largest >= len(names):
        raise DataError(f"{where} has the label {largest} and names {len(names)} classes, expected one name each")
    return made.labels, tuple(map(str, names)) or numbered(largest + 1), ()


def _numbers(part: Any, column: str, where: str) -> np.ndarray[Any, np.dtype[Any]]:
    """The values of a column of arrays, `(rows, ...)`."""
    chosen = part.select_columns([column]).with_format("numpy")
    first = np.asarray(chosen[0][column])
    check_memory(
        2 * len(part) * math.prod(first.shape) * first.dtype.itemsize,
        where,
        DataError,
        "take fewer rows, by select(...)",
    )
    rows: list[np.ndarray[Any, np.dtype[Any]]] = []
    for start in range(0, len(part), _ROWS):
        for row, value in enumerate(chosen[start : start + _ROWS][column]):
            array = np.asarray(value)
            if array.dtype.kind not in "biuf" or array.shape != first.shape:
                raise DataError(
                    f"{where} has {array.dtype} of shape {array.shape} in row {start + row} of the column {column!r}, "
                    f"expected numbers of shape {first.shape} as in the first row; bring all to one shape"
                )
            rows.append(array)
    return np.stack(rows)
