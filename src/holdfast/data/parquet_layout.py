"""Which Parquet files are which split: the layouts of the Hugging Face hub, by the names of files and folders.

Sources: huggingface.co/docs/hub/datasets-file-names-and-splits, and the library `datasets`, which names shards
`train-00000-of-00002.parquet`, formerly with a hash behind; the automatic conversion has folders, as in
`plain_text/train/0000.parquet`.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.data.folders import is_hidden
from holdfast.data.remarks import counted
from holdfast.data.split_names import SPLIT_KINDS, split_called, splits_in
from holdfast.data.splitting import held_out_note
from holdfast.errors import DataError
from holdfast.shortened import some

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ENDING = ".parquet"
# DIR/data/plain_text/train/0000.parquet
_DEPTH = 3
_SHARD = re.compile(r"(?P<stem>.*)-(?P<number>\d+)-of-(?P<total>\d+)(-[0-9a-f]+)?", re.ASCII)
# Of the automatic conversion: a year or a date is no number of a shard.
_ALONE = re.compile(r"0\d{3}", re.ASCII)
# How the automatic conversion calls a split of which it has converted the first part.
_PARTIAL = "partial-"


@dataclass(frozen=True)
class ParquetSplits:
    """The files of each split, in order; the same ones for both where they have to be split by content."""

    train: tuple[Path, ...]
    test: tuple[Path, ...]
    notes: tuple[str, ...]

    @property
    def pooled(self) -> bool:
        """Whether no name says which images are of which split."""
        return bool(self.train) and self.train == self.test

    def of(self, split: str) -> tuple[Path, ...]:
        """The files of "train", "test" or "all"."""
        if split not in ("train", "test"):
            return self.all()
        return self.train if split == "train" else self.test

    def all(self) -> tuple[Path, ...]:
        """All files, those for training first, each once."""
        return tuple(dict.fromkeys((*self.train, *self.test)))


@dataclass(frozen=True)
class _File:
    """A Parquet file and what its name says.

    Attributes:
        path: path of it.
        group: the folder of the data set, without the folders of its splits.
        split: train, test, validation or None.
        stem: stem of its name, without the number of a shard.
        number: number of a shard, or None.
        total: how many shards there are, or None where the names do not say.
    """

    path: Path
    group: Path
    split: str | None
    stem: str
    number: int | None
    total: int | None


def splits_of(path: Path) -> ParquetSplits:
    """The files of both splits of a data set, given as one file or a folder.

    Raises:
        DataError: there is no file, or names contradict each other: a file of two splits, several data sets in the
            folders of one, shards that are missing or there twice, two files of the same content.
    """
    if not path.exists():
        raise DataError(f"no file or folder {path}; expected a Parquet file or a folder of such files")
    found = _of_folder(path) if path.is_dir() else _of_file(path)
    for files in {found.train, found.test}:
        _check_shards([_described(file, file.parent) for file in files])
    _check_different(found.all())
    return found


def _of_file(path: Path) -> ParquetSplits:
    """The file is its split, and the files beside it give the other one."""
    whole = path.absolute()
    _check_whole(path)
    if _split_of_folder(whole.parent) is not None:
        given = _described(whole, whole.parent.parent)
        return _chosen(whole.parent.parent, [given, *_siblings(whole.parent, given.split)], ())
    given = _described(path, path.parent)
    if given.split is None:
        return ParquetSplits((path,), (path,), (held_out_note(path),))
    beside = [file for file in _listed(path.parent, 0)[0] if _side(file.split) not in (None, _side(given.split))]
    return _chosen(path.parent, [given, *beside], ())


def _of_folder(path: Path) -> ParquetSplits:
    files, notes = _listed(path, _DEPTH)
    if not files:
        raise DataError(f"{path} has no files ending in {_ENDING}; give the folder they lie in, or one file")
    whole = path.absolute()
    own = _split_of_folder(whole)
    if own is not None and all(file.split in (None, own) for file in files):
        given = [_described(file.path.absolute(), whole.parent) for file in files]
        if not any(file.split for file in files):
            notes += (f"{path} is called {whole.name}, so all of its files are taken for the {own} split",)
        return _chosen(whole.parent, [*given, *_siblings(whole, own)], notes)
    if any(file.split for file in files):
        return _chosen(path, files, notes)
    _check_one_group(path, files)
    pool = tuple(file.path for file in files)
    return ParquetSplits(pool, pool, (*notes, held_out_note(path)))


def _split_of_folder(folder: Path) -> str | None:
    return split_called(folder.name.lower().removeprefix(_PARTIAL))


def _siblings(folder: Path, split: str | None) -> list[_File]:
    """The files in the folders beside that of one split that are called by the other."""
    if not os.access(folder.parent, os.R_OK):
        return []
    beside = sorted(entry for entry in folder.parent.iterdir() if entry.is_dir())
    return [
        _described(file.path, folder.parent)
        for entry in beside
        if _side(split_called(entry.name)) not in (None, _side(split))
        for file in _listed(entry, 0)[0]
    ]


def _side(split: str | None) -> str | None:
    """Train or test: validation stands in for test."""
    return "test" if split == "validation" else split


def _listed(folder: Path, depth: int) -> tuple[list[_File], tuple[str, ...]]:
    """The Parquet files in a folder, sorted, or if there are none, in its folders; notes on those left out."""
    direct: list[Path] = []
    deeper: list[Path] = []
    hidden: list[Path] = []
    # Links may lead back: each folder is looked into once, whatever leads there.
    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place)
        found = here.stat()
        if (found.st_dev, found.st_ino) in seen:
            folders.clear()
            continue
        seen.add((found.st_dev, found.st_ino))
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        if len(here.relative_to(folder).parts) >= depth:
            folders.clear()
        for name in sorted(names):
            if name.lower().endswith(_ENDING):
                kind = hidden if is_hidden(name) else direct if here == folder else deeper
                kind.append(here / name)
    notes = []
    if hidden:
        notes.append(f"left out: {counted(len(hidden), 'hidden file')} ({some(hidden)})")
    if direct and deeper:
        notes.append(
            f"left out: {counted(len(deeper), 'Parquet file')} in the folders within {folder}, since there are some in "
            f"itself ({some(deeper)})"
        )
    return [_described(file, folder) for file in direct or sorted(deeper)], tuple(notes)


def _described(file: Path, base: Path) -> _File:
    """What the name of a file, and those of its folders below `base`, say.

    Raises:
        DataError: they name several splits, or a part of one.
    """
    stem = file.name[: -len(_ENDING)] if file.name.lower().endswith(_ENDING) else file.name
    shard = _SHARD.fullmatch(stem)
    name = shard["stem"] if shard else stem
    folders = file.parent.relative_to(base).parts
    called = {split for folder in folders if (split := _split_of_folder(Path(folder))) is not None}
    splits = splits_in(name) | called
    if len(splits) > 1:
        raise DataError(
            f"{file} is called by the splits {' and '.join(sorted(splits))}, expected one; rename it or its folder"
        )
    if any(folder.lower().startswith(_PARTIAL) for folder in folders):
        raise DataError(
            f"{file} lies in a folder called {_PARTIAL}..., the first part of a split that was too large to be "
            "converted, expected a whole split; give that folder's files another name to have them taken as they are"
        )
    alone = _ALONE.fullmatch(name) is not None and shard is None
    return _File(
        file,
        base.joinpath(*(folder for folder in folders if split_called(folder) is None)),
        next(iter(splits), None),
        "" if alone else name,
        int(shard["number"]) if shard else int(name) if alone else None,
        int(shard["total"]) if shard else None,
    )


def _chosen(base: Path, files: Sequence[_File], notes: tuple[str, ...]) -> ParquetSplits:
    """The files of both splits, where names say of some which they are."""
    named = {kind: [file for file in files if file.split == kind] for kind in SPLIT_KINDS}
    other = [file.path.name for file in files if file.split is None]
    if other:
        notes += (f"left out of {base}: {counted(len(other), 'file')} whose name is that of no split ({some(other)})",)
    test = named["test"] or named["validation"]
    if named["validation"]:
        names = some([file.path.name for file in named["validation"]])
        notes += (
            f"the validation split ({names}) is left aside, since {base} has a test split"
            if named["test"]
            else f"the validation split ({names}) is taken for the test split",
        )
    _check_one_group(base, [*named["train"], *test])
    return ParquetSplits(
        tuple(file.path for file in named["train"]),
        tuple(file.path for file in test),
        notes,
    )


def _check_one_group(base: Path, files: Iterable[_File]) -> None:
    """Raise DataError if files lie in the folders of several data sets."""
    groups = sorted({file.group for file in files})
    if len(groups) > 1:
        raise DataError(
            f"{base} has Parquet files in {some(groups)}, which may be several data sets, expected those of one; give "
            "one of these folders"
        )


def _check_whole(path: Path) -> None:
    """Raise DataError if a file is one of several whose names are numbers."""
    beside = [file for file in _listed(path.parent, 0)[0] if file.number is not None and file.total is None]
    if len(beside) > 1 and _described(path, path.parent) in beside:
        raise DataError(
            f"{path} is one of {len(beside)} files that are numbered, expected all; give their folder, or to have it "
            "taken for the whole, rename it so that its name has no number"
        )


def _check_shards(files: Sequence[_File]) -> None:
    """Raise DataError unless the shards of a split are all there, once each, and nothing beside them."""
    families = {(file.stem, file.total) if file.number is not None else None for file in files}
    if len(families) > 1:
        raise DataError(
            f"{some([file.path for file in files])} are named for one split in different ways, expected shards of one "
            "name and number, or none; take out those that are not of this data set"
        )
    numbers = [file.number for file in files if file.number is not None]
    if not numbers:
        return
    twice = [file.path for file in files if numbers.count(file.number or 0) > 1]
    if twice:
        raise DataError(f"{some(twice)} are the same shard, expected it once; take out those of another version")
    # Where the names do not say how many there are, there are no gaps at least.
    total = files[0].total if files[0].total is not None else max(numbers) + 1
    if len(numbers) != total or max(numbers) >= total:
        first = list(islice((number for number in range(total) if number not in numbers), 3))
        missing = some(first, max(len(first), total - len(numbers)))
        raise DataError(
            f"{some([file.path for file in files])}: {counted(len(numbers), 'shard')} of {total:,}, without number "
            f"{missing}, expected all; get the others too and give their folder. To have a part taken for the whole, "
            "rename it so that its name has no number"
        )


def _check_different(files: Sequence[Path]) -> None:
    """Raise DataError if two files have the same content, in one split or in both."""
    sizes: dict[int, list[Path]] = {}
    for file in files:
        # One that is not there, such as a link into an emptied cache, is reported when it is read.
        if file.is_file():
            sizes.setdefault(file.stat().st_size, []).append(file)
    for alike in sizes.values():
        seen: dict[bytes, Path] = {}
        for file in alike if len(alike) > 1 else ():
            first = seen.setdefault(_digest(file), file)
            if first != file:
                raise DataError(
                    f"{file} has the same content as {first}, expected each image once; take one of them out"
                )


def _digest(file: Path) -> bytes:
    content = hashlib.sha256()
    with file.open("rb") as opened:
        while part := opened.read(2**20):
            content.update(part)
    return content.digest()
