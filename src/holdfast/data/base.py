"""Data sets, and the table that finds their sources by name."""

from __future__ import annotations

import hashlib
import inspect
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, final

import numpy as np

from holdfast.data.scales import EightBit, Numbers, Values
from holdfast.data.splitting import is_sorted_by_class
from holdfast.errors import DataError, UsageError
from holdfast.files import explained
from holdfast.registry import Registry
from holdfast.spec import Form, name_of, parse, place
from holdfast.types import Example
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from holdfast.data.scales import Array, Scale

SPLITS = ("train", "test")

_VALUES_AT_ONCE = 2**22


@final
class DataSet:
    """One split of a labelled data set: float32 inputs in [low, high]; 8-bit values are given out in [0, 1].

    It is not subclassed: a source gives it the function that loads its values.

    Args:
        source: short name of where it comes from, such as "mnist"; no path.
        split: "train" or "test".
        class_names: one name a class, in the order of the labels.
        labels: `(len,)` class indices, 0-based.
        shape: shape of one input, `(channels, height, width)` or `(features,)`.
        load: indices `(num,)` -> values `(num, *shape)`: uint8 from 0 to `peak`, or float32 within `bounds`.
        raw: index -> the bytes that identify one input: its values, or the encoded image they are decoded from.
        peak: the 8-bit value that stands for 1.0.
        decoder: name and version of the library that decodes `raw`, which the values depend on; empty for none.
        bounds: smallest and largest value of inputs that are numbers and not 8-bit values; None for 8-bit values.
        notes: what a person should know of these files, such as where they differ from the published ones.

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
    ) -> None:
        self.source = source
        self.split = split
        self.class_names = tuple(class_names)
        self.labels: NDArray[np.int64] = _whole_numbers(labels, f"the {split} split of {source}")
        self.labels.setflags(write=False)
        self.shape = tuple(shape)
        self._load = load
        self._raw = raw
        self._scale: Scale = EightBit(peak) if bounds is None else Numbers(*bounds)
        self.low, self.high = self._scale.low, self._scale.high
        self.decoder = decoder
        # They name files and classes of others.
        self.notes = tuple(map(visible, notes))
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
        positions = np.asarray(indices)
        if positions.ndim != 1 or (positions.size and positions.dtype.kind not in "iu"):
            raise UsageError(f"indices are a sequence of integers, got {positions.dtype} of shape {positions.shape}")
        outside = positions[(positions < 0) | (positions >= len(self))]
        if outside.size:
            raise UsageError(
                f"index {outside[0]} is not in the {self.split} split of {self.source}: "
                f"it has {len(self)} examples, 0 to {len(self) - 1}"
            )
        return self._scale.to_input(self._load(positions.astype(np.int64)))

    def part(self, every: int) -> DataSet:
        """Every `every`-th example, from the first one on, as its own data set, with positions from 0 on.

        Raises:
            UsageError: `every` is below 1.
        """
        if every < 1:
            raise UsageError(f"`every` is a whole number from 1 on, got {every}")
        if every == 1:
            return self
        taken = _Part(self._load, self._raw, every)
        return DataSet(
            source=self.source,
            split=self.split,
            class_names=self.class_names,
            labels=self.labels[::every],
            shape=self.shape,
            load=taken.load,
            raw=taken.raw,
            peak=self._scale.peak if isinstance(self._scale, EightBit) else 255,
            decoder=self.decoder,
            bounds=None if isinstance(self._scale, EightBit) else (self.low, self.high),
            notes=self.notes,
        )

    def channel_statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation (of the population) of each channel, in input units.

        Inputs of shape `(features,)` are one channel. A constant channel has the deviation 0.0 up to rounding: do not
        divide by it unchecked.
        """
        channels = self.shape[0] if len(self.shape) == 3 else 1
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
        if len(self.shape) not in (1, 3) or any(size < 1 for size in self.shape):
            raise DataError(
                f"{self.source}: inputs of shape {self.shape}, expected (channels, height, width) or (features,)"
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


@dataclass(frozen=True)
class _Part:
    """Loads each `every`-th input of another data set; an object, so that it can be sent to another process."""

    whole_load: Callable[[NDArray[np.int64]], Array]
    whole_raw: Callable[[int], bytes]
    every: int

    def load(self, indices: NDArray[np.int64]) -> Array:
        return self.whole_load(indices * self.every)

    def raw(self, index: int) -> bytes:
        return self.whole_raw(index * self.every)


@dataclass(frozen=True)
class Source:
    """A source of data sets.

    Attributes:
        name: name of it.
        path: what its path is, in capitals; None for a source that takes no path.
        options: its options, each with what stands for its value in help texts.
        load: the function.
    """

    name: str
    path: str | None
    options: Mapping[str, str]
    load: Callable[..., DataSet]

    @property
    def spelling(self) -> str:
        """Name and path as in a spec."""
        return self.name if self.path is None else f"{self.name}:{self.path}"

    @property
    def usage(self) -> str:
        """Name, path and options as in a spec, for help texts."""
        given = [f"[,{key}={value}]" for key, value in self.options.items()]
        if self.path is None and given:
            given[0] = given[0].replace("[,", "[:", 1)
        return self.spelling + "".join(given)


SOURCES: Registry[Source] = Registry("data source", "holdfast.data.sources", "holdfast.data")

Loader = TypeVar("Loader", bound="Callable[..., DataSet]")


def source(name: str, *, path: str | None = None) -> Callable[[Loader], Loader]:
    """Register a function `(path: Path | None, split: str, *, option: str = ...) -> DataSet` as a source.

    Its keyword-only parameters are the options of the source; their values are strings. Help texts show the default of
    an option, or its name in capitals where that is empty.

    Args:
        name: the name of the source on the command line and in manifests.
        path: what the path is, in capitals, as in "DIR"; None for a source that takes no path.
    """

    def register(function: Loader) -> Loader:
        parameters = inspect.signature(function).parameters.values()
        options = {
            each.name: str(each.default or each.name.upper()) for each in parameters if each.kind is each.KEYWORD_ONLY
        }
        SOURCES.add(name, Source(name, path, options, function), function.__module__)
        return function

    return register


def source_names() -> list[str]:
    """The names of all sources, sorted."""
    return SOURCES.names()


def source_options(name: str) -> tuple[str, ...]:
    """The names of a source's options; none for a source that is not known."""
    found = SOURCES.get(name)
    return tuple(found.options) if found else ()


def data_from_spec(text: str, split: str) -> DataSet:
    """One split of the data set that a spec names, as in `images:DIR,size=64`.

    Raises:
        UsageError: not a spec, or not one of the sources; or what `open_data` raises.
        DataError: the data are missing, incomplete or corrupt.
        MissingExtraError: the source needs a package that is not installed.
    """
    found = SOURCES.find_written(name_of(text))
    spec = parse(text, Form(path=found.path is not None, options=tuple(found.options)))
    return open_data(spec.name, None if spec.path is None else place(spec.path), split, spec.options)


def open_data(name: str, path: Path | None, split: str, options: Mapping[str, str]) -> DataSet:
    """One split of a data set.

    Args:
        name: one of `source_names()`.
        path: the file or folder it lies in; None for a source that comes with the package.
        split: "train" or "test".
        options: other options of the source, as strings.

    Raises:
        UsageError: an unknown source, split or option, a value the option cannot have, a path that is missing, or
            one that the source does not take.
        DataError: the data are missing, incomplete or corrupt.
        MissingExtraError: the source needs a package that is not installed.
    """
    found = SOURCES.find(name)
    if split not in SPLITS:
        raise UsageError(f"unknown split {split!r} of {name}; known are {', '.join(SPLITS)}")
    if found.path is None and path is not None:
        raise UsageError(f"data source {name!r} comes with the package and takes no path, got '{path}'; write {name}")
    if found.path is not None and path is None:
        raise UsageError(f"data source {name!r} needs a path, got none; write {found.spelling}")
    unknown = sorted(set(options) - set(found.options))
    if unknown:
        raise UsageError(
            f"data source {name!r} has no option {unknown[0]!r}; it takes {', '.join(found.options) or 'none'}"
        )
    try:
        return found.load(path, split, **options)
    except OSError as error:
        reason, advice = explained(error)
        raise DataError(f"{visible(path)} cannot be read: {reason}. {advice}") from error
