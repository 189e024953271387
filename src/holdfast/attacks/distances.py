"""How far an adversarial is from its input, in the adversary's norm, and how to bring it back within a budget."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from holdfast.errors import UsageError
from holdfast.plain import is_real, plain
from holdfast.types import Norm

# What exceeds a budget by no more than this share of it is rounding in float32, and is taken back.
_ROUNDING = 1e-4


def distance(x: Tensor, other: Tensor, norm: Norm) -> float:
    """The distance of two inputs `(*event)` of the same shape, computed in float64.

    Args:
        x: an input.
        other: another one.
        norm: L0 counts pixels, of which all channels are one (features of tabular data are pixels).
    """
    difference = other.detach().double() - x.detach().double()
    if norm is Norm.L0:
        return float(int(changed_pixels(x, other).sum()))
    if norm is Norm.L2:
        return float(torch.linalg.vector_norm(difference))
    if norm is Norm.LINF:
        return float(difference.abs().max())
    raise UsageError(f"attacks are measured in L0, L2 or Linf, got {norm.value}")


def changed_pixels(x: Tensor, other: Tensor) -> Tensor:
    """A bool tensor `(height, width)` or `(features,)`: the pixels in which any channel differs."""
    differs = x != other
    return differs.any(dim=0) if x.ndim == 3 else differs


def within(x: Tensor, other: Tensor, norm: Norm, budget: float) -> Tensor | None:
    """`other` if it is within `budget` of `x`, moved by no more than rounding if need be; None if it is further off."""
    found = distance(x, other, norm)
    if found <= budget:
        return other
    if norm is Norm.L0 or not found <= budget * (1.0 + _ROUNDING):
        return None
    # Twice the excess, so that the rounding of the result cannot put it outside again.
    share = max(0.0, 1.0 - 2.0 * (found - budget) / found - 2.0**-22)
    shrunk = x + share * (other - x)
    return shrunk if distance(x, shrunk, norm) <= budget else None


def check_budget(norm: Norm, budget: float) -> float:
    """`budget` if an attack in this norm can have it; infinity for none.

    Raises:
        UsageError: zero, negative, NaN, or less than one pixel.
    """
    budget = plain(budget)
    if not ((is_real(budget) or budget == math.inf) and budget > 0):
        raise UsageError(
            f"the budget of an attack is a number above 0 in {norm.unit}, got {budget!r}: with no change allowed there "
            "is nothing to search. The answer for unchanged inputs is what `holdfast predict` shows"
        )
    if norm is Norm.L0 and budget != math.inf and budget != int(budget):
        raise UsageError(f"an L0 budget is a whole number of pixels, got {budget!r}")
    return float(budget)
