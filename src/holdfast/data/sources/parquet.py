"""Parquet files in the Hugging Face layout: a column of encoded images and a column of labels."""

from __future__ import annotations

import builtins
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.budgets import check_memory, check_packed, size_of
from holdfast.data.base import ALL, DataSet
from holdfast.data.parquet_layout import ParquetSplits, splits_of
from holdfast.data.pictures import Preparation, picture_data_set, require_pillow
from holdfast.data.source import source
from holdfast.data.splitting import held_out_note, rows_of_split
from holdfast.data.tables import Asked, Column, Table, data_set_of
from holdfast.errors import DataError, MissingExtraError, UsageError
from holdfast.formats.strict import foreign_object
from holdfast.shortened import some
from holdfast.spec import place
from holdfast.stand_ins import refuse_stand_in_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_IMAGE_COLUMNS = ("image", "img")
_LABEL_COLUMNS = ("label", "labels")
# Rows that are read at a time.
_ROWS = 16
# Groups of rows, say, and columns that a file can have: more are no data set of images.
_MOST_PARTS, _MOST_COLUMNS = 100_000, 1_000
_AFRESH = "get it again from a source that you trust"
# How many classes can have their numbers for names; more are no classes but identifiers, and would fill the memory.
_MOST_NUMBERED = 100_000


@source("parquet", path="FILE", whole=True, paths=("train",))
def parquet(
    path: Path,
    split: str,
    *,
    size: str = "",
    crop: str = "",
    mode: str = "rgb",
    image: str = "",
    label: str = "",
    features: str = "",
    range: str = "",
    scale: str = "",
    layout: str = "",
    train: str = "",
) -> DataSet:
    """Images of a Parquet file, or of a folder of such files, in the order of file name and row; or a table of numbers.

    Names of files and folders say which split they are, as in the layouts of the Hugging Face hub
    (`holdfast.data.parquet_layout`): `train-00000-of-00002.parquet`, `data/test-00000-of-00001.parquet`,
    `plain_text/train/0000.parquet`. The validation split stands in for a test split that is not there. One file is its
    split alone, and the files beside it give the other. Where no name says so, one image in five is for testing
    (`holdfast.data.splitting`). Notes say what was decided.

    Class names are those of the Hugging Face metadata, or else "0" to the largest label of both splits. The encoded
    images of the split are kept in memory and decoded lazily. Files without a column of images are tables, as those of
    the source `csv`.

    Args:
        path: the file or folder.
        split: "train", "test" or "all".
        size: resize the short side to this many pixels and keep the centre square; without it all images must have
            the same size.
        crop: resize the short side to this many pixels instead, before the centre of `size` is cut out, as published
            models have it: size=224,crop=256.
        mode: "rgb", "grey", or "grey16" for grey images of 16 bits.
        image: name of the column of images; without it `image` or `img`.
        label: name of the column of labels; without it `label` or `labels`.
        features, range, scale, layout: of tables, as for the source `csv`.
        train: file or folder of the training split, where `path` is that of the test split.

    Raises:
        UsageError: an option cannot be.
        DataError: no file, no file of this split beside those of the other, a missing shard, files that contradict each
            other, one that is corrupt or lacks the columns, a missing value, a label that no class can have, an image
            that cannot be decoded or has 16 bits a channel, or images of different sizes.
        MissingExtraError: pyarrow or Pillow is not installed.
    """
    preparation = Preparation.parse(size, mode, crop)
    _require_pyarrow()
    parts = splits_of(path) if not train else _declared(path, place(train))
    if not parts.of(split):
        raise DataError(
            f"{path} has no {split} split: expected a file {split}-*.parquet beside "
            f"{some([file.name for file in parts.all()])}; add it, or rename the file to have one image in five held "
            "out for testing"
        )
    tabular = {"features": features, "range": range, "scale": scale, "layout": layout}
    if not image and _is_table(parts.all()[0], label):
        _check_options("a table", {"size": size, "crop": crop, "mode": mode if mode != "rgb" else ""})
        return _of_tables(path, split, parts, Asked(label, features, range, scale, layout))
    _check_options("a column of images", tabular)
    require_pillow()
    # Both splits are looked at, so that they agree on the classes.
    tables = [_Table.open(file, image, label) for file in parts.all()]
    class_names, notes = _agreed(tables)
    chosen = [table for table in tables if table.file in parts.of(split)]
    encoded = _Rows(
        tuple(image for table in chosen for image in table.images()),
        tuple((table.file, row) for table in chosen for row in builtins.range(len(table.labels))),
    )
    labels = np.concatenate([table.labels for table in chosen])
    if parts.pooled and split != ALL:
        digests = [hashlib.sha256(image).digest() for image in encoded.images]
        rows = rows_of_split(digests, labels, split, str(path))
        encoded, labels = encoded.at(rows.tolist()), labels[rows]
    held = held_out_note(path) if parts.pooled else None
    return picture_data_set(
        encoded,
        preparation,
        source="parquet",
        split=split,
        class_names=class_names,
        labels=labels,
        notes=(*(note for note in parts.notes if split != ALL or note != held), *notes),
    )


def _declared(path: Path, training: Path) -> ParquetSplits:
    """The files of both splits, each given by itself."""
    test, train = splits_of(path), splits_of(training)
    both = ParquetSplits(train.train or train.test, test.test or test.train, ())
    same = [file for file in both.test if file in both.train]
    if same:
        raise UsageError(f"{same[0]} is named for both splits; give other files by train=")
    return both


def _check_options(what: str, given: Mapping[str, str]) -> None:
    """Raise UsageError for an option that is about files of the other kind."""
    wrong = [key for key, value in given.items() if value]
    if wrong:
        other = "images" if what == "a table" else "tables"
        raise UsageError(f"the files hold {what}, and {wrong[0]} is an option of {other}; leave it out")


def _is_table(file: Path, label: str) -> bool:
    """Whether a file has numbers for features: no column of images, and one more than that of labels."""
    from pyarrow import types

    with _arrow(file) as opened:
        schema = opened.schema_arrow
    if any(_holds_images(field.type) for field in schema) or any(name in schema.names for name in _IMAGE_COLUMNS):
        return False
    return any(
        types.is_floating(field.type) or types.is_integer(field.type) or types.is_boolean(field.type)
        for field in schema
        if field.name not in (label, *_LABEL_COLUMNS)
    )


def _of_tables(path: Path, split: str, parts: ParquetSplits, asked: Asked) -> DataSet:
    if parts.pooled:
        tables: dict[str | None, Table] = {None: _read(parts.train, str(path), asked)}
    else:
        by_split = {"train": parts.train, "test": parts.test}
        tables = {name: _read(files, some(files, most=1), asked) for name, files in by_split.items() if files}
    # The note about images is made anew for rows.
    notes = [note for note in parts.notes if note != held_out_note(path)]
    return data_set_of(tables, asked, source="parquet", split=split, where=str(path), notes=notes)


def _read(files: Sequence[Path], where: str, asked: Asked) -> Table:
    """The columns of some files, one after the other."""
    wanted = {asked.label, *asked.features.split("+"), asked.features}
    columns: dict[str, Column] = {}
    for file in files:
        with _arrow(file) as opened:
            names = opened.schema_arrow.names
        twice = [name for name in names if names.count(name) > 1]
        if twice or (columns and set(names) != set(columns)):
            other = f"the column {twice[0]!r} twice" if twice else f"other columns than {files[0]}"
            raise DataError(f"{file} has {other}, expected each once, and the same in all files; rename them")
        for name in names:
            if asked.features and asked.label and name not in wanted:
                # Known by name alone, for messages; never taken.
                found = Column(name, np.empty(0), texts=False)
            else:
                found = _column_of_table(file, name)
            before = columns.get(name)
            columns[name] = found if before is None else _after(before, found)
    return Table(where, columns)


def _after(before: Column, found: Column) -> Column:
    return Column(
        found.name,
        np.concatenate([before.values, found.values.astype(before.values.dtype)]),
        before.texts or found.texts,
    )


def _column_of_table(file: Path, name: str) -> Column:
    from pyarrow import types

    column = _values(file, name)
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    texts = types.is_string(kind) or types.is_large_string(kind)
    numbers = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)
    if not (texts or numbers):
        raise DataError(
            f"{file} has values of the type {column.type} in the column {name!r}, expected numbers or texts; leave it "
            "out "
            "by features=A+B+C, or save arrays as .npz or by save_to_disk of the library datasets"
        )
    values = np.array(column.to_pylist(), dtype=object)
    empty = [row for row, value in enumerate(values.tolist()) if value is None or value != value or value == ""]
    if empty:
        raise DataError(
            f"{file} has {'nothing' if values[empty[0]] is None else repr(values[empty[0]])} in row {empty[0]} of the "
            f"column {name!r}, and {len(empty):,} such rows, expected a value; fill them in, or leave the column out "
            "by "
            "features=A+B+C"
        )
    return Column(name, values if texts else values.astype(np.float64), texts)


@dataclass(frozen=True)
class _Rows:
    images: tuple[bytes, ...]
    places: tuple[tuple[Path, int], ...]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> bytes:
        return self.images[index]

    def name(self, index: int) -> str:
        file, row = self.places[index]
        return f"row {row} of {file}"

    def at(self, rows: Sequence[int]) -> _Rows:
        return _Rows(tuple(self.images[row] for row in rows), tuple(self.places[row] for row in rows))


@dataclass(frozen=True)
class _Table:
    """One file, its columns checked, its labels read."""

    file: Path
    image_column: str
    label_column: str
    labels: NDArray[np.int64]
    class_names: tuple[str, ...] | None

    @classmethod
    def open(cls, file: Path, image: str = "", label: str = "") -> _Table:
        with _arrow(file) as opened:
            schema = opened.schema_arrow
        images, labelled = (image,) if image else _IMAGE_COLUMNS, (label,) if label else _LABEL_COLUMNS
        image_column = _column(file, schema, images, "struct of bytes and path", _holds_images)
        label_column = _column(file, schema, labelled, "integer", _holds_labels)
        column = _values(file, label_column)
        if column.null_count:
            raise DataError(
                f"{file} lacks {column.null_count} values in {label_column!r}, expected a label in each row"
            )
        found = column.to_numpy()
        if found.size and found.max() > np.iinfo(np.int64).max:
            raise DataError(f"{file} has the label {found.max()} in {label_column!r}, expected a class index")
        labels = found.astype(np.int64)
        if labels.size and labels.min() < 0:
            raise DataError(
                f"{file} has the label {labels.min()} in {label_column!r}, expected 0 or more; a negative label "
                "stands for a hidden one: take a split whose labels are public"
            )
        return cls(file, image_column, label_column, labels, _names_in(file, schema, label_column))

    def images(self) -> list[bytes]:
        stored, size = self.file.stat().st_size, 0
        complete: list[bytes] = []
        for batch in _batches(self.file, self.image_column):
            found = [image for image in batch.field("bytes").to_pylist() if image is not None]
            # The same image may stand in any number of rows, and be in the file once.
            size += sum(map(len, found))
            check_packed(size, stored, self.file, DataError, _AFRESH)
            check_memory(sum(map(len, found)), self.file, DataError, _AFRESH)
            complete += found if not batch.null_count else ()
        if len(complete) != len(self.labels):
            raise DataError(
                f"{self.file} has rows without image bytes in {self.image_column!r}, expected them in every row; "
                "save the data set with its images embedded"
            )
        return complete


def _agreed(tables: Sequence[_Table]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The class names of all files, and notes.

    Raises:
        DataError: files differ in their columns or class names, or there are none and a label is no class index.
    """
    first = tables[0]
    for table in tables[1:]:
        ours, theirs = (first.image_column, first.label_column), (table.image_column, table.label_column)
        if ours != theirs:
            raise DataError(
                f"{first.file} has the columns {' and '.join(ours)}, {table.file} {' and '.join(theirs)}, expected the "
                "same in all files; take both from the same data set"
            )
    named = [table for table in tables if table.class_names is not None]
    if not named:
        return _numbered(tables), ()
    names = named[0].class_names or ()
    for table in named[1:]:
        _check_same_names(named[0], table)
    nameless = [table.file for table in tables if table.class_names is None]
    if not nameless:
        return names, ()
    return names, (
        f"labels of {some(nameless)}, without class names, are taken to be numbered as those of {named[0].file}",
    )


def _check_same_names(first: _Table, second: _Table) -> None:
    ours, theirs = first.class_names or (), second.class_names or ()
    if ours == theirs:
        return
    pairs = enumerate(zip(ours, theirs, strict=False))
    place = next((label for label, pair in pairs if pair[0] != pair[1]), min(len(ours), len(theirs)))
    one, other = (repr(names[place]) if place < len(names) else "no class" for names in (ours, theirs))
    raise DataError(
        f"the label {place} is {one} in {first.file} ({len(ours)} class names) and {other} in {second.file} "
        f"({len(theirs)}), expected the same names in the same order; take both from the same data set"
    )


def _numbered(tables: Sequence[_Table]) -> tuple[str, ...]:
    """Numbers for names."""
    largest = -1
    for table in tables:
        largest = max(largest, int(table.labels.max(initial=-1)))
        if largest >= _MOST_NUMBERED:
            raise DataError(
                f"{table.file} has the label {largest:,} in {table.label_column!r} and no class names, expected class "
                f"indices from 0 on, below {_MOST_NUMBERED:,}; number the classes, or write the names of all into the "
                "metadata (ClassLabel of the library datasets)"
            )
    return tuple(str(label) for label in range(largest + 1))


def _names_in(file: Path, schema: Any, column: str) -> tuple[str, ...] | None:
    """The names of a ClassLabel in the metadata that the library `datasets` writes."""
    written = (schema.metadata or {}).get(b"huggingface")
    if written is None:
        return None
    try:
        feature = foreign_object(written).get("info", {}).get("features", {}).get(column, {})
        return tuple(str(name) for name in feature["names"]) if feature.get("_type") == "ClassLabel" else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{file} has metadata under 'huggingface' that cannot be read ({error!r}), expected JSON with "
            "info.features as the library datasets writes it; write the file again or remove these metadata"
        ) from error


def _column(file: Path, schema: Any, names: tuple[str, ...], kind: str, fits: Any) -> str:
    fitting = [name for name in names if schema.names.count(name) == 1 and fits(schema.field(name).type)]
    if len(fitting) > 1:
        raise DataError(
            f"{file} has the columns {' and '.join(fitting)}, which both fit, expected one of them; drop the other"
        )
    if fitting:
        return fitting[0]
    found = ", ".join(f"{field.name} ({field.type})" for field in schema) or "none"
    raise DataError(f"{file} has the columns {found}; expected a column {' or '.join(names)} ({kind})")


def _holds_images(kind: Any) -> bool:
    from pyarrow import types

    if not types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    field = kind.field("bytes").type
    return bool(types.is_binary(field) or types.is_large_binary(field))


def _holds_labels(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind))


def _require_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet", "Reading Parquet files") from error


def _arrow(file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    refuse_stand_in_file(file, DataError)
    try:
        size_of(file, DataError)
        opened = pq.ParquetFile(file, thrift_container_size_limit=_MOST_PARTS)
    except (pa.ArrowException, OSError) as error:
        raise _corrupt(file, error) from error
    try:
        _check_claims(file, opened.metadata)
    except BaseException:
        opened.close()
        raise
    return opened


def _check_claims(file: Path, claimed: Any) -> None:
    """Raise DataError unless what the metadata claim can be in the file; no value of it is read for that."""
    stored = file.stat().st_size
    if claimed.num_rows > stored:
        raise DataError(
            f"{file} claims {claimed.num_rows:,} rows in {stored:,} bytes, expected an image in each; {_AFRESH}"
        )
    if claimed.num_columns > _MOST_COLUMNS:
        raise DataError(
            f"{file} has {claimed.num_columns:,} columns, expected a column of images and one of labels; {_AFRESH}"
        )
    groups = [claimed.row_group(number) for number in range(claimed.num_row_groups)]
    size = sum(group.column(number).total_uncompressed_size for group in groups for number in range(group.num_columns))
    check_packed(size, stored, file, DataError, _AFRESH)
    check_memory(size, file, DataError, "take fewer images, or a machine with more memory")


def _values(file: Path, column: str) -> Any:
    import pyarrow as pa

    try:
        # Without threads: Arrow's would not survive in worker processes that are forked later.
        with _arrow(file) as opened:
            return opened.read(columns=[column], use_threads=False).column(0)
    except (pa.ArrowException, OSError) as error:
        raise _corrupt(file, error) from error


def _batches(file: Path, column: str) -> Iterator[Any]:
    """The values of a column, a few rows at a time."""
    import pyarrow as pa

    try:
        with _arrow(file) as opened:
            for batch in opened.iter_batches(_ROWS, columns=[column], use_threads=False):
                yield batch.column(0)
    except (pa.ArrowException, OSError) as error:
        raise _corrupt(file, error) from error


def _corrupt(file: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())
    return DataError(f"{file} cannot be read, expected a complete Parquet file ({reason}); get it again")
