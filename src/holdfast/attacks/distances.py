"""Distances between an adversarial and its input, and how to bring it back within a budget."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from holdfast.errors import UsageError
from holdfast.plain import is_real, plain
from holdfast.types import Norm

# An excess over the budget of at most this share of it is float32 rounding, and is removed; and so is one of at most
# this share of the input, which matters for small budgets.
_ROUNDING, _UNIT = 1e-4, 2.0**-23
_DOUBLINGS = 12
_AXES_OF_A_PATCH = 2


def distance(x: Tensor, other: Tensor, norm: Norm) -> float:
    """The distance between two inputs `(*event)` of the same shape, computed in float64.

    Args:
        x: an input.
        other: another input.
        norm: L0 counts pixels; all channels of a pixel count as one, and features of tabular data are pixels. That of a
            patch is its side (`patch_side`).
    """
    difference = other.detach().double() - x.detach().double()
    if norm is Norm.L0:
        return float(int(changed_pixels(x, other).sum()))
    if norm is Norm.L1:
        return float(difference.abs().sum())
    if norm is Norm.L2:
        return float(torch.linalg.vector_norm(difference))
    if norm is Norm.PATCH:
        return float(patch_side(x, other))
    return float(difference.abs().max())


def changed_pixels(x: Tensor, other: Tensor) -> Tensor:
    """A bool tensor `(height, width)`, `(features,)` and the like: the pixels in which any channel differs."""
    differs = x != other
    return differs.any(dim=0) if x.ndim > 1 else differs


def patch_side(x: Tensor, other: Tensor) -> int:
    """The side of the smallest square that holds all pixels in which two images `(channels, height, width)` differ.

    The square may reach beyond an edge and go on at the opposite one.

    Raises:
        UsageError: the inputs are no images.
    """
    differs = changed_pixels(x, other)
    if differs.ndim != _AXES_OF_A_PATCH:
        raise UsageError(f"patches are of images (channels, height, width), got inputs of shape {tuple(x.shape)}")
    return max(_covered(differs.any(dim=1).tolist()), _covered(differs.any(dim=0).tolist()))


def _covered(marked: list[bool]) -> int:
    """The length of the shortest arc of a circle of places that holds all marked ones."""
    places = [place for place, here in enumerate(marked) if here]
    if not places:
        return 0
    following = [*places[1:], places[0] + len(marked)]
    # All places but the longest gap between two that follow each other.
    return len(marked) - max(after - before - 1 for before, after in zip(places, following, strict=True))


def within(x: Tensor, other: Tensor, norm: Norm, budget: float) -> Tensor | None:
    """`other` if it is within `budget` of `x`, moved by no more than rounding; None if it is further off."""
    found = distance(x, other, norm)
    if found <= budget:
        return other
    if norm.whole or not found <= budget * (1.0 + _ROUNDING) + _UNIT * distance(torch.zeros_like(x), other, norm):
        return None
    # Remove twice the excess, and more as long as rounding puts the result outside again.
    excess = (found - budget) / found + 2.0**-23
    for doublings in range(1, 2 if norm is Norm.LINF else _DOUBLINGS):
        shrunk = x + max(0.0, 1.0 - 2.0**doublings * excess) * (other - x)
        if distance(x, shrunk, norm) <= budget:
            return shrunk
    return _clamped(x, other, budget) if norm is Norm.LINF else None


def _clamped(x: Tensor, other: Tensor, budget: float) -> Tensor:
    """The nearest values to `other` that are within `budget` of `x`, each by itself.

    To shrink the whole change does not suffice: in a photograph some value is nearly always rounded out again.
    """
    center = x.detach().double()
    high, low = (center + budget).to(other.dtype), (center - budget).to(other.dtype)
    # Rounding to the dtype went the wrong way for about half of the values.
    high = torch.where(high.double() - center > budget, high.nextafter(high.new_full((), -math.inf)), high)
    low = torch.where(center - low.double() > budget, low.nextafter(low.new_full((), math.inf)), low)
    return torch.minimum(torch.maximum(other, low), high)


def check_budget(norm: Norm, budget: float) -> float:
    """`budget` as a float, if it is valid for this norm; infinity means no budget.

    Raises:
        UsageError: it is zero, negative or NaN, or not a whole number of pixels.
    """
    budget = plain(budget)
    if not ((is_real(budget) or budget == math.inf) and budget > 0):
        raise UsageError(
            f"the budget of an attack must be a number above 0 in {norm.unit}, got {budget!r}: with no change allowed "
            "there is nothing to search. `holdfast predict` shows the answers for unchanged inputs"
        )
    if norm.whole and budget != math.inf and budget != int(budget):
        raise UsageError(f"a budget in {norm.value} must be a whole number of pixels, got {budget!r}")
    return float(budget)
