"""Runs of the bound `double-masking`: the side of the patch that the promised masks hide, wherever it lies."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.verification.manifest import Manifest

NAME = "double-masking"
_AXES = 3


def certified_side(manifest: Manifest) -> Fraction:
    """The radius of every certificate of the run.

    Raises:
        ValueError: the model has no masks, or a patch of this side does not lie within any of them.
    """
    settings = manifest.entries["model"].get("double_masking")
    if settings is None:
        raise ValueError("the bound is about two rounds of masks, and the model of the manifest is not behind any")
    side, masks = settings["patch"], settings["masks"]
    if len(manifest.shape) != _AXES or side > min(manifest.shape[1:]):
        raise ValueError(f"there is no patch of {side} x {side} in inputs of shape {manifest.shape}")
    for length in manifest.shape[1:]:
        if not _all_hidden(length, side, masks):
            raise ValueError(f"some patch over {side} of {length} pixels is not within any of {masks} masks")
    return Fraction(side)


@lru_cache
def _all_hidden(length: int, side: int, masks: int) -> bool:
    """Whether all runs of `side` pixels of a ring of `length` are within one of the masks, each by itself."""
    step = next(step for step in range(1, length + 1) if step * masks >= length)
    hidden = [_run(begin, side + step - 1, length) for begin in range(0, length, step)]
    patches = [_run(begin, side, length) for begin in range(length)]
    return len(hidden) <= masks and all(any(patch <= mask for mask in hidden) for patch in patches)


def _run(begin: int, count: int, length: int) -> frozenset[int]:
    return frozenset(pixel % length for pixel in range(begin, begin + count))
