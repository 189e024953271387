"""Arrays, or items one by one, as a data set: what their numbers, axes and labels mean, and a note on each guess.

Nothing here imports torch: tensors are asked for their values as arrays.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.budgets import check_memory
from holdfast.class_names import MOST_CLASSES, numbered
from holdfast.data.base import ALL, DataSet
from holdfast.data.splitting import held_out_note, rows_of_split
from holdfast.errors import DataError, UsageError
from holdfast.shortened import some

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_AXES = ("first", "last", "none")
# Numbers of channels that an axis is known by.
_CHANNELS = (1, 3)
# Of items that are asked for twice.
_TWICE = 4


@dataclass(frozen=True)
class Inputs:
    """Values as a data set takes them: `(len, *shape)`, uint8 from 0 to `peak` or float32 within `bounds`."""

    values: NDArray[Any]
    peak: int
    bounds: tuple[float, float] | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Labels:
    """Class indices, the names of the classes, and notes."""

    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


def parse_range(text: str) -> tuple[float, float] | None:
    """`0..1` or `-1..1` as two numbers; None for an empty text.

    Raises:
        UsageError: it is not written so, or the first number is not below the second.
    """
    if not text:
        return None
    low_text, dots, high_text = text.partition("..")
    try:
        low, high = float(low_text), float(high_text)
    except ValueError:
        dots = ""
    if not dots or not (-np.inf < low < high < np.inf):
        raise UsageError(f"a range is LOW..HIGH, two numbers of which the first is smaller, as in 0..1; got {text!r}")
    return low, high


def parse_peak(text: str) -> int | None:
    """The option `peak`: the 8-bit value that stands for 1.0; None for an empty text."""
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= 255:
        raise UsageError(f"peak is the 8-bit value that stands for 1.0, from 1 to 255; got {text!r}")
    return int(text)


def array_of(found: Any, what: str) -> NDArray[Any]:
    """An array of whatever has numbers: an array, a tensor, lists of numbers, a table of pandas.

    Raises:
        DataError: it has none, or rows of different lengths.
    """
    for step in ("detach", "cpu", "to_numpy"):
        if not isinstance(found, np.ndarray) and callable(getattr(found, step, None)):
            found = getattr(found, step)()
    if np.ma.isMaskedArray(found) and np.ma.is_masked(found):
        raise DataError(
            f"{what} is a masked array that hides values; fill them in with filled(VALUE), or leave rows out"
        )
    try:
        array = np.asarray(found)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{what} is of the type {type(found).__name__} and no array of numbers ({error}); expected numbers of one "
            "shape for all examples"
        ) from error
    if array.dtype.kind not in "biufUSO":
        raise DataError(f"{what} is an array of {array.dtype}, expected numbers")
    return array


def of_arrays(
    x: Any,
    y: Any,
    *,
    source: str,
    split: str,
    class_names: Sequence[str] | None = None,
    bounds: tuple[float, float] | None = None,
    channels: str = "",
    peak: int | None = None,
    notes: Sequence[str] = (),
) -> DataSet:
    """A data set of inputs `(len, *shape)` and labels `(len,)`; see `DataSet.from_arrays`."""
    labels = labels_of(array_of(y, "y"), "y", class_names)
    inputs = inputs_of(array_of(x, "x"), "x", bounds=bounds, channels=channels, peak=peak)
    if len(inputs.values) != len(labels.labels):
        raise DataError(
            f"{source}: {len(inputs.values)} inputs in x and {len(labels.labels)} labels in y, expected as many of each"
        )
    return DataSet.in_memory(
        source=source,
        split=split,
        class_names=labels.class_names,
        labels=labels.labels,
        values=inputs.values,
        peak=inputs.peak,
        bounds=inputs.bounds,
        notes=(*notes, *inputs.notes, *labels.notes),
    )


def inputs_of(
    values: NDArray[Any],
    what: str,
    *,
    bounds: tuple[float, float] | None,
    channels: str,
    peak: int | None,
    training: NDArray[Any] | None = None,
) -> Inputs:
    """What the numbers of inputs mean.

    Args:
        values: `(len, ...)`.
        what: what messages call them.
        bounds: the declared range; None to take it from the numbers.
        channels: "first", "last", "none", or empty to tell it by the sizes.
        peak: the 8-bit value that stands for 1.0; None for 255.
        training: other values whose range counts in the place of these; None for these.

    Raises:
        DataError: they are no finite numbers, or lie outside the range.
        UsageError: the arguments cannot be.
    """
    if values.dtype.kind not in "biuf":
        raise DataError(f"{what} is an array of {values.dtype}, expected numbers; name another one, or convert it")
    if bounds is not None and not (-np.inf < bounds[0] < bounds[1] < np.inf):
        raise UsageError(f"low and high are two finite numbers, low the smaller one; got {bounds[0]} and {bounds[1]}")
    placed, notes = _channels_first(values, what, channels)
    if values.dtype == np.bool_:
        if bounds is not None:
            return Inputs(placed.astype(np.float32), 1, _holding(placed.astype(np.float32), bounds, what), notes)
        return Inputs(placed.astype(np.uint8), 1, None, notes)
    if values.dtype == np.uint8 and bounds is None:
        largest = int(values.max(initial=0))
        if peak is None and largest == 1:
            notes += (
                f"{what} has 8-bit values of 0 and 1 alone, which are taken as 0 and 1/255; if 1 stands for white, say "
                "peak=1",
            )
        return Inputs(placed, 255 if peak is None else peak, None, notes)
    if peak is not None:
        raise UsageError(
            f"peak is about 8-bit values; {what} is {values.dtype}. Give the range instead, as low and high"
        )
    numbers = _float32(placed, what)
    if bounds is not None:
        return Inputs(numbers, 255, _holding(numbers, bounds, what), notes)
    taken = numbers if training is None else _float32(training, what)
    found, note = _range_of(taken, what, training is not None)
    return Inputs(numbers, 255, _holding(numbers, found, what), (*notes, *note))


def _range_of(
    numbers: NDArray[np.float32], what: str, from_training: bool
) -> tuple[tuple[float, float], tuple[str, ...]]:
    low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 1.0)
    of = "the training set" if from_training else "these data"
    if low >= 0.0 and high <= 1.0:
        return (0.0, 1.0), (
            f"the range of {what} is taken to be [0, 1], in which all of {of} lies; declare it by range=LOW..HIGH, in "
            "Python by low and high",
        )
    if low == high:
        raise DataError(
            f"{what} has the value {low} alone, so that its range cannot be told; declare it by range=LOW..HIGH, in "
            "Python by low and high"
        )
    return (low, high), (
        f"the range of {what} is taken to be [{low:g}, {high:g}], from the smallest to the largest value of {of}: "
        "other data need not lie in it, and a model has to know the same range; declare it by range=LOW..HIGH, in "
        "Python by low and high",
    )


def _holding(numbers: NDArray[np.float32], bounds: tuple[float, float], what: str) -> tuple[float, float]:
    """The range, in which all values have to lie."""
    # As the values are, in float32: 0.1 is not.
    low, high = (float(np.float32(bound)) for bound in bounds)
    outside = numbers[(numbers < low) | (numbers > high)]
    if outside.size:
        raise DataError(
            f"{what} has {outside.size:,} values outside of [{bounds[0]:g}, {bounds[1]:g}], such as {outside[0]:g}; "
            f"they go from {numbers.min():g} to {numbers.max():g}. Declare a range that holds them, or scale them: "
            "nothing is cut off"
        )
    return low, high


def _float32(values: NDArray[Any], what: str) -> NDArray[np.float32]:
    """The numbers in float32, which all of them have to be."""
    if values.dtype.kind == "f":
        bad = ~np.isfinite(values)
        if bad.any():
            first = np.argwhere(bad)[0]
            raise DataError(
                f"{what} has {int(bad.sum()):,} values that are not finite, the first ({values[tuple(first)]}) in "
                f"example {first[0]}; leave these examples out, or fill the values in"
            )
    with np.errstate(over="ignore"):
        numbers: NDArray[np.float32] = values.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise DataError(f"{what} has numbers beyond those of float32, up to {np.abs(values).max():g}; scale them down")
    return numbers


def _channels_first(values: NDArray[Any], what: str, channels: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Values `(len, channels, ...)` or `(len, features)`, and a note where that was told by the sizes."""
    if channels and channels not in _AXES:
        raise UsageError(
            f"channels is {', '.join(_AXES[:2])} or {_AXES[2]}, where they stand in an array; got {channels!r}"
        )
    axes = values.ndim - 1
    if not 0 <= axes <= 4 or (axes == 4 and channels == "none"):
        raise DataError(
            f"{what} has the shape {values.shape}, expected (examples, features) or (examples, channels, ...) with one "
            "to three axes behind the channels"
        )
    if axes == 0:
        raise DataError(
            f"{what} has the shape {values.shape}, one number for each example; expected (examples, features): write "
            "x[:, None] for one feature"
        )
    if channels == "none":
        return values[:, np.newaxis], ()
    if channels == "last":
        return np.moveaxis(values, -1, 1), ()
    if channels == "first" or axes == 1:
        return values, ()
    shape = values.shape
    if axes == 2:
        if shape[1] == shape[2] or values.dtype == np.uint8:
            return values[:, np.newaxis], (
                f"{what} has the shape {shape}, which is taken for {len(values):,} grey images of {shape[1]} x "
                f"{shape[2]}; "
                "declare channels=first for (channels, time)",
            )
        return values, (
            f"{what} has the shape {shape}, which is taken for {shape[1]} channels of {shape[2]} values each; declare "
            "channels=none for grey images, channels=last for (time, channels)",
        )
    if shape[-1] in _CHANNELS and shape[1] not in _CHANNELS:
        return np.moveaxis(values, -1, 1), (
            f"{what} has the shape {shape}: the last axis is taken for the channels; declare channels=first or "
            "channels=last to say so",
        )
    return values, ()


def labels_of(found: NDArray[Any], what: str, class_names: Sequence[str] | None = None) -> Labels:
    """Class indices from numbers, texts, or rows that are one-hot.

    Raises:
        DataError: they are none.
    """
    notes: tuple[str, ...] = ()
    names = None if class_names is None else tuple(map(str, class_names))
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim == 2 and found.dtype.kind in "biuf" and _is_one_hot(found):
        found = found.argmax(axis=1)
        notes = (f"{what} is one-hot, and the place of the 1 is taken for the class",)
    if found.ndim != 1:
        raise DataError(
            f"{what} has labels of the shape {found.shape}, expected (examples,) class indices, or one-hot rows: one "
            "class for each example"
        )
    if found.dtype.kind in "USO":
        return _labels_of_texts(found, what, names, notes)
    if found.dtype.kind == "b":
        found = found.astype(np.int64)
    if found.dtype.kind == "f":
        # Written so that a NaN is found.
        wrong = np.flatnonzero(~(found == np.floor(found)) | ~np.isfinite(found))
        if wrong.size:
            raise DataError(
                f"{what} has the label {found[wrong[0]]} for example {wrong[0]}, expected whole numbers from 0 on, the "
                "class indices"
            )
    lowest, highest = (int(found.min()), int(found.max())) if found.size else (0, 0)
    if lowest < 0 or highest >= MOST_CLASSES:
        raise DataError(
            f"{what} has labels from {lowest} to {highest}, expected class indices from 0 to {MOST_CLASSES - 1:,} at "
            "most; number the classes from 0 on"
        )
    if names is None:
        names = numbered(highest + 1)
        if lowest > 0:
            notes += (
                f"{what} has labels from {lowest} to {highest}, taken for class indices, which count from 0 on: there "
                "is no example of class 0",
            )
    elif highest >= len(names):
        raise DataError(f"{what} has the label {highest}, and there are {len(names)} class names; expected one each")
    return Labels(found.astype(np.int64), names, notes)


def _labels_of_texts(found: NDArray[Any], what: str, names: tuple[str, ...] | None, notes: tuple[str, ...]) -> Labels:
    texts = [each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in found.tolist()]
    wrong = next((row for row, each in enumerate(texts) if not isinstance(each, str) or not each), None)
    if wrong is not None:
        raise DataError(
            f"{what} has the label {texts[wrong]!r} for example {wrong}, expected a class index for each example, or a "
            "text for each"
        )
    known = tuple(sorted(set(texts))) if names is None else names
    if len(known) > MOST_CLASSES:
        raise DataError(f"{what} has {len(known):,} different texts, expected class names, {MOST_CLASSES:,} at most")
    place = {name: label for label, name in enumerate(known)}
    other = next((row for row, text in enumerate(texts) if text not in place), None)
    if other is not None:
        raise DataError(f"{what} has the class {texts[other]!r}, expected one of {some(known)}")
    return Labels(np.array([place[text] for text in texts], dtype=np.int64), known, notes)


def _is_one_hot(rows: NDArray[Any]) -> bool:
    return bool(((rows == 0) | (rows == 1)).all() and (rows.sum(axis=1) == 1).all())


def of_items(
    items: Any,
    *,
    source: str,
    split: str,
    class_names: Sequence[str] | None = None,
    bounds: tuple[float, float] | None = None,
    channels: str = "",
    peak: int | None = None,
) -> DataSet:
    """A data set of pairs that are asked for one by one; see `DataSet.from_torch`."""
    what = f"the data set of the type {type(items).__name__}"
    try:
        count = len(items)
    except TypeError as error:
        raise DataError(f"{what} has no length, expected one whose items have numbers (map-style)") from error
    if not count:
        raise DataError(f"{what} has no items, expected at least one")
    first = _item(items, 0, what)[0]
    check_memory(
        2 * count * first.nbytes,
        what,
        DataError,
        "take fewer items, or save images as files and read them by images:DIR",
    )
    values = np.empty((count, *first.shape), dtype=first.dtype)
    labels: list[Any] = []
    for index in range(count):
        x, y = _item(items, index, what)
        if x.shape != first.shape or x.dtype != first.dtype:
            raise DataError(
                f"{what}: item {index} has inputs of {x.dtype} and shape {x.shape}, item 0 of {first.dtype} and "
                f"{first.shape}, expected the same for all; resize them to one size"
            )
        values[index] = x
        labels.append(y)
    for index in range(min(_TWICE, count)):
        if not np.array_equal(_item(items, index, what)[0], values[index], equal_nan=first.dtype.kind == "f"):
            raise DataError(
                f"{what} gives another input for item {index} when asked again: switch off random augmentation, so "
                "that "
                "the certificates are about inputs that are there"
            )
    named = getattr(items, "classes", None) if class_names is None else class_names
    usable = isinstance(named, (list, tuple)) and all(isinstance(name, str) for name in named)
    return of_arrays(
        values,
        _stacked(labels, what),
        source=source,
        split=split,
        class_names=named if usable or class_names is not None else None,
        bounds=bounds,
        channels=channels,
        peak=peak,
    )


def _item(items: Any, index: int, what: str) -> tuple[NDArray[Any], Any]:
    try:
        found = items[index]
    except IndexError as error:
        raise DataError(f"{what} says that it has {len(items)} items, and has none number {index}") from error
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise DataError(
            f"{what}: item {index} is of the type {type(found).__name__}, expected a pair of an input and a label"
        )
    x = found[0]
    if type(x).__module__.startswith("PIL."):
        image = np.asarray(x)
        return (image[np.newaxis] if image.ndim == 2 else np.moveaxis(image, -1, 0)), found[1]
    return array_of(x, f"the input of item {index}"), found[1]


def _stacked(labels: Sequence[Any], what: str) -> NDArray[Any]:
    if all(isinstance(label, str) for label in labels):
        return np.array(labels, dtype=object)
    return np.stack([array_of(label, f"{what}: the label of item {index}") for index, label in enumerate(labels)])


def held_out(data: DataSet, split: str, where: str) -> DataSet:
    """One split of data that do not say which of them are for training: one input in five, by content, is for testing.

    Raises:
        DataError: the split would be empty.
    """
    if split == ALL:
        return data.of_split(ALL)
    digests = [hashlib.sha256(data._raw(index)).digest() for index in range(len(data))]
    rows = rows_of_split(digests, data.labels, split, where)
    return data.at(rows).of_split(split).noted(held_out_note(where, "example"))


def of_splits(parts: Mapping[str, DataSet], split: str, where: str) -> DataSet:
    """One of the splits that there are, or both.

    Raises:
        DataError: it is not there.
    """
    if split == ALL:
        both = [parts[each] for each in ("train", "test") if each in parts]
        return both[0].of_split(ALL) if len(both) == 1 else both[0].joined(both[1])
    if split not in parts:
        raise DataError(
            f"{where} has no {split} split, only {' and '.join(parts)}; give it too, or write split=all to take "
            "whatever is there"
        )
    return parts[split]
