"""Which files are the splits of data that come in one file each: by the option `train`, or by their names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.data.kinds import missing
from holdfast.data.split_names import split_called, splits_in
from holdfast.errors import DataError, UsageError
from holdfast.spec import place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_WORDS = re.compile(r"([^\W\d_]+)")


@dataclass(frozen=True)
class Files:
    """The file of each split, by "train" and "test", or one file by None that may hold both; and notes."""

    by_split: Mapping[str | None, Path]
    notes: tuple[str, ...]


def files_of(path: Path, train: str) -> Files:
    """The files of the splits.

    A file whose name has a word for a split (`train.csv`, `digits-test.npz`) is that split, and the file beside it with
    the word for the other one is that.

    Args:
        path: the file that was named.
        train: path of the training split; empty for none.

    Raises:
        DataError: a file is not there, or its name has words for several splits.
        UsageError: both are the same file.
    """
    _check_file(path)
    if train:
        training = place(train)
        _check_file(training)
        if training.samefile(path):
            raise UsageError(f"train={train} is the file of the test split itself; leave it out, or name another one")
        return Files({"train": training, "test": path}, ())
    called = splits_in(path.stem)
    if not called:
        return Files({None: path}, ())
    if len(called) > 1:
        raise DataError(f"{path} is called by the splits {' and '.join(sorted(called))}, expected one; rename it")
    own = next(iter(called))
    side = "train" if own == "train" else "test"
    other = _beside(path, own)
    note = f"{path} is called by its split, so all of it is taken for the {side} split"
    if own == "validation":
        note += ", as the validation split"
    if other is None:
        return Files({side: path}, (note,))
    theirs = "test" if side == "train" else "train"
    return Files({side: path, theirs: other}, (f"{note}; the {theirs} split is {other}",))


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"{path} is a folder, expected a file; name one in it")
    if not path.exists():
        raise DataError(missing(path))


def _beside(path: Path, own: str) -> Path | None:
    """The file that is called as this one, but for the word of the split."""
    wanted = ("test", "validation") if own == "train" else ("train",)
    for kind in wanted:
        for entry in sorted(path.parent.iterdir()):
            same_kind = entry.suffix.lower() == path.suffix.lower() and entry != path
            if same_kind and splits_in(entry.stem) == {kind} and _bare(entry.stem) == _bare(path.stem):
                return entry
    return None


def _bare(stem: str) -> str:
    return _WORDS.sub(lambda word: "" if split_called(word[0]) else word[0].lower(), stem)
