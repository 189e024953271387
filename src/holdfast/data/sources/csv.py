"""Tables of text, .csv and the like: a line for each example, a column for the class."""

from __future__ import annotations

import csv as reader
import io
from typing import TYPE_CHECKING

import numpy as np

from holdfast.budgets import check_memory, content_of
from holdfast.data.base import DataSet
from holdfast.data.file_splits import files_of
from holdfast.data.source import source
from holdfast.data.tables import Asked, Column, Table, data_set_of
from holdfast.errors import DataError
from holdfast.shortened import some
from holdfast.texts import text_of

if TYPE_CHECKING:
    from pathlib import Path

_DELIMITERS = ",;\t|"
# A cell and its place take so many bytes, for each byte of the file.
_TAKEN = 40
_EMPTY = ("", "na", "n/a", "nan", "null", "none", "?", "-nan", "+nan", "#n/a")
# In a column that is meant for numbers, at least so many of the cells are.
_MOSTLY = 0.9


@source("csv", path="FILE", whole=True, paths=("train",))
def csv(
    path: Path,
    split: str,
    *,
    label: str = "",
    features: str = "",
    range: str = "",
    scale: str = "none",
    layout: str = "",
    train: str = "",
) -> DataSet:
    """Inputs of shape (features,) from the columns of a table, whose first line has their names.

    Columns of texts are categories, one-hot, and the inputs then have the shape (channels, 1, features)
    (`holdfast.data.tables`). Names such as `train.csv` and `test.csv` tell splits, and so does `train`; where nothing
    does, one example in five is for testing (`holdfast.data.splitting`). No value may be missing.

    Args:
        path: the file, in UTF-8; its columns are separated by commas, semicolons, tabs or bars.
        split: "train", "test" or "all".
        label: name of the column of the classes, whole numbers from 0 on or texts; without it the one called so.
        features: names of the columns taken, as in A+B+C; without it all others.
        range: LOW..HIGH, in which all inputs lie; without it the range of the training set where that is a file of its
            own, or of all rows.
        scale: "none", "minmax" or "standard": each column is scaled by the training rows.
        layout: "flat" or "pixels"; see `holdfast.data.tables`.
        train: file of the training split, where `path` is that of the test split.

    Raises:
        UsageError: an option that cannot be, or a column that is not there.
        DataError: the file is missing, is no table, or has a cell that is empty or no number, named by line and column.
    """
    asked = Asked(label, features, range, scale, layout)
    files = files_of(path, train)
    tables = {name: read_table(file, label, features) for name, file in files.by_split.items()}
    return data_set_of(tables, asked, source="csv", split=split, where=str(path), notes=files.notes)


def read_table(file: Path, label: str, features: str) -> Table:
    """The columns of a file that are asked for, as numbers or texts.

    Raises:
        DataError: it is no table, or a cell of them is empty.
    """
    try:
        content = content_of(file, DataError)
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror or error}); check its permissions") from error
    check_memory(_TAKEN * len(content), file, DataError, "save it as Parquet and read it by parquet:FILE")
    text = text_of(content, file)
    names, rows = _rows(file, text)
    wanted = {label, *features.split("+"), features} if features else None
    columns = {}
    for number, name in enumerate(names):
        if wanted is None or name in wanted or not label:
            columns[name] = _column(file, name, [row[number] for _, row in rows], [line for line, _ in rows])
        else:
            # Known by name alone, for messages; never taken.
            columns[name] = Column(name, np.empty(0), texts=False)
    return Table(str(file), columns, rows[0][0])


def _rows(file: Path, text: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The names of the columns, and each row with the number of its line."""
    head = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    lines = reader.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    names: list[str] = []
    try:
        for row in lines:
            if not row or (len(row) == 1 and not row[0].strip()):
                continue
            if not names:
                names = [cell.strip() for cell in row]
                _check_names(file, names, delimiter)
            elif len(row) != len(names):
                raise DataError(
                    f"{file} has {len(row)} cells in line {lines.line_num}, expected {len(names)} as in the first "
                    "line; a "
                    "text with the separator in it stands in double quotes"
                )
            else:
                rows.append((lines.line_num, row))
    except reader.Error as error:
        raise DataError(f"{file} cannot be read in line {lines.line_num} ({error}); correct the line") from error
    if not rows:
        raise DataError(f"{file} has no rows{' below its names' if names else ''}, expected a table; check the file")
    return names, rows


def _check_names(file: Path, names: list[str], delimiter: str) -> None:
    if len(names) < 2:
        raise DataError(
            f"{file} has one column ({names[0][:50]!r}), expected features and a label, separated by commas, "
            "semicolons, "
            "tabs or bars; check that this is a table"
        )
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"{file} has the column {twice[0]!r} twice, expected each name once; rename one of them")
    if all(_is_number(name) for name in names):
        raise DataError(
            f"{file} has numbers in its first line ({some(names)}), expected the names of the columns; write them above"
        )


def _column(file: Path, name: str, cells: list[str], lines: list[int]) -> Column:
    cells = [cell.strip() for cell in cells]
    hole = next((row for row, cell in enumerate(cells) if cell.lower() in _EMPTY), None)
    if hole is not None:
        raise DataError(
            f"{file} has {'nothing' if not cells[hole] else repr(cells[hole])} in line {lines[hole]}, column {name!r}, "
            f"expected a value; fill it in, leave the line out, or the column by features=A+B+C"
        )
    numeric = [_is_number(cell) for cell in cells]
    if all(numeric):
        values = np.array([float(cell) for cell in cells])
        wrong = np.flatnonzero(~np.isfinite(values))
        if wrong.size:
            raise DataError(
                f"{file} has {cells[wrong[0]]!r} in line {lines[wrong[0]]}, column {name!r}, expected a finite number"
            )
        return Column(name, values, texts=False)
    if sum(numeric) >= _MOSTLY * len(cells):
        row = numeric.index(False)
        raise DataError(
            f"{file} has {cells[row]!r} in line {lines[row]}, column {name!r}, expected a number as in most other "
            "lines; "
            "correct it, or write texts in all of them"
        )
    return Column(name, np.array(cells, dtype=object), texts=True)


def _is_number(cell: str) -> bool:
    # Python reads 1_000, which is no number in a table.
    if "_" in cell:
        return False
    try:
        float(cell)
    except ValueError:
        return False
    return True
