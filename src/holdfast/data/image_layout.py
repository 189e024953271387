"""Which folders of images are the splits: DIR/train/ and DIR/test/, or DIR itself where it is called by a split."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.data.folders import entries_of, is_hidden, is_image_name
from holdfast.data.remarks import BESIDE, LOOSE
from holdfast.data.split_names import split_called
from holdfast.errors import DataError
from holdfast.shortened import some

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from holdfast.data.remarks import LeftOut

    Named = Mapping[str, list[Path]]

# What can be a test split, the first that is there.
_FOR = {"train": ("train",), "test": ("test", "validation")}


@dataclass(frozen=True)
class SplitFolder:
    """The folder of one split, the folder that holds the class folders, and notes about the choice."""

    images: Path
    classes: Path
    notes: tuple[str, ...]


def split_folders(path: Path, split: str, left: LeftOut) -> SplitFolder | None:
    """Where the class folders of a split lie; None where no folder is called by a split, so that all are classes.

    DIR/train/ with DIR/test/ (or testing/, eval/, evaluation/; else validation/, valid/, val/, dev/; in any case of
    letters) are splits; one of them alone is if it holds folders and no images, since "train" alone may be a class. A
    DIR that is itself called so is that split, and the other one lies beside it.

    Args:
        path: the folder DIR.
        split: "train" or "test".
        left: where entries that are not taken are noted.

    Raises:
        DataError: the split is not there while the other is, two folders have names for it, or folders of classes lie
            beside that of a split.
    """
    if not path.is_dir():
        return None
    named = _called_by_splits(path)
    if _are_splits(path, named):
        _leave_others(path, named, left)
        return _chosen(path, named, split)
    whole = path.absolute()
    own = split_called(whole.name)
    if own is None:
        return None
    beside = _called_by_splits(whole.parent) if os.access(whole.parent, os.R_OK) else {}
    others = {kind: folders for kind, folders in beside.items() if (kind == "train") != (own == "train")}
    found = _chosen(whole.parent, {**others, own: [path]}, split)
    if found.images == path:
        note = f"{path} is called {path.name or whole.name}, so all of its images are taken for the {split} split"
    else:
        note = f"{path} is called {path.name or whole.name}, so the {split} split is taken from {found.images}"
    return SplitFolder(found.images, found.classes, (note, *found.notes))


def splits_there(path: Path) -> tuple[str, ...] | None:
    """Which of the splits "train" and "test" `split_folders` finds; None where all folders are classes."""
    if not path.is_dir():
        return None
    named = _called_by_splits(path)
    own = split_called(path.absolute().name)
    if not _are_splits(path, named):
        if own is None:
            return None
        beside = _called_by_splits(path.absolute().parent) if os.access(path.absolute().parent, os.R_OK) else {}
        named = {**beside, own: [path]}
    return tuple(split for split, kinds in _FOR.items() if any(kind in named for kind in kinds))


def _called_by_splits(folder: Path) -> dict[str, list[Path]]:
    named: dict[str, list[Path]] = {}
    for entry in entries_of(folder):
        kind = split_called(entry.name)
        if kind is not None and entry.is_dir():
            named.setdefault(kind, []).append(folder / entry.name)
    return named


def _are_splits(path: Path, named: Named) -> bool:
    if "train" in named and len(named) > 1:
        return True
    return any(_holds_classes(folder) for folders in named.values() for folder in folders)


def _holds_classes(folder: Path) -> bool:
    """Whether a folder holds folders, and no images."""
    seen = [entry for entry in entries_of(folder) if not is_hidden(entry.name)]
    return any(entry.is_dir() for entry in seen) and not any(
        is_image_name(entry.name) and not entry.is_dir() for entry in seen
    )


def _leave_others(path: Path, named: Named, left: LeftOut) -> None:
    """Note what lies beside the folders of splits.

    Raises:
        DataError: only one split is there, and other folders hold images: they may be classes.
    """
    for entry in entries_of(path):
        if is_hidden(entry.name):
            continue
        if not entry.is_dir():
            if is_image_name(entry.name):
                left.add(LOOSE, path / entry.name)
        elif split_called(entry.name) is None:
            if len(named) == 1 and any(is_image_name(each.name) for each in entries_of(path / entry.name)):
                there = next(iter(named.values()))[0]
                raise DataError(
                    f"{path} has the folder {there.name}, which holds folders as that of a split does, and beside it "
                    f"{entry.name} with images, as a class has; give train/ and test/ with the classes within, or "
                    "rename one of them"
                )
            left.add(BESIDE, path / entry.name)


def _chosen(path: Path, named: Named, split: str) -> SplitFolder:
    notes: tuple[str, ...] = ()
    kinds = [kind for kind in _FOR[split] if kind in named]
    if not kinds:
        there = some([f"{folder.name}/" for folders in named.values() for folder in folders])
        raise DataError(
            f"{path} has no {split} split: expected a folder {split}/ beside {there}; add it, or to have one image in "
            "five held out for testing, put the class folders of all images into one folder that is not called by a "
            "split"
        )
    images = _only(path, named, kinds[0])
    if split == "test" and kinds[0] == "validation":
        notes += (f"the test split is {images}: there is no test/ beside it",)
    elif len(kinds) > 1:
        notes += (f"the test split is {images}: {some(named[kinds[1]])} is left aside",)
    training = _only(path, named, "train") if "train" in named else images
    if training == images and split == "test":
        notes += (f"the classes are the folders of {images}: there is no train/ beside it, which may have others",)
    return SplitFolder(images, training, notes)


def _only(path: Path, named: Named, kind: str) -> Path:
    if len(named[kind]) > 1:
        raise DataError(
            f"{path} has {some([folder.name for folder in named[kind]])}, which are all names of the {kind} split, "
            "expected one; put them together or take one out"
        )
    return named[kind][0]
