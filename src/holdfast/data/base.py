"""Data sets."""

from __future__ import annotations

import hashlib
import math
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np

from holdfast.data.scales import EightBit, Numbers, Values
from holdfast.data.splitting import is_sorted_by_class
from holdfast.errors import DataError, HoldfastWarning, UsageError
from holdfast.types import Example
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import TypeAlias

    from numpy.typing import NDArray

    from holdfast.data.crops import ResizedCrop
    from holdfast.data.scales import Array, Scale

    Crop: TypeAlias = Callable[[NDArray[np.int64], ResizedCrop, NDArray[np.float64]], Array]

SPLITS = ("train", "test")
# Both of them together.
ALL = "all"

# Of the notes that a manifest keeps: no source has as many, nor as long ones.
_MOST_NOTES, _MOST_CHARACTERS = 100, 2_000
_VALUES_AT_ONCE = 2**22


@final
class DataSet:
    """One split of a labelled data set: float32 inputs in [low, high]; 8-bit values are given out in [0, 1].

    It is not subclassed: a source gives it the function that loads its values.

    Args:
        source: short name of where it comes from, such as "mnist"; no path.
        split: "train", "test", or "all" for both together.
        class_names: one name a class, in the order of the labels.
        labels: `(len,)` class indices, 0-based.
        shape: shape of one input: `(features,)`, `(channels, time)`, `(channels, height, width)` or
            `(channels, depth, height, width)`.
        load: indices `(num,)` -> values `(num, *shape)`: uint8 from 0 to `peak`, or float32 within `bounds`.
        raw: index -> the bytes that identify one input: its values, or the encoded image they are decoded from.
        peak: the 8-bit value that stands for 1.0.
        decoder: name and version of the library that decodes `raw`, which the values depend on; empty for none.
        bounds: smallest and largest value of inputs that are numbers and not 8-bit values; None for 8-bit values.
        notes: what a person should know of these files, such as where they differ from the published ones.
        crop: indices `(num,)`, how to choose rectangles, random numbers `(num, UNIFORMS)` -> values like those of
            `load`, from a rectangle of each whole image; None if inputs are the whole images.

    Attributes:
        low: the smallest value that an input can have; 0.0 for 8-bit values.
        high: the largest value that an input can have; 1.0 for 8-bit values.

    Raises:
        DataError: there are no examples, a label is no whole number or has no class name, or the shape is of neither
            form.
    """

    def __init__(
        self,
        *,
        source: str,
        split: str,
        class_names: Sequence[str],
        labels: NDArray[np.integer],
        shape: tuple[int, ...],
        load: Callable[[NDArray[np.int64]], Array],
        raw: Callable[[int], bytes],
        peak: int = 255,
        decoder: str = "",
        bounds: tuple[float, float] | None = None,
        notes: Sequence[str] = (),
        crop: Crop | None = None,
    ) -> None:
        self.source = source
        self.split = split
        self.class_names = tuple(class_names)
        self.labels: NDArray[np.int64] = _whole_numbers(labels, f"the {split} split of {source}")
        self.labels.setflags(write=False)
        self.shape = tuple(shape)
        self._load = load
        self._raw = raw
        self._crop = crop
        self._scale: Scale = EightBit(peak) if bounds is None else Numbers(*bounds)
        self.low, self.high = self._scale.low, self._scale.high
        self.decoder = decoder
        # They name files and classes of others.
        self.notes = tuple(map(visible, notes))
        self._place: Path | None = None
        self._check()

    @classmethod
    def in_memory(
        cls,
        *,
        source: str,
        split: str,
        class_names: Sequence[str],
        labels: NDArray[np.integer],
        values: Array,
        peak: int = 255,
        bounds: tuple[float, float] | None = None,
        notes: Sequence[str] = (),
    ) -> DataSet:
        """A data set whose values `(len, *shape)`, uint8 from 0 to `peak` or float32 in `bounds`, are in memory.

        Raises:
            DataError: `values` is of another type, is not as long as `labels`, or has a value out of range.
        """
        if len(values) != len(labels):
            raise DataError(f"{source}: {len(values)} inputs and {len(labels)} labels, expected as many of each")
        (EightBit(peak) if bounds is None else Numbers(*bounds)).check(source, values)
        held = Values(values.copy(order="C") if not values.flags.c_contiguous else values)
        return cls(
            source=source,
            split=split,
            class_names=class_names,
            labels=labels,
            shape=values.shape[1:],
            load=held.load,
            raw=held.raw,
            peak=peak,
            bounds=bounds,
            notes=notes,
        )

    @classmethod
    def from_arrays(
        cls,
        x: Any,
        y: Any,
        class_names: Sequence[str] | None = None,
        low: float | None = None,
        high: float | None = None,
        *,
        channels: str = "",
        peak: int | None = None,
        split: str = "test",
        source: str = "arrays",
    ) -> DataSet:
        """A data set of arrays in memory: of numpy, of torch, or lists.

        Args:
            x: `(len, *shape)` numbers. Of images and the like, the channels come first; last ones, and grey images
                without an axis of channels, are told by their sizes where `channels` does not say.
            y: `(len,)` class indices from 0 on, texts, or `(len, classes)` one-hot.
            class_names: one name a class; by default the texts, or the numbers up to the largest label.
            low: the smallest value that an input can have, with `high`. By default 8-bit values are divided by `peak`,
                and numbers lie in [0, 1] if all do, or else between the smallest and the largest of them.
            high: the largest.
            channels: "first", "last" or "none" (there is no such axis).
            peak: the 8-bit value that stands for 1.0; 255 by default.
            split: what manifests call these examples: "test", "train" or "all".
            source: what manifests call them: a short name.

        Warns:
            HoldfastWarning: what was decided here, such as the range.

        Raises:
            DataError: arrays of different lengths, values that are no finite numbers or out of range, or labels that
                are no class indices.
            UsageError: arguments that cannot be.
        """
        from holdfast.data.given import of_arrays

        given = _both(low, high)
        return _told(
            of_arrays(
                x, y, source=source, split=split, class_names=class_names, bounds=given, channels=channels, peak=peak
            )
        )

    @classmethod
    def from_torch(
        cls,
        dataset: Any,
        class_names: Sequence[str] | None = None,
        low: float | None = None,
        high: float | None = None,
        *,
        channels: str = "",
        split: str = "test",
        source: str = "torch",
    ) -> DataSet:
        """A data set of a `torch.utils.data.Dataset` whose items are pairs of an input and a label.

        All items are asked for once and kept in memory. Inputs may be tensors, arrays or images of Pillow.

        Args:
            dataset: has a length, and items by number; random augmentation has to be off.
            class_names: as for `from_arrays`; by default those that the data set has as its `classes`, if any.
            low: as for `from_arrays`.
            high: as for `from_arrays`.
            channels: as for `from_arrays`.
            split: as for `from_arrays`.
            source: as for `from_arrays`.

        Warns, Raises: as `from_arrays`; and DataError if an item is no such pair, or another at a second look.
        """
        from holdfast.data.given import of_items

        given = _both(low, high)
        return _told(
            of_items(dataset, source=source, split=split, class_names=class_names, bounds=given, channels=channels)
        )

    @classmethod
    def from_hf(
        cls,
        dataset: Any,
        *,
        split: str = "test",
        x: str = "",
        label: str = "",
        size: str | int = "",
        crop: str | int = "",
        mode: str = "rgb",
        classes: str | int = "",
    ) -> DataSet:
        """A data set of the library `datasets`, held in memory or loaded from a disk.

        Args:
            dataset: a `datasets.Dataset`, or a `DatasetDict` of which the split is taken.
            split: "test", "train" or "all".
            x: column of the inputs: images or arrays; by default the one that there is.
            label: column of the class indices; by default "label", "labels" or the only ClassLabel.
            size: of images, as for the source `images`.
            crop: likewise.
            mode: likewise.
            classes: number of classes, or a file of their names.

        Warns:
            HoldfastWarning: what was decided here.

        Raises:
            DataError: it has no such columns, or values in them cannot be.
            MissingExtraError: `datasets` is not installed.
        """
        from holdfast.data.classes import with_classes
        from holdfast.data.hugging_face import of_dataset

        options = {"x": x, "label": label, "size": str(size), "crop": str(crop), "mode": mode}
        return _told(with_classes(of_dataset(dataset, split, "the data set", options), str(classes)))

    @property
    def recorded_notes(self) -> tuple[str, ...]:
        """The notes for a manifest: without the folders that lead to the data, and neither very long nor very many."""
        shown = []
        for note in self.notes[:_MOST_NOTES]:
            above = "." if self._place is None else visible(self._place.parent)
            if above not in (".", "/"):
                note = note.replace(f"{above}/", "")
            shown.append(note[:_MOST_CHARACTERS])
        return tuple(shown)

    @cached_property
    def sha256(self) -> str:
        """Hash of the content: shape, scale, every raw input and its label, in order. 64 hexadecimal digits.

        Computed when first asked for, since it reads everything. File names, folders and compression of the files
        around the raw inputs do not enter. For encoded images it covers the encoded bytes: versions of an image
        library may decode the same JPEG to values that differ by one or two of 255.
        """
        content = hashlib.sha256(f"holdfast data 1: {self.shape} {self._scale.words}\n".encode())
        for index, label in enumerate(self.labels):
            content.update(hashlib.sha256(self._raw(index)).digest())
            content.update(int(label).to_bytes(8, "little"))
        return content.hexdigest()

    @cached_property
    def is_sorted_by_class(self) -> bool:
        """Whether the examples come class by class, so that the first of them do not represent all.

        From the labels alone; `holdfast.data.splitting.is_sorted_by_class` says how.
        """
        return is_sorted_by_class(self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Example:
        x = self.batch([index])[0]
        return Example(int(index), x, int(self.labels[index]))

    def __iter__(self) -> Iterator[Example]:
        return self.examples(range(len(self)))

    def examples(self, indices: Iterable[int]) -> Iterator[Example]:
        """The examples at these positions, each loaded when it is asked for."""
        return (self[index] for index in indices)

    def batch(self, indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.float32]:
        """Inputs at these positions, `(len(indices), *shape)`, float32 in [low, high]; positions may repeat.

        Raises:
            UsageError: `indices` is not a sequence of integers from 0 to len - 1.
            DataError: a file that they are read from is corrupt or gone.
        """
        return self._scale.to_input(self._load(self._positions(indices)))

    @property
    def crops_whole_images(self) -> bool:
        """Whether inputs are cut out of larger images, which `cropped` reads."""
        return self._crop is not None

    def cropped(
        self, indices: Sequence[int] | NDArray[np.integer], crop: ResizedCrop, uniforms: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Like `batch`, but a random rectangle of each whole image, resized.

        Args:
            indices: positions of the inputs.
            crop: how the rectangle is chosen.
            uniforms: `(len(indices), UNIFORMS)` random numbers in [0, 1).

        Raises:
            UsageError: inputs are the whole images here; or as `batch`.
            DataError: as `batch`.
        """
        if self._crop is None:
            raise UsageError(f"the inputs of {self.source} are not cut out of larger images; take batch")
        return self._scale.to_input(self._crop(self._positions(indices), crop, uniforms))

    def _positions(self, indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int64]:
        positions = np.asarray(indices)
        if positions.ndim != 1 or (positions.size and positions.dtype.kind not in "iu"):
            raise UsageError(f"indices are a sequence of integers, got {positions.dtype} of shape {positions.shape}")
        outside = positions[(positions < 0) | (positions >= len(self))]
        if outside.size:
            raise UsageError(
                f"index {outside[0]} is not in the {self.split} split of {self.source}: "
                f"it has {len(self)} examples, 0 to {len(self) - 1}"
            )
        return positions.astype(np.int64)

    def part(self, every: int) -> DataSet:
        """Every `every`-th example, from the first one on, as its own data set, with positions from 0 on.

        Raises:
            UsageError: `every` is below 1.
        """
        if every < 1:
            raise UsageError(f"`every` is a whole number from 1 on, got {every}")
        if every == 1:
            return self
        return self.at(np.arange(0, len(self), every))

    def at(self, rows: Sequence[int] | NDArray[np.integer]) -> DataSet:
        """The examples at these positions as their own data set, with positions from 0 on."""
        chosen = np.array(rows, dtype=np.int64)
        taken = _Taken(self._load, self._raw, self._crop, chosen)
        crop = None if self._crop is None else taken.crop
        return self._derived(labels=self.labels[chosen], load=taken.load, raw=taken.raw, crop=crop)

    def noted(self, *notes: str) -> DataSet:
        """The same with further notes."""
        return self._derived(notes=(*self.notes, *notes)) if notes else self

    def relabelled(self, class_names: Sequence[str], labels: NDArray[np.int64], notes: Sequence[str] = ()) -> DataSet:
        """The same inputs with other classes.

        Raises:
            DataError: a label has no class name.
        """
        return self._derived(class_names=class_names, labels=labels, notes=(*self.notes, *notes))

    def of_split(self, split: str) -> DataSet:
        """The same examples, called another split."""
        return self._derived(split=split)

    def joined(self, other: DataSet) -> DataSet:
        """These examples and those of another split of the same data, one after the other, as the split "all".

        Raises:
            DataError: they differ in shape, range or classes.
        """
        ours, theirs = (
            (each.shape, each._scale, each.class_names, each.decoder, each.source) for each in (self, other)
        )
        if ours != theirs:
            raise DataError(
                f"{self.source}: the {self.split} split has inputs of shape {self.shape} in [{self.low:g}, "
                f"{self.high:g}] with {len(self.class_names)} classes, the {other.split} split {other.shape} in "
                f"[{other.low:g}, {other.high:g}] with {len(other.class_names)}, expected the same in both; take one "
                "of them"
            )
        both = _Joined((self._load, self._raw, self._crop), (other._load, other._raw, other._crop), len(self))
        return self._derived(
            split=ALL,
            labels=np.concatenate([self.labels, other.labels]),
            load=both.load,
            raw=both.raw,
            crop=None if self._crop is None or other._crop is None else both.crop,
            notes=tuple(dict.fromkeys((*self.notes, *other.notes))),
        )

    def placed(self, path: Path) -> DataSet:
        """The same, which was read from there: what a manifest keeps does not name the folders that lead to it."""
        self._place = path
        return self

    def _derived(self, **changes: Any) -> DataSet:
        kept = {
            "source": self.source,
            "split": self.split,
            "class_names": self.class_names,
            "labels": self.labels,
            "shape": self.shape,
            "load": self._load,
            "raw": self._raw,
            "peak": self._scale.peak if isinstance(self._scale, EightBit) else 255,
            "decoder": self.decoder,
            "bounds": None if isinstance(self._scale, EightBit) else (self.low, self.high),
            "notes": self.notes,
            "crop": self._crop,
        }
        made = DataSet(**{**kept, **changes})
        made._place = self._place
        return made

    def channel_statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation (of the population) of each channel, in input units.

        Inputs of shape `(features,)` are one channel. A constant channel has the deviation 0.0 up to rounding: do not
        divide by it unchecked.
        """
        channels = self.shape[0] if len(self.shape) > 1 else 1
        step = max(1, _VALUES_AT_ONCE // math.prod(self.shape))
        starts = range(0, len(self), step)
        batches = (self._load(np.arange(first, min(first + step, len(self)), dtype=np.int64)) for first in starts)
        # Channel first: (channels, values of the batch).
        return self._scale.statistics(
            np.moveaxis(values.reshape(len(values), channels, -1), 1, 0).reshape(channels, -1) for values in batches
        )

    def __repr__(self) -> str:
        return f"DataSet({self.source!r}, {self.split!r}, {len(self)} examples of shape {self.shape})"

    def _check(self) -> None:
        if self.labels.ndim != 1 or not self.labels.size:
            raise DataError(
                f"{self.source}: the {self.split} split has labels of shape {self.labels.shape}, "
                "expected (len,) with at least one example"
            )
        lowest, highest = int(self.labels.min()), int(self.labels.max())
        if lowest < 0 or highest >= len(self.class_names):
            raise DataError(
                f"{self.source}: labels of the {self.split} split go from {lowest} to {highest}, "
                f"expected 0 to {len(self.class_names) - 1} ({len(self.class_names)} class names)"
            )
        if len(self.shape) not in (1, 2, 3, 4) or any(size < 1 for size in self.shape):
            raise DataError(
                f"{self.source}: inputs of shape {self.shape}, expected (features,), (channels, time), "
                "(channels, height, width) or (channels, depth, height, width)"
            )


def _whole_numbers(labels: NDArray[np.integer], where: str) -> NDArray[np.int64]:
    """A copy of the labels in 64 bits, which numpy would make of any numbers by cutting them."""
    if np.ma.is_masked(labels):
        raise DataError(
            f"{where} has labels in a masked array that hides {int(np.ma.getmaskarray(labels).sum())} of them, "
            "expected one for each input; leave these inputs out"
        )
    found: NDArray[Any] = np.asarray(labels)
    if found.size and found.dtype.kind not in "iu":
        # A fraction or NaN says more than the first label.
        fractions = found[found != np.floor(found)] if found.dtype.kind == "f" else found[:0]
        shown = (fractions if fractions.size else found).flat[0]
        raise DataError(
            f"{where} has labels of the type {found.dtype}, such as {shown}, expected whole numbers, the class "
            "indices; convert them first, so that nothing is cut"
        )
    if found.dtype.kind == "u" and found.size and int(found.max()) > np.iinfo(np.int64).max:
        raise DataError(f"{where} has the label {found.max()}, expected a class index")
    return np.array(found, dtype=np.int64)


def _both(low: float | None, high: float | None) -> tuple[float, float] | None:
    """The range; None for neither end.

    Raises:
        UsageError: one end without the other.
    """
    if low is None or high is None:
        if low is None and high is None:
            return None
        raise UsageError(f"low and high belong together, got low={low} and high={high}; give both or neither")
    return low, high


def _told(data: DataSet) -> DataSet:
    """A data set, its notes given as warnings to the caller of a public method."""
    for note in data.notes:
        warnings.warn(note, HoldfastWarning, stacklevel=3)
    return data


# Objects and no closures, so that a data set can be sent to another process.
@dataclass(frozen=True)
class _Taken:
    """Loads some inputs of another data set."""

    whole_load: Callable[[NDArray[np.int64]], Array]
    whole_raw: Callable[[int], bytes]
    whole_crop: Crop | None
    rows: NDArray[np.int64]

    def load(self, indices: NDArray[np.int64]) -> Array:
        return self.whole_load(self.rows[indices])

    def raw(self, index: int) -> bytes:
        return self.whole_raw(int(self.rows[index]))

    def crop(self, indices: NDArray[np.int64], crop: ResizedCrop, uniforms: NDArray[np.float64]) -> Array:
        return _given(self.whole_crop)(self.rows[indices], crop, uniforms)


Reader = tuple["Callable[[NDArray[np.int64]], Array]", "Callable[[int], bytes]", "Crop | None"]


@dataclass(frozen=True)
class _Joined:
    """Loads the inputs of two data sets, of which the first has `count`."""

    first: Reader
    second: Reader
    count: int

    def load(self, indices: NDArray[np.int64]) -> Array:
        return self._each(indices, lambda reader, rows, _: reader[0](rows))

    def crop(self, indices: NDArray[np.int64], crop: ResizedCrop, uniforms: NDArray[np.float64]) -> Array:
        return self._each(indices, lambda reader, rows, here: _given(reader[2])(rows, crop, uniforms[here]))

    def _each(
        self, indices: NDArray[np.int64], read: Callable[[Reader, NDArray[np.int64], NDArray[np.bool_]], Array]
    ) -> Array:
        """What is read of both, in the order of the indices."""
        early, late = indices < self.count, indices >= self.count
        parts = [read(self.first, indices[early], early), read(self.second, indices[late] - self.count, late)]
        order = np.concatenate([np.flatnonzero(early), np.flatnonzero(late)])
        together: Any = np.concatenate(parts)
        found: Array = together[np.argsort(order)]
        return found

    def raw(self, index: int) -> bytes:
        return self.first[1](index) if index < self.count else self.second[1](index - self.count)


def _given(crop: Crop | None) -> Crop:
    """A function that was checked to be there."""
    assert crop is not None
    return crop
