"""Inputs as arrays, checked against the declared input space: an input outside is an error, never clipped."""

from __future__ import annotations

import hashlib
from collections import Counter
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from holdfast.errors import InputError, UsageError, first_line
from holdfast.plain import is_count, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from holdfast.noises.base import Shape
    from holdfast.types import Example

# Accepted types of tensors. float32 represents every bfloat16 and float16 exactly.
_DTYPES = (
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool),
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64),
)


def as_array(x: Any) -> NDArray[Any]:
    """Inputs `(batch, *event)` as an array of real numbers, from a tensor, an array, or nested lists of them.

    Raises:
        InputError: another type, complex or masked values, or a tensor without plain memory.
    """
    if isinstance(x, Tensor):
        dense = checked_tensor(x)
        # numpy has no bfloat16.
        return (dense.float() if dense.dtype is torch.bfloat16 else dense).numpy(force=True)
    if isinstance(x, list | tuple) and any(isinstance(part, Tensor | np.ndarray | list | tuple) for part in x):
        # One by one, since numpy would take the values behind a mask.
        parts = [as_array(part) for part in x]
        shapes = sorted({part.shape for part in parts})
        if len(shapes) > 1:
            raise InputError(f"inputs of one call have one shape; got {shapes[0]} and {shapes[1]} in one list")
        return np.stack(parts)
    if isinstance(x, np.ma.MaskedArray):
        hidden = int(np.ma.getmaskarray(x).sum())
        if hidden:
            raise InputError(
                f"the inputs are a masked array that hides {hidden} of {x.size} values, and the classifier would get "
                "what is behind the mask; fill them in with x.filled(VALUE)"
            )
        x = x.data
    try:
        array = np.asarray(x)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the inputs must be a tensor, an array or lists of numbers; got {type(x).__name__}, which numpy cannot "
            f"convert ({first_line(error)})"
        ) from error
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"the inputs must be a tensor or an array of real numbers, got {type(x).__name__} of {array.dtype}; "
            "convert it to float32 first"
        )
    return array


def checked_tensor(x: Tensor) -> Tensor:
    """`x`, if it has plain memory with real numbers.

    Raises:
        InputError: `x` is sparse, nested, quantized, complex, without memory, or of a type outside `_DTYPES`.
    """
    if x.is_meta:
        raise InputError("the inputs are a tensor on the meta device, which has no values; make it on another device")
    if x.is_quantized:
        raise InputError("the inputs are a quantized tensor; give its values, as x.dequantize() has them")
    if x.is_nested or x.layout is not torch.strided:
        how = "nested" if x.is_nested else str(x.layout).removeprefix("torch.")
        remedy = "give inputs of one shape, as torch.stack makes them" if x.is_nested else "give x.to_dense()"
        raise InputError(f"the inputs are a tensor laid out as {how}; {remedy}")
    if x.dtype not in _DTYPES:
        remedy = (
            "give x.real, or real and imaginary parts as features"
            if x.is_complex()
            else "convert it, as x.float() does"
        )
        raise InputError(f"the inputs must be a tensor of real numbers, got {x.dtype}; {remedy}")
    return x


def checked_range(input_range: Any) -> tuple[float, float]:
    """The smallest and the largest value that inputs may have, as Python numbers; infinite ones are no limit.

    Raises:
        UsageError: not two numbers, or the first is not below the second.
    """
    found = plain(input_range.tolist() if isinstance(input_range, Tensor | np.ndarray) else input_range)
    fits = isinstance(found, tuple | list) and len(found) == 2 and all(type(end) in (int, float) for end in found)
    # Written so that a NaN fails, and two infinite ends pass only as (-inf, inf).
    if not (fits and found[0] < found[1]):
        raise UsageError(
            "the input range is two numbers, the smallest and the largest value that an input may have, (0.0, 1.0) "
            f"say, or (-inf, inf) for inputs without a range; got {input_range!r}"
        )
    return found[0], found[1]


def checked_shape(shape: Any) -> tuple[int, ...]:
    """The shape of one input, as Python numbers.

    Raises:
        UsageError: neither (channels, height, width) nor (features,).
    """
    found = plain(shape)
    if not (isinstance(found, tuple | list) and len(found) in (1, 3) and all(is_count(size) for size in found)):
        raise UsageError(
            f"the shape of an input is (channels, height, width) or (features,), whole numbers from 1 on; got {shape!r}"
        )
    return tuple(found)


def checked_example(example: Example, shape: Shape, low: float, high: float) -> Example:
    """`example` itself, if it lies in the declared input space.

    Raises:
        InputError: another shape, or a value that is not finite or outside [low, high]; names the example.
    """
    if example.x.shape != shape:
        raise InputError(f"example {example.index} has shape {example.x.shape}; the input space has shape {shape}")
    check_values(f"example {example.index}", example.x, low, high)
    return example


def content_keys(inputs: Sequence[NDArray[np.float32]]) -> list[int]:
    """Keys for the noise of inputs without indices: made from their content, so that every call has the same noise.

    Each key has 128 bits. The highest is 1, as in no index. The others come from the SHA-256 of the shape, the values,
    and how often the same input came before in this call: repetitions of an input have independent noise.
    """
    before: Counter[bytes] = Counter()
    keys = []
    for x in inputs:
        # Little endian, and without negative zeros, so that equal inputs have equal content. NaN is refused elsewhere.
        with np.errstate(invalid="ignore"):
            values = np.ascontiguousarray(x + np.float32(0.0), dtype="<f4")
        hashed = hashlib.sha256(str(values.shape).encode())
        hashed.update(values.data)
        content = hashed.digest()
        digest = hashlib.sha256(content + before[content].to_bytes(8, "little")).digest()
        before[content] += 1
        keys.append(int.from_bytes(digest[:16], "little") | 2**127)
    return keys


def checked_indices(indices: Sequence[int] | None, count: int) -> list[int]:
    """The indices of `count` inputs: those given, or 0, 1, 2, ...

    Raises:
        UsageError: another number of them, one that is not a whole number from 0 to 2^63 - 1, or one twice; or a set or
            another type without an order.
    """
    if indices is None:
        return list(range(count))
    wrong = f"indices are whole numbers in a sequence, one for each input; got {indices!r}"
    if isinstance(indices, str | bytes | bytearray | set | frozenset | dict):
        raise UsageError(wrong)
    try:
        given = list(indices)
        found = [index(each) for each in given]
    except TypeError as error:
        raise UsageError(wrong) from error
    if any(isinstance(each, bool) or (isinstance(each, Tensor) and each.dtype is torch.bool) for each in given):
        raise UsageError(wrong)
    if len(found) != count:
        raise UsageError(f"there are {count} inputs and {len(found)} indices; give one for each input")
    outside = [each for each in found if not 0 <= each < 2**63]
    if outside:
        raise UsageError(f"an index is a whole number from 0 to 2^63 - 1, got {outside[0]}")
    if len(set(found)) < count:
        twice = next(each for each in found if found.count(each) > 1)
        raise UsageError(f"index {twice} occurs twice: two inputs would have the same noise. Give each its own")
    return found


def check_values(what: str, values: NDArray[np.floating], low: float, high: float) -> None:
    """Raise InputError, beginning with `what`, unless all values are finite and in [low, high]."""
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
