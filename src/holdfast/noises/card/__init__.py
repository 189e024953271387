"""Random words on a CUDA card in one launch instead of hundreds, where Triton is there and gives the right ones."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

# The key and the counters with which it is tried: words with all bits.
_KEY = 2**64 - 3, 2**63 + 5
_LANE, _STREAM, _LOWER = 1, 2**64 - 1, 2**63
_TRIED = 1000
_STEP = 0x1234567812345671


class Philox(Protocol):
    """`draws.philox`, or what gives the same words."""

    def __call__(self, key: tuple[int, int], counter: tuple[Tensor, int, int, int]) -> Tensor:
        """Words `(num, 4)` for `(num,)` counters."""
        ...


def checked(whole: Philox, like: Tensor) -> Philox:
    """The function of `triton_words` if it is there and its words are those of `whole`, else `whole`, with a warning.

    Args:
        whole: by operations on tensors.
        like: an int64 tensor on the device.
    """
    if find_spec("triton") is None:
        return whole
    # Sums pass 2^63 and go on below zero, as unsigned ones would.
    counter = (like.new_full((_TRIED,), _STEP).cumsum(0), _LANE, _STREAM, _LOWER)
    try:
        from holdfast.noises.card.triton_words import philox

        found = philox(_KEY, counter)
    except Exception as error:
        # Compilers of kernels fail in many ways; tensors give the same words, slower.
        reason = f"it fails with {type(error).__name__}: {str(error).partition(chr(10))[0]}"
    else:
        if bool((found == whole(_KEY, counter)).all()):
            return philox
        reason = "its words are wrong"
    warnings.warn(
        f"random words come from torch instead of Triton, since {reason}; noise is the same, and slower",
        RuntimeWarning,
        stacklevel=2,
    )
    return whole
