"""NumPy's archives, and pairs of its arrays: inputs and class indices, with or without splits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.data.base import ALL, DataSet
from holdfast.data.file_splits import files_of
from holdfast.data.given import held_out, inputs_of, labels_of, of_splits, parse_peak, parse_range
from holdfast.data.kinds import missing
from holdfast.data.npy import Archive
from holdfast.data.source import source
from holdfast.data.split_names import split_called
from holdfast.errors import DataError, UsageError
from holdfast.shortened import some
from holdfast.spec import place

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_INPUTS = ("x", "data", "image", "images", "img", "imgs", "inputs", "input", "features", "feature", "arr_0")
_LABELS = ("y", "label", "labels", "target", "targets", "class", "classes", "arr_1")
_WORD = re.compile(r"[_\-. ]+")


@dataclass(frozen=True)
class _Pair:
    """The names of the two arrays of one split; None for a split where there are no splits."""

    split: str | None
    x: str
    y: str


@source("npz", path="FILE", whole=True, paths=("train", "y"))
def npz(
    path: Path,
    split: str,
    *,
    x: str = "",
    y: str = "",
    range: str = "",
    channels: str = "",
    peak: str = "",
    train: str = "",
) -> DataSet:
    """Inputs `(len, ...)` and labels `(len,)` of a .npz archive, or of a .npy file and another one for `y`.

    The arrays are named `x` and `y`, or by the options; else they are those with usual names (`images`, `labels`), or
    the two whose shapes are those of inputs and labels, and a note says which. Names such as `x_train` and
    `test_labels` tell splits; so do names of files, and `train`. Where nothing does, one example in five is for testing
    (`holdfast.data.splitting`). Nothing in the files is run.

    Args:
        path: the file.
        split: "train", "test" or "all".
        x: name of the inputs; in the names of splits `x` stands for `x_train` and `x_test`.
        y: name of the labels; beside a .npy file the path of another one.
        range: LOW..HIGH, in which numbers lie that are no 8-bit values; without it that of the training set, or of
            all.
        channels: "first", "last" or "none": where the channels stand; without it told by the sizes.
        peak: the 8-bit value that stands for 1.0.
        train: file of the training split, where `path` is that of the test split.

    Raises:
        UsageError: an option that cannot be.
        DataError: the file is missing or corrupt, has no such arrays, or values in them cannot be.
    """
    declared, most = parse_range(range), parse_peak(peak)
    files = files_of(path, train)
    parts: dict[str | None, tuple[NDArray[Any], NDArray[Any], str]] = {}
    notes: tuple[str, ...] = files.notes
    for name, file in files.by_split.items():
        for pair, arrays, said in _pairs(file, x, y, alone=name is not None):
            parts[name or pair.split] = (*arrays, str(file))
            notes += tuple(note for note in said if note not in notes)
    training = parts["train"][0] if "train" in parts else None
    built: dict[str | None, DataSet] = {}
    labels = {key: labels_of(found[1], f"y in {found[2]}") for key, found in parts.items()}
    names = max((each.class_names for each in labels.values()), key=len)
    _check_names([each.class_names for each in labels.values()], path)
    for key, (values, _, where) in parts.items():
        inputs = inputs_of(values, f"x in {where}", bounds=declared, channels=channels, peak=most, training=training)
        if len(values) != len(labels[key].labels):
            raise DataError(
                f"{where} has {len(values)} inputs and {len(labels[key].labels)} labels, expected as many of each; "
                "name "
                "the arrays that belong together with x=NAME and y=NAME"
            )
        built[key] = DataSet.in_memory(
            source="npz",
            split=key or ALL,
            class_names=names,
            labels=labels[key].labels,
            values=inputs.values,
            peak=inputs.peak,
            bounds=inputs.bounds,
            notes=(*notes, *inputs.notes, *labels[key].notes),
        )
    if None in built:
        return held_out(built[None], split, str(path))
    return of_splits({str(key): data for key, data in built.items()}, split, str(path))


def _check_names(all_names: Sequence[tuple[str, ...]], path: Path) -> None:
    """Raise DataError where classes that are texts are others in one split: labels would mean another thing."""
    texts = {names for names in all_names if not all(name.isdigit() for name in names)}
    if len(texts) > 1:
        first, second = sorted(texts)[:2]
        other = sorted(set(first) ^ set(second))
        raise DataError(
            f"{path}: the splits have different classes, such as {some(other)} in one of them alone, expected the "
            "same; "
            "give class indices, or the same classes in both"
        )


def _pairs(
    file: Path, x: str, y: str, *, alone: bool
) -> list[tuple[_Pair, tuple[NDArray[Any], NDArray[Any]], tuple[str, ...]]]:
    """The arrays of each split of a file, and notes; `alone` takes all of it for one split."""
    archive = Archive(file)
    if "array" in archive.shapes and file.suffix.lower() != ".npz" and len(archive.shapes) == 1:
        return [_pair_of_files(archive, y)]
    pairs, notes = _named_pairs(archive, x, y)
    if alone and any(pair.split for pair in pairs):
        raise DataError(
            f"{file} is one split by its name or by the option train, and has arrays of several "
            f"({some(list(archive.shapes))}); expected one of both"
        )
    return [(pair, (archive.read(pair.x), archive.read(pair.y)), notes) for pair in pairs]


def _pair_of_files(archive: Archive, y: str) -> tuple[_Pair, tuple[NDArray[Any], NDArray[Any]], tuple[str, ...]]:
    file = archive.file
    if not y:
        raise UsageError(
            f"{file} holds one array, the inputs: name the file of the labels, too: npz:{file},y=LABELS.npy"
        )
    beside = next((each for each in (file.parent / y, place(y)) if each.is_file()), None)
    if beside is None:
        raise DataError(f"y: {missing(place(y))}")
    other = Archive(beside)
    if list(other.shapes) != ["array"]:
        raise DataError(f"{beside} is no .npy file of numbers, expected the labels of {file} in one")
    return _Pair(None, "array", "array"), (archive.read("array"), other.read("array")), ()


def _named_pairs(archive: Archive, x: str, y: str) -> tuple[list[_Pair], tuple[str, ...]]:
    there = list(archive.shapes)
    listed = (
        ", ".join(f"{name} {_shown(archive, name)}" for name in there[:20]) or "none that can be read without pickles"
    )
    for key, name in (("x", x), ("y", y)):
        if name and name not in there and not _of_splits(name, there):
            raise UsageError(f"{key}={name}: {archive.file} has no such array; it has {listed}")
    inputs = _candidates(there, x, _INPUTS)
    labels = _candidates(there, y, _LABELS)
    splits = [split for split in ("train", "test", "validation") if split in inputs and split in labels]
    if splits and not (x in there and y in there):
        notes: tuple[str, ...] = ()
        if "validation" in splits:
            name = inputs["validation"]
            if "test" in splits:
                notes = (f"the validation split ({name} in {archive.file}) is left aside, since there is a test split",)
                splits.remove("validation")
            else:
                notes = (f"the validation split ({name} in {archive.file}) is taken for the test split",)
        return [
            _Pair("test" if split == "validation" else split, inputs[split], labels[split]) for split in splits
        ], notes
    if None in inputs and None in labels:
        taken = _Pair(None, inputs[None], labels[None])
        others = [name for name in there if name not in (taken.x, taken.y)]
        return [taken], _said(archive, taken, others) if others or (
            not (x and y)
            and (taken.x, taken.y)
            != (
                "x",
                "y",
            )
        ) else ()
    guessed = _by_shape(archive, inputs.get(None), labels.get(None))
    if guessed is None:
        raise DataError(
            f"{archive.file} has the arrays {listed}; which of them are the inputs and which the labels cannot be "
            "told: "
            "name them, as in x=NAME,y=NAME"
        )
    return [guessed], _said(archive, guessed, [])


def _said(archive: Archive, pair: _Pair, others: Sequence[str]) -> tuple[str, ...]:
    left = f"; {some(others)} left aside" if others else ""
    return (
        f"of {archive.file} the array {pair.x} {_shown(archive, pair.x)} is taken for the inputs, {pair.y} "
        f"{_shown(archive, pair.y)} for the labels{left}",
    )


def _shown(archive: Archive, name: str) -> str:
    shape, kind = archive.shapes[name]
    return f"({kind}, shape {shape})"


def _of_splits(name: str, there: Sequence[str]) -> bool:
    return any(_stripped(each)[1] == name.lower() and _stripped(each)[0] for each in there)


def _candidates(there: Sequence[str], named: str, usual: Sequence[str]) -> dict[str | None, str]:
    """The array of each split whose name is one of these, in the order in which they are usual."""
    found: dict[str | None, str] = {}
    if named in there and named:
        return {None: named}
    for base in (named.lower(),) if named else usual:
        for name in there:
            split, rest = _stripped(name)
            if rest == base:
                found.setdefault(split, name)
    return found


def _stripped(name: str) -> tuple[str | None, str]:
    """The split that a name has a word for, and the rest of it: `x_train` is x of train, `test_images` images of "
    "test."""
    if name.lower() in (*_INPUTS, *_LABELS):
        return None, name.lower()
    words = _WORD.split(name.rpartition("/")[2])
    for word in (words[0], words[-1]):
        split = split_called(word)
        if split is not None and len(words) > 1:
            words.remove(word)
            return split, "_".join(words).lower()
    # xtrain, Xtest
    for ending in ("train", "test", "val"):
        if name.lower() in (f"x{ending}", f"y{ending}"):
            return split_called(ending), name[0].lower()
    return None, name.lower()


def _by_shape(archive: Archive, x: str | None, y: str | None) -> _Pair | None:
    """The only two arrays that can be inputs and labels by their shapes."""
    shapes = archive.shapes

    def is_labels(name: str) -> bool:
        shape, kind = shapes[name]
        return kind.kind in "iubUS" and (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1))

    inputs = [x] if x else [name for name, (shape, kind) in shapes.items() if len(shape) > 1 and kind.kind in "biuf"]
    labels = [y] if y else [name for name in shapes if is_labels(name)]
    fitting = [
        _Pair(None, first, second)
        for first in inputs
        for second in labels
        if first != second and shapes[first][0][:1] == shapes[second][0][:1]
    ]
    return fitting[0] if len(fitting) == 1 else None
