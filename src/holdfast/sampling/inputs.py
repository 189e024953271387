"""The declared input space: an input outside of it is an error, never clipped."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING

import numpy as np

from holdfast.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from holdfast.noises.base import Shape
    from holdfast.types import Example


def checked_example(example: Example, shape: Shape, low: float, high: float) -> Example:
    """`example` itself if it lies in the declared input space.

    Raises:
        InputError: another shape, a value that is not finite, or one outside [low, high]; names the example.
    """
    if example.x.shape != shape:
        raise InputError(f"example {example.index} has shape {example.x.shape}; the input space has shape {shape}")
    check_values(f"example {example.index}", example.x, low, high)
    return example


def checked_indices(indices: Sequence[int] | None, count: int) -> list[int]:
    """The indices of `count` inputs, which key their noise: those given, or 0, 1, 2, ...

    Raises:
        UsageError: another number of them, one that is no whole number from 0 to 2^63 - 1, or one twice.
    """
    if indices is None:
        return list(range(count))
    try:
        found = [index(each) for each in indices]
    except TypeError as error:
        raise UsageError(f"indices are whole numbers, one for each input; got {indices!r}") from error
    if len(found) != count:
        raise UsageError(f"there are {count} inputs and {len(found)} indices; give one for each input")
    outside = [each for each in found if not 0 <= each < 2**63]
    if outside:
        raise UsageError(f"an index is a whole number from 0 to 2^63 - 1, got {outside[0]}")
    if len(set(found)) < count:
        twice = next(each for each in found if found.count(each) > 1)
        raise UsageError(f"index {twice} is there twice: two inputs would have the same noise. Give each its own")
    return found


def check_values(what: str, values: NDArray[np.floating], low: float, high: float) -> None:
    """Raise InputError, which begins with `what`, unless all values are finite and in [low, high]."""
    finite = np.isfinite(values)
    if not finite.all():
        raise InputError(
            f"{what} has {int((~finite).sum())} values that are NaN or infinite; every value must be finite"
        )
    smallest, largest = float(values.min()), float(values.max())
    if smallest < low or largest > high:
        raise InputError(
            f"{what} has values from {smallest:g} to {largest:g}; the input space is [{low:g}, {high:g}]. Nothing is "
            "clipped: scale the data, or declare its range"
        )
