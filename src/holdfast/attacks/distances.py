"""Distances between an adversarial and its input, and how to bring it back within a budget."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from holdfast.errors import UsageError
from holdfast.plain import is_real, plain
from holdfast.types import Norm

# An excess over the budget of at most this share of it is float32 rounding, and is removed.
_ROUNDING = 1e-4


def distance(x: Tensor, other: Tensor, norm: Norm) -> float:
    """The distance between two inputs `(*event)` of the same shape, computed in float64.

    Args:
        x: an input.
        other: another input.
        norm: L0 counts pixels; all channels of a pixel count as one, and features of tabular data are pixels.
    """
    difference = other.detach().double() - x.detach().double()
    if norm is Norm.L0:
        return float(int(changed_pixels(x, other).sum()))
    if norm is Norm.L2:
        return float(torch.linalg.vector_norm(difference))
    if norm is Norm.LINF:
        return float(difference.abs().max())
    raise UsageError(f"the norm of an attack must be L0, L2 or Linf, got {norm.value}")


def changed_pixels(x: Tensor, other: Tensor) -> Tensor:
    """A bool tensor `(height, width)` or `(features,)`: the pixels in which any channel differs."""
    differs = x != other
    return differs.any(dim=0) if x.ndim == 3 else differs


def within(x: Tensor, other: Tensor, norm: Norm, budget: float) -> Tensor | None:
    """`other` if it is within `budget` of `x`, moved by no more than rounding; None if it is further off."""
    found = distance(x, other, norm)
    if found <= budget:
        return other
    if norm is Norm.L0 or not found <= budget * (1.0 + _ROUNDING):
        return None
    # Remove twice the excess, so that rounding cannot put the result outside again.
    share = max(0.0, 1.0 - 2.0 * (found - budget) / found - 2.0**-22)
    shrunk = x + share * (other - x)
    return shrunk if distance(x, shrunk, norm) <= budget else None


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
    if norm is Norm.L0 and budget != math.inf and budget != int(budget):
        raise UsageError(f"an L0 budget must be a whole number of pixels, got {budget!r}")
    return float(budget)
