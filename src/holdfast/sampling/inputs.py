"""The declared input space: an input outside of it is an error, never clipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from holdfast.errors import InputError

if TYPE_CHECKING:
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
