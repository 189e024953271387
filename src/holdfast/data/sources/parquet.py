"""Parquet files in the Hugging Face layout: a column of encoded images and a column of labels."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.data.base import DataSet, source
from holdfast.data.pictures import Preparation, picture_data_set, require_pillow
from holdfast.data.splitting import rows_of_split
from holdfast.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_IMAGE_COLUMNS = ("image", "img")
_LABEL_COLUMNS = ("label", "labels")
_SPLIT_NAMES = ("train", "test", "validation")


@source("parquet", path="FILE")
def parquet(path: Path, split: str, *, size: str = "", mode: str = "rgb") -> DataSet:
    """Images of a Parquet file, or of a folder of such files, in the order of file name and row.

    A file whose name begins with `train-`, `test-` or `validation-` is that split alone (for `test`, files named
    `test-` go before `validation-`), and the files beside it give the other; a folder goes by the same names. A file
    of another name and a folder without such names are split: one image in five is for testing
    (`holdfast.data.splitting`).

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
        DataError: no file, no file of this split beside those of the other, a file that is corrupt or lacks the
            columns, a missing value, an image that cannot be decoded, or images of different sizes.
        MissingExtraError: pyarrow or Pillow is not installed.
    """
    preparation = Preparation.parse(size, mode)
    _require_pyarrow()
    require_pillow()
    parts = _parts(path)
    if not parts[split]:
        there = ", ".join(file.name for files in parts.values() for file in files)
        raise DataError(
            f"{path} has no {split} split: expected a file {split}-*.parquet beside {there}; add it, or rename the "
            "file to have one image in five held out for testing"
        )
    # Both splits are looked at, so that they agree on the classes.
    tables = [_Table.open(file) for file in dict.fromkeys(file for files in parts.values() for file in files)]
    class_names = _class_names(tables)
    chosen = [table for table in tables if table.file in parts[split]]
    encoded = _Rows(
        tuple(image for table in chosen for image in table.images()),
        tuple((table.file, row) for table in chosen for row in range(len(table.labels))),
    )
    labels = np.concatenate([table.labels for table in chosen])
    if parts["train"] == parts["test"]:
        digests = [hashlib.sha256(image).digest() for image in encoded.images]
        rows = rows_of_split(digests, labels, split, str(path))
        encoded, labels = encoded.at(rows.tolist()), labels[rows]
    return picture_data_set(encoded, preparation, source="parquet", split=split, class_names=class_names, labels=labels)


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


def _parts(path: Path) -> dict[str, list[Path]]:
    """The files of each split; the same files for both where they have to be split by content."""
    if not path.exists():
        raise DataError(f"no file or folder {path}; expected a Parquet file or a folder of such files")
    folder = path if path.is_dir() else path.parent
    beside = sorted(file for file in folder.glob("*.parquet") if file.is_file())
    named = {name: [file for file in beside if _split_name(file) == name] for name in _SPLIT_NAMES}
    train, test = named["train"], named["test"] or named["validation"]
    if path.is_file():
        own = _split_name(path)
        train = [path] if own == "train" else train if own else []
        test = [path] if own in ("test", "validation") else test if own else []
    if train or test:
        return {"train": train, "test": test}
    pool = [path] if path.is_file() else beside
    if not pool:
        raise DataError(f"{path} has no files ending in .parquet; give the folder they lie in, or one file")
    return {"train": pool, "test": pool}


def _split_name(file: Path) -> str | None:
    first = file.stem.split("-")[0]
    return first if first in _SPLIT_NAMES else None


@dataclass(frozen=True)
class _Table:
    """One file, its columns checked, its labels read."""

    file: Path
    image_column: str
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
        labels = column.to_numpy().astype(np.int64)
        if labels.size and labels.min() < 0:
            raise DataError(
                f"{file} has the label {labels.min()} in {label_column!r}, expected 0 or more; a negative label "
                "stands for a hidden one: take a split whose labels are public"
            )
        return cls(file, image_column, labels, _names_in(file, schema, label_column))

    def images(self) -> list[bytes]:
        column = _values(self.file, self.image_column)
        images: list[bytes | None] = [image for chunk in column.chunks for image in chunk.field("bytes").to_pylist()]
        complete = [image for image in images if image is not None]
        if column.null_count or len(complete) != len(images):
            raise DataError(
                f"{self.file} has rows without image bytes in {self.image_column!r}, expected them in every row; "
                "save the data set with its images embedded"
            )
        return complete


def _class_names(tables: Iterable[_Table]) -> tuple[str, ...]:
    tables = list(tables)
    for table in tables:
        if table.class_names is not None:
            return table.class_names
    largest = max((int(table.labels.max()) for table in tables if table.labels.size), default=-1)
    return tuple(str(label) for label in range(largest + 1))


def _names_in(file: Path, schema: Any, column: str) -> tuple[str, ...] | None:
    """The names of a ClassLabel in the metadata that the library `datasets` writes."""
    written = (schema.metadata or {}).get(b"huggingface")
    if written is None:
        return None
    try:
        feature = json.loads(written).get("info", {}).get("features", {}).get(column, {})
        return tuple(str(name) for name in feature["names"]) if feature.get("_type") == "ClassLabel" else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{file} has metadata under 'huggingface' that cannot be read ({error!r}), expected JSON with "
            "info.features as the library datasets writes it; write the file again or remove these metadata"
        ) from error


def _column(file: Path, schema: Any, names: tuple[str, ...], kind: str, fits: Any) -> str:
    for name in names:
        if name in schema.names and fits(schema.field(name).type):
            return name
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

    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise _corrupt(file, error) from error


def _values(file: Path, column: str) -> Any:
    import pyarrow as pa

    try:
        # Without threads: Arrow's would not survive in worker processes that are forked later.
        with _arrow(file) as opened:
            return opened.read(columns=[column], use_threads=False).column(0)
    except (pa.ArrowException, OSError) as error:
        raise _corrupt(file, error) from error


def _corrupt(file: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())
    return DataError(f"{file} cannot be read, expected a complete Parquet file ({reason}); get it afresh")
