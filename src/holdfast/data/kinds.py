"""Which source reads a file or folder, by what it is: for a path without the name of a source, and for wrong ones."""

from __future__ import annotations

import os
import re
from itertools import islice
from typing import TYPE_CHECKING

from holdfast.data.folders import is_hidden, is_image_name
from holdfast.data.split_names import split_called
from holdfast.errors import DataError, UsageError
from holdfast.shortened import some
from holdfast.spec import name_of, place, spell_text

if TYPE_CHECKING:
    from pathlib import Path

_ENDINGS = {
    ".npz": "npz",
    ".npy": "npz",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
# What a folder of a published data set holds, and how it is called.
_SIGNS = (
    (re.compile(r"(dataset_dict|state)\.json"), "hf"),
    (re.compile(r"(cifar-10-batches-(bin|py)|data_batch_1(\.bin)?|cifar-10-\w+\.tar\.gz)"), "cifar10"),
    (re.compile(r"(train|test)_32x32\.mat"), "svhn"),
    (re.compile(r"(activity_labels\.txt|UCI HAR Dataset)"), "har"),
    (re.compile(r"(train|t10k)-images[-.]idx3-ubyte(\.gz)?"), "mnist"),
    (re.compile(r".*\.parquet", re.IGNORECASE), "parquet"),
)
_WNID = re.compile(r"n[0-9]{8}")
# A name that is written so is meant for a path.
_LIKE_A_PATH = re.compile(r".*(/|\.(npz|npy|csv|tsv|parquet|py)$)", re.DOTALL)
_KNOWN = (
    "arrays (.npz, .npy), tables (.csv, .tsv, .parquet), folders of images with one folder a class, folders that "
    "datasets.save_to_disk wrote, and your own code (FILE.py:FUNCTION)"
)


def with_source(text: str) -> str:
    """A spec with the name of its source in front; one that has it already is given back.

    Raises:
        UsageError: it is a path to what no source reads.
        DataError: it is written as a path, and nothing is there.
    """
    from holdfast.data.source import SOURCES

    name = name_of(text)
    if SOURCES.get(name) is not None:
        return text
    # A path may have commas and colons.
    if _is_there(text):
        return _named(text, text)
    if _is_there(name):
        if name.endswith(".py"):
            return f"python:{text}"
        return _named(name, text)
    if _LIKE_A_PATH.match(name):
        raise DataError(missing(place(name)))
    return text


def missing(path: Path) -> str:
    """What to say where nothing is at a path: what is there of it."""
    above = path.absolute()
    while not above.exists() and above != above.parent:
        above = above.parent
    if above.is_dir() and above == path.absolute().parent:
        beside = sorted(entry.name for entry in os.scandir(above) if not is_hidden(entry.name))
        near = [name for name in beside if name.split(".")[0].lower() == path.name.split(".")[0].lower()]
        found = f"its folder has {some(near or beside)}" if beside else "its folder is empty"
    else:
        found = f"there is {above}, and not what should follow"
    return f"no file or folder {path}; {found}. Check the path"


def kind_of(path: Path) -> str | None:
    """The source that reads what lies there, as far as its name and what is in it tell."""
    if path.is_dir():
        return _kind_of_folder(path)
    kind = _ENDINGS.get(path.suffix.lower())
    if kind is not None:
        return kind
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError:
        return None
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"\x93NUMPY"):
        return "npz"
    return "cifar10" if re.fullmatch(r"cifar-10-\w+\.tar\.gz", path.name) else None


def looks_otherwise(name: str, path: Path | None) -> str:
    """A hint where what lies at a path is for another source than the one that was named; empty for none."""
    if path is None or not path.exists() or name not in _TAKES:
        return ""
    kind = kind_of(path)
    if kind is None or kind == name or (path.is_dir() and name not in _OF_FILES):
        return ""
    return f"It looks like something for the source {kind}: write {kind}:{spell_text(str(path))}"


_OF_FILES = ("csv", "npz")
_TAKES = ("cifar10", "csv", "fashion-mnist", "har", "hf", "imagenet", "images", "mnist", "npz", "parquet", "svhn")


def _named(path: str, text: str) -> str:
    there = place(path)
    kind = kind_of(there)
    if kind is not None:
        return f"{kind}:{text}"
    if there.suffix == ".py":
        raise UsageError(
            f"{path} is a Python file: name the function in it that gives the data, as in python:{path}:FUNCTION"
        )
    what = "a folder"
    if there.is_dir():
        entries = [entry.name for entry in os.scandir(there) if not is_hidden(entry.name)]
        what += f" with {some(sorted(entries))}" if entries else " with nothing in it"
    elif is_image_name(there.name):
        what = "one image: give the folder with the folders of the classes, as in images:DIR"
    else:
        what = f"a file that ends in {there.suffix!r}" if there.suffix else "a file without an ending"
    raise UsageError(
        f"{path} is {what}; what it holds cannot be told from that. Known by themselves are {_KNOWN}. Else write "
        "SOURCE:PATH; `holdfast certify --help` lists the sources"
    )


# Folders that are looked into at each depth: some tell as much as all, and links may lead back.
_FOLDERS = 20


def _kind_of_folder(folder: Path) -> str | None:
    names = [entry.name for entry in os.scandir(folder)]
    for sign, kind in _SIGNS:
        if any(sign.fullmatch(name) for name in names):
            # MNIST and Fashion-MNIST have files of the same names.
            return None if kind == "mnist" else kind
    shown = [name for name in names if not is_hidden(name)]
    folders = list(islice((folder / name for name in shown if (folder / name).is_dir()), _FOLDERS))
    within = [each for below in folders for each in _some_names(below)]
    if any(_WNID.fullmatch(name) for name in within) and {"train", "val"} & {each.name for each in folders}:
        return "imagenet"
    if any(name.lower().endswith(".parquet") for name in within):
        return "parquet"
    if any(is_image_name(name) for name in within):
        return "images"
    inner = [(below, below / name) for below in folders for name in _some_names(below, _FOLDERS)]
    deeper = [(below, name) for below, each in inner for name in _some_names(each, _FOLDERS)]
    if any(name.lower().endswith(".parquet") for _, name in deeper):
        return "parquet"
    in_splits = any(split_called(below.name) and is_image_name(name) for below, name in deeper)
    return "images" if in_splits else None


def _some_names(folder: Path, most: int = 50) -> list[str]:
    """Some of the names in a folder; none where it is none, or may not be read."""
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        return []
    with os.scandir(folder) as entries:
        return [entry.name for entry, _ in zip(entries, range(most), strict=False)]


def _is_there(path: str) -> bool:
    try:
        return bool(path) and place(path).exists()
    except (OSError, UsageError):
        # Too long for a name, or none.
        return False
