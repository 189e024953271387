"""Parquet files in the Hugging Face layout: a column of encoded images and a column of labels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.budgets import check_memory, check_packed, size_of
from holdfast.data.base import DataSet, source
from holdfast.data.parquet_layout import splits_of
from holdfast.data.pictures import Preparation, picture_data_set, require_pillow
from holdfast.data.splitting import rows_of_split
from holdfast.data.stand_ins import refuse_stand_in_file
from holdfast.errors import DataError, MissingExtraError
from holdfast.formats.strict import foreign_object
from holdfast.shortened import some

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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


@source("parquet", path="FILE")
def parquet(path: Path, split: str, *, size: str = "", mode: str = "rgb") -> DataSet:
    """Images of a Parquet file, or of a folder of such files, in the order of file name and row.

    Names of files and folders say which split they are, as in the layouts of the Hugging Face hub
    (`holdfast.data.parquet_layout`): `train-00000-of-00002.parquet`, `data/test-00000-of-00001.parquet`,
    `plain_text/train/0000.parquet`. The validation split stands in for a test split that is not there. One file is its
    split alone, and the files beside it give the other. Where no name says so, one image in five is for testing
    (`holdfast.data.splitting`). Notes say what was decided.

    Class names are those of the Hugging Face metadata, or else "0" to the largest label of both splits. The encoded
    images of the split are kept in memory and decoded lazily.

    Args:
        path: the file or folder.
        split: "train" or "test".
        size: resize the short side to this many pixels and keep the centre square; without it all images must have
            the same size.
        mode: "rgb" or "grey".

    Raises:
        UsageError: `size` or `mode` cannot be.
        DataError: no file, no file of this split beside those of the other, a missing shard, files that contradict each
            other, one that is corrupt or lacks the columns, a missing value, a label that no class can have, an image
            that cannot be decoded or has 16 bits a channel, or images of different sizes.
        MissingExtraError: pyarrow or Pillow is not installed.
    """
    preparation = Preparation.parse(size, mode)
    _require_pyarrow()
    require_pillow()
    parts = splits_of(path)
    if not parts.of(split):
        raise DataError(
            f"{path} has no {split} split: expected a file {split}-*.parquet beside "
            f"{some([file.name for file in parts.all()])}; add it, or rename the file to have one image in five held "
            "out for testing"
        )
    # Both splits are looked at, so that they agree on the classes.
    tables = [_Table.open(file) for file in parts.all()]
    class_names, notes = _agreed(tables)
    chosen = [table for table in tables if table.file in parts.of(split)]
    encoded = _Rows(
        tuple(image for table in chosen for image in table.images()),
        tuple((table.file, row) for table in chosen for row in range(len(table.labels))),
    )
    labels = np.concatenate([table.labels for table in chosen])
    if parts.pooled:
        digests = [hashlib.sha256(image).digest() for image in encoded.images]
        rows = rows_of_split(digests, labels, split, str(path))
        encoded, labels = encoded.at(rows.tolist()), labels[rows]
    return picture_data_set(
        encoded,
        preparation,
        source="parquet",
        split=split,
        class_names=class_names,
        labels=labels,
        notes=(*parts.notes, *notes),
    )


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
    def open(cls, file: Path) -> _Table:
        with _arrow(file) as opened:
            schema = opened.schema_arrow
        image_column = _column(file, schema, _IMAGE_COLUMNS, "struct of bytes and path", _holds_images)
        label_column = _column(file, schema, _LABEL_COLUMNS, "integer", _holds_labels)
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

    refuse_stand_in_file(file)
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
