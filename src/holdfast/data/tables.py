"""Tables of numbers and categories as a data set: which columns are inputs, one-hot categories, range and scale.

A category of c texts becomes c numbers, of which one is 1. For L0, where noise takes whole pixels, all of them are one
feature: `layout=pixels` makes each feature a pixel of an image of one row, a category's numbers its channels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.budgets import check_memory
from holdfast.data.base import ALL, DataSet
from holdfast.data.given import labels_of, of_splits, parse_range
from holdfast.data.splitting import held_out_note, rows_of_split
from holdfast.errors import DataError, UsageError
from holdfast.shortened import some

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_LABELS = ("label", "labels", "target", "class", "y")
_LAYOUTS = ("flat", "pixels")
_SCALES = ("none", "minmax", "standard")
# More are no categories but names of things.
_MOST_CATEGORIES = 1_000
# Of different texts in a column, the share that may stand in one row alone.
_MOST_SINGLE = 0.5


@dataclass(frozen=True)
class Column:
    """A column: numbers, or texts where `texts` says so.

    Attributes:
        name: its own.
        values: float64 `(rows,)`, or texts.
        texts: whether it holds texts.
    """

    name: str
    values: NDArray[Any]
    texts: bool


@dataclass(frozen=True)
class Table:
    """A table that was read, without holes.

    Attributes:
        where: what messages call it.
        columns: by name, in order.
        first: number of the first row of values, as people count lines of this kind of file.
    """

    where: str
    columns: Mapping[str, Column]
    first: int = 1

    @property
    def rows(self) -> int:
        """How many there are. Columns that were not asked for have none."""
        return max((len(column.values) for column in self.columns.values()), default=0)


@dataclass(frozen=True)
class Asked:
    """The options of a table; see the source `csv`."""

    label: str = ""
    features: str = ""
    range: str = ""
    scale: str = ""
    layout: str = ""

    def __post_init__(self) -> None:
        for name, value, known in (("scale", self.scale, _SCALES), ("layout", self.layout, _LAYOUTS)):
            if value and value not in known:
                raise UsageError(f"{name} is {', '.join(known[:-1])} or {known[-1]}, got {value!r}")


def data_set_of(
    tables: Mapping[str | None, Table], asked: Asked, *, source: str, split: str, where: str, notes: Sequence[str] = ()
) -> DataSet:
    """One split of a table in one piece (by None), or of the tables of the splits.

    Raises:
        DataError: a column is not there, or holds what cannot be; or the split is not there.
        UsageError: an option cannot be.
    """
    first = next(iter(tables.values()))
    label, said = _label_of(first, asked.label)
    names, more = _features_of(first, label, asked.features)
    for table in tables.values():
        _check_columns(table, first, (*names, label))
    kinds = _kinds(tables, names)
    layout, noted = _layout(kinds, asked.layout)
    blocks = {key: _blocks(table, names, kinds) for key, table in tables.items()}
    labels = {key: table.columns[label].values for key, table in tables.items()}
    classes = _classes(labels, label, where)
    declared = parse_range(asked.range)
    categories = tuple(f"{name} ({len(kinds[name])})" for name in names if kinds[name])
    all_notes = [*notes, *said, *more, *noted]
    if categories:
        all_notes.append(
            f"{some(categories)} of {where} hold texts, and become as many numbers as there are different texts, "
            "one-hot"
        )
    # Which rows are for training is told by what they are, before they are scaled.
    digests = [] if None not in tables else _digests(blocks[None])
    if None in tables and asked.scale not in ("", "none"):
        rows = rows_of_split(digests, classes[0][None], "train", where)
        training = [block[rows] for block in blocks[None]]
    else:
        training = blocks.get("train", blocks[next(iter(tables))])
    scaled, words = _scaled(blocks, training, kinds, names, asked.scale)
    all_notes += words
    low, high, range_words = _range(scaled, tables, declared, asked.scale, where, bool(categories))
    all_notes += range_words
    built = {
        key: DataSet.in_memory(
            source=source,
            split=key or ALL,
            class_names=classes[1],
            labels=classes[0][key],
            values=_laid_out(parts, layout, low, high),
            bounds=(low, high),
            notes=all_notes,
        )
        for key, parts in scaled.items()
    }
    if None not in built:
        return of_splits({str(key): data for key, data in built.items()}, split, where)
    if split == ALL:
        return built[None]
    rows = rows_of_split(digests, classes[0][None], split, where)
    return built[None].at(rows).of_split(split).noted(held_out_note(where, "example"))


def _digests(blocks: Sequence[NDArray[np.float64]]) -> list[bytes]:
    values = np.concatenate(blocks, axis=1).astype("<f4")
    return [hashlib.sha256(row.tobytes()).digest() for row in values]


def _label_of(table: Table, asked: str) -> tuple[str, tuple[str, ...]]:
    columns = list(table.columns)
    if asked:
        if asked not in table.columns:
            raise UsageError(f"label={asked}: {table.where} has no such column; it has {some(columns, most=20)}")
        return asked, ()
    found = [name for name in columns if name.lower() in _LABELS]
    if len(found) != 1:
        raise UsageError(
            f"{table.where} has {'no column' if not found else f'several columns ({some(found)})'} with a usual name "
            "of "
            f"labels; name the column of the classes, as in label={columns[-1] if columns else 'COLUMN'}. It has "
            f"{some(columns, most=20)}"
        )
    return found[0], (f"the column {found[0]!r} of {table.where} is taken for the labels",)


def _features_of(table: Table, label: str, asked: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not asked:
        names = tuple(name for name in table.columns if name != label)
        if not names:
            raise DataError(f"{table.where} has no column beside the labels, {label!r}; expected features")
        unnamed = [name for name in names if not name or name.lower() in ("unnamed: 0", "index", "id")]
        if unnamed:
            return names, (
                f"the column {unnamed[0]!r} of {table.where} is taken for a feature; if it is the number of a row, "
                "leave "
                "it out by features=A+B+C",
            )
        return names, ()
    names = tuple(part.strip() for part in asked.split("+")) if asked not in table.columns else (asked,)
    unknown = [name for name in names if name not in table.columns]
    if unknown:
        raise UsageError(
            f"features: {table.where} has no column {unknown[0]!r}; it has {some(list(table.columns), most=20)}. Names "
            "stand with plus signs between them, as in features=A+B+C"
        )
    if label in names or len(set(names)) < len(names):
        raise UsageError(f"features={asked}: {'the label is among them' if label in names else 'one is there twice'}")
    return names, ()


def _check_columns(table: Table, first: Table, names: Sequence[str]) -> None:
    absent = [name for name in names if name not in table.columns]
    if absent:
        raise DataError(
            f"{table.where} has no column {absent[0]!r}, which {first.where} has; expected the same columns in both"
        )
    if not table.rows:
        raise DataError(f"{table.where} has no rows, expected at least one example")


def _kinds(tables: Mapping[str | None, Table], names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The categories of each column, sorted; none for a column of numbers."""
    kinds: dict[str, tuple[str, ...]] = {}
    for name in names:
        columns = [(table, table.columns[name]) for table in tables.values()]
        if not any(column.texts for _, column in columns):
            kinds[name] = ()
            continue
        # Numbers in one table and texts in the other are texts.
        texts = [np.array([_text(value) for value in column.values.tolist()], dtype=object) for _, column in columns]
        found = sorted({text for each in texts for text in each.tolist()})
        total = sum(len(each) for each in texts)
        if len(found) > _MOST_CATEGORIES or (len(found) > 20 and len(found) > _MOST_SINGLE * total):
            raise DataError(
                f"{columns[0][0].where} has {len(found):,} different texts in {total:,} rows of the column {name!r}, "
                "such "
                f"as {some([repr(each) for each in found])}; expected numbers, or a category of a few texts. Write "
                "numbers with a point, or leave the column out by features=A+B+C"
            )
        kinds[name] = tuple(found)
    return kinds


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _layout(kinds: Mapping[str, Sequence[str]], asked: str) -> tuple[str, tuple[str, ...]]:
    if asked:
        return asked, ()
    if not any(kinds.values()):
        return "flat", ()
    return "pixels", (
        "each feature is a pixel of an image of one row, whose channels are the numbers of a category, so that a "
        "category counts as one feature for L0; layout=flat puts all numbers into one row instead, of which L0 counts "
        "each",
    )


def _blocks(table: Table, names: Sequence[str], kinds: Mapping[str, Sequence[str]]) -> list[NDArray[np.float64]]:
    """The numbers of each feature, `(rows, 1)` or one-hot `(rows, categories)`."""
    wanted = sum(max(1, len(kinds[name])) for name in names) * table.rows * 24
    check_memory(wanted, table.where, DataError, "leave out columns by features=A+B+C, or take fewer rows")
    blocks = []
    for name in names:
        values = table.columns[name].values
        if not kinds[name]:
            blocks.append(values.astype(np.float64)[:, np.newaxis])
            continue
        place = {text: number for number, text in enumerate(kinds[name])}
        chosen = np.array([place[_text(value)] for value in values.tolist()], dtype=np.int64)
        blocks.append(np.eye(len(place))[chosen])
    return blocks


def _classes(
    labels: Mapping[str | None, NDArray[Any]], label: str, where: str
) -> tuple[dict[str | None, NDArray[np.int64]], tuple[str, ...]]:
    """Labels of all tables numbered alike, and the names of the classes."""
    together = np.concatenate([each.astype(object) for each in labels.values()])
    texts = any(isinstance(value, str) for value in together.tolist())
    column = f"the column {label!r} of {where}"
    found = labels_of(
        np.array([_text(value) for value in together.tolist()], dtype=object) if texts else together.astype(np.float64),
        column,
    )
    ends = np.cumsum([len(each) for each in labels.values()])
    parts = np.split(found.labels, ends[:-1])
    return dict(zip(labels, parts, strict=True)), found.class_names


def _scaled(
    blocks: Mapping[str | None, Sequence[NDArray[np.float64]]],
    training: Sequence[NDArray[np.float64]],
    kinds: Mapping[str, Sequence[str]],
    names: Sequence[str],
    scale: str,
) -> tuple[dict[str | None, list[NDArray[np.float64]]], list[str]]:
    """Columns of numbers moved and divided by what the training rows say; categories stay."""
    if scale in ("", "none"):
        return {key: list(parts) for key, parts in blocks.items()}, []
    shifts = []
    for name, block in zip(names, training, strict=True):
        if kinds[name]:
            shifts.append((0.0, 1.0))
        elif scale == "minmax":
            shifts.append((float(block.min()), float(block.max() - block.min()) or 1.0))
        else:
            shifts.append((float(block.mean()), float(block.std()) or 1.0))
    found = {
        key: [(part - shift) / size for part, (shift, size) in zip(parts, shifts, strict=True)]
        for key, parts in blocks.items()
    }
    how = (
        "from the smallest to the largest value of the training rows, which become 0 and 1"
        if scale == "minmax"
        else "by mean and standard deviation of the training rows, which become 0 and 1"
    )
    return found, [f"each feature is scaled {how}: sigma and radii are in these units"]


def _range(
    scaled: Mapping[str | None, Sequence[NDArray[np.float64]]],
    tables: Mapping[str | None, Table],
    declared: tuple[float, float] | None,
    scale: str,
    where: str,
    categories: bool,
) -> tuple[float, float, list[str]]:
    """The range of all inputs, and a note where it was not declared.

    Raises:
        DataError: a value lies outside.
    """
    values = {key: np.concatenate([part.astype(np.float32) for part in parts], axis=1) for key, parts in scaled.items()}
    by_training = "train" in values and scale in ("", "none")
    counted = [values["train"]] if by_training else list(values.values())
    if declared is None:
        low = min(float(each.min()) for each in counted)
        high = max(float(each.max()) for each in counted)
        if categories:
            low, high = min(low, 0.0), max(high, 1.0)
        if not low < high:
            raise DataError(
                f"{where} has the value {low:g} alone in its features; declare their range, as in range=0..1"
            )
        of = "the training set" if by_training else "all rows, those for testing included"
        notes = [
            f"the range of {where} is taken to be [{low:g}, {high:g}], from the smallest to the largest value of {of}; "
            "declare it by range=LOW..HIGH"
        ]
    else:
        low, high = (float(np.float32(bound)) for bound in declared)
        notes = []
    for key, each in values.items():
        outside = np.argwhere(~((each >= low) & (each <= high)))
        if outside.size:
            row, column = outside[0]
            raise DataError(
                f"{tables[key].where} has {len(outside):,} values outside of [{low:g}, {high:g}], the first is "
                f"{each[row, column]:g} in {_line(tables[key], int(row))}; all values go from "
                f"{min(float(part.min()) for part in values.values()):g} to "
                f"{max(float(part.max()) for part in values.values()):g}. Declare a range that holds them, as "
                "range=LOW..HIGH: nothing is cut off"
            )
    return low, high, notes


def _line(table: Table, row: int) -> str:
    return f"line {table.first + row}" if table.first > 1 else f"row {row}"


def _laid_out(parts: Sequence[NDArray[np.float64]], layout: str, low: float, high: float) -> NDArray[np.float32]:
    """`(rows, numbers)`, or `(rows, channels, 1, features)` with channels that a feature does not have filled up."""
    if layout == "flat":
        return np.concatenate(parts, axis=1).astype(np.float32)
    channels = max(part.shape[1] for part in parts)
    # What fills up is 0, or the next value to it that inputs can have.
    filler = np.float32(min(max(0.0, low), high))
    laid = np.full((len(parts[0]), channels, 1, len(parts)), filler, dtype=np.float32)
    for number, part in enumerate(parts):
        laid[:, : part.shape[1], 0, number] = part
    return laid
