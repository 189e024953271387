"""How the values that a source stores become input units: 8-bit values are divided, numbers are taken as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from holdfast.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.uint8] | NDArray[np.float32]
    Statistics: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]
    Scale: TypeAlias = "EightBit | Numbers"


def _check_mask(source: str, values: Array) -> None:
    """Raise DataError if `values` is a masked array that hides a value: what is behind the mask would be taken."""
    if np.ma.is_masked(values):
        raise DataError(
            f"{source}: a mask hides {int(np.ma.getmaskarray(values).sum())} of {values.size} values, expected an "
            "array without one; fill them in with values.filled(VALUE)"
        )


@dataclass(frozen=True)
class EightBit:
    """Whole numbers from 0 to `peak`, which stand for [0, 1]."""

    low: ClassVar[float] = 0.0
    high: ClassVar[float] = 1.0
    peak: int

    @property
    def words(self) -> str:
        """What enters the hash of a data set, and hence manifests: it must never change."""
        return f"of {self.peak}"

    def check(self, source: str, values: Array) -> None:
        """Raise DataError unless `values` are uint8 up to `peak`."""
        _check_mask(source, values)
        if values.dtype != np.uint8:
            raise DataError(f"{source}: values are {values.dtype}, expected uint8; scale them to 0..{self.peak} first")
        if values.size and values.max() > self.peak:
            raise DataError(f"{source}: the largest value is {values.max()}, expected at most {self.peak}; set peak")

    def to_input(self, values: Array) -> NDArray[np.float32]:
        """The only place where 8-bit values become input units."""
        scaled: NDArray[np.float32] = values.astype(np.float32) / np.float32(self.peak)
        return scaled

    def statistics(self, batches: Iterable[Array]) -> Statistics:
        """Mean and deviation of each channel over batches `(channels, values)`, in input units."""
        counts = sum(np.stack([np.bincount(channel, minlength=256) for channel in values]) for values in batches)
        levels = self.to_input(np.arange(256, dtype=np.uint8)).astype(np.float64)
        share = counts / np.sum(counts, axis=1, keepdims=True)
        mean = share @ levels
        deviation = np.sqrt((share * (levels - mean[:, None]) ** 2).sum(axis=1))
        return tuple(mean.tolist()), tuple(deviation.tolist())


@dataclass(frozen=True)
class Numbers:
    """float32 numbers from `low` to `high`, which are input units already."""

    low: float
    high: float

    @property
    def words(self) -> str:
        """What enters the hash of a data set, and hence manifests: it must never change."""
        return f"float32 in [{self.low}, {self.high}]"

    def check(self, source: str, values: Array) -> None:
        """Raise DataError unless `values` are finite float32 within the range."""
        _check_mask(source, values)
        if values.dtype != np.float32:
            raise DataError(f"{source}: values are {values.dtype}, expected float32; convert them first")
        # Written so that a NaN fails.
        if values.size and not (values.min() >= self.low and values.max() <= self.high):
            raise DataError(
                f"{source}: values go from {values.min()} to {values.max()}, expected [{self.low:g}, {self.high:g}]; "
                "get the files again, or scale the values to this range"
            )

    def to_input(self, values: Array) -> NDArray[np.float32]:
        """The values themselves."""
        return values.astype(np.float32)

    def statistics(self, batches: Iterable[Array]) -> Statistics:
        """Mean and deviation of each channel over batches `(channels, values)`."""
        num, total, squares = 0, np.zeros(1), np.zeros(1)
        for values in batches:
            exact = values.astype(np.float64)
            num += exact.shape[1]
            total = total + exact.sum(axis=1)
            squares = squares + (exact**2).sum(axis=1)
        mean = total / num
        # Rounding may leave a constant channel a little below zero.
        deviation = np.sqrt(np.maximum(squares / num - mean**2, 0.0))
        return tuple(mean.tolist()), tuple(deviation.tolist())


@dataclass(frozen=True)
class Values:
    """Values in memory; an object and not closures, so that a data set can be sent to another process."""

    values: Array

    def load(self, indices: NDArray[np.int64]) -> Array:
        """The values at these positions."""
        return self.values[indices]

    def raw(self, index: int) -> bytes:
        """The bytes of one input, the same on every machine."""
        value: Array = self.values[index]
        return value.astype(value.dtype.newbyteorder("<")).tobytes()
