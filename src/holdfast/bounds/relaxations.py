"""Lines below and above ReLU, sigmoid, tanh and the largest value of a window, on given intervals.

Sources: Zhang, Weng, Chen, Hsieh & Daniel 2018, "Efficient Neural Network Robustness Certification with General
Activation Functions" (CROWN), for ReLU, sigmoid and tanh; Wong & Kolter 2018 for parallel lines. Derivations, also of
the lines for windows and of the errors, are in docs/bounds.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

# Halvings that find where a tangent touches; the last digits do not matter for soundness.
_HALVINGS = 40
# Narrower intervals get constants.
_NARROW = 1e-12
# torch computes sigmoid and tanh to a few units in the last place; this is hundreds of them.
_INACCURACY = 2.0**-44
_UNIT = 2.0**-53


class Lines(NamedTuple):
    """low_slope z + low_offset <= f(z) <= high_slope z + high_offset, up to `error`; all of one shape."""

    low_slope: Tensor
    low_offset: Tensor
    high_slope: Tensor
    high_offset: Tensor
    error: Tensor


class SShaped(NamedTuple):
    """An increasing function, convex below 0 and concave above, with slopes in [0, 1]."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]


S_SHAPED = {
    nn.Sigmoid: SShaped(torch.sigmoid, lambda z: torch.sigmoid(z) * torch.sigmoid(-z)),
    nn.Tanh: SShaped(torch.tanh, lambda z: (1.0 - torch.tanh(z)) * (1.0 + torch.tanh(z))),
}


def relu_lines(low: Tensor, high: Tensor, adaptive: bool) -> Lines:
    """Lines around ReLU.

    Args:
        low: lower ends.
        high: upper ends.
        adaptive: below, whichever of 0 and z leaves the smaller area (CROWN); else parallel to the line above.
    """
    below, above = low.clamp_max(0.0), high.clamp_min(0.0)
    # A narrower divisor has no effect on undecided units, and the gradients of decided ones stay finite.
    slope = above / (above - below).clamp_min(max(1e-300, torch.finfo(low.dtype).tiny))
    # Decided units: the identity, or 0.
    slope = torch.where(low >= 0.0, 1.0, torch.where(high <= 0.0, 0.0, slope))
    larger = ((low >= 0.0) | ((high > 0.0) & (high >= -low))).to(low.dtype)
    under = larger if adaptive else slope
    nothing = torch.zeros_like(low)
    offset = torch.where((low < 0.0) & (high > 0.0), -slope * below, nothing)
    return Lines(under, nothing, slope, offset, 16.0 * _UNIT * torch.maximum(low.abs(), high.abs()))


def s_shaped_lines(kind: type[nn.Module], low: Tensor, high: Tensor) -> Lines:
    """Lines around sigmoid or tanh."""
    function = S_SHAPED[kind]
    high_slope, high_offset = _above(function, low, high)
    # f(-z) is a constant minus f(z): a line below f on [low, high] is one above its mirror image on [-high, -low].
    low_slope, mirrored = _above(_mirrored(function), -high, -low)
    error = _INACCURACY * (1.0 + torch.maximum(low.abs(), high.abs()))
    return Lines(low_slope, -mirrored, high_slope, high_offset, error)


def _mirrored(function: SShaped) -> SShaped:
    """The function z -> -f(-z), which is S-shaped, too."""
    return SShaped(lambda z: -function.value(-z), lambda z: function.slope(-z))


def _above(function: SShaped, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and offset of a line above an S-shaped function: a chord, a tangent, or a constant if it is narrow."""
    at_low, at_high = function.value(low), function.value(high)
    width = high - low
    chord = ((at_high - at_low) / width.clamp_min(_NARROW)).clamp(0.0, 1.0)
    # The tangent at `high` lies below the function at `low`: then the chord lies above it everywhere.
    chorded = (high <= 0.0) | (at_high - function.slope(high) * width <= at_low)
    touched = _touching(function, low, high, at_low)
    tangent = function.slope(touched)
    slope = torch.where(chorded, chord, tangent)
    offset = torch.where(chorded, at_low - chord * low, function.value(touched) - tangent * touched)
    narrow = width < _NARROW
    return torch.where(narrow, 0.0, slope), torch.where(narrow, at_high, offset)


def _touching(function: SShaped, low: Tensor, high: Tensor, at_low: Tensor) -> Tensor:
    """Where the tangent touches: the middle of a concave piece, else the first point whose tangent clears `low`."""
    under, over = torch.zeros_like(high), high.clamp_min(0.0)
    for _ in range(_HALVINGS):
        middle = (under + over) / 2
        clears = function.value(middle) + function.slope(middle) * (low - middle) >= at_low
        over, under = torch.where(clears, middle, over), torch.where(clears, under, middle)
    # Tangents further right lie above, too, and are closer to the function there.
    return torch.maximum(over, torch.where(low >= 0.0, (low + high) / 2, over))


class WindowLines(NamedTuple):
    """Bounds of the largest value of each window: slopes `(batch, channels, values, windows)`, else without values."""

    low_slope: Tensor
    high_slope: Tensor
    high_offset: Tensor
    error: Tensor


def window_lines(low: Tensor, high: Tensor) -> WindowLines:
    """Bounds of the largest of several values.

    Below: the value with the largest lower end l. Above: the largest upper end, or l plus the sum of the chords of
    relu(z_i - l), whichever is smaller in the middle of the intervals.

    Args:
        low: lower ends `(batch, channels, values, windows)`.
        high: upper ends.
    """
    most, where = low.max(dim=2, keepdim=True)
    low_slope = torch.zeros_like(low).scatter_(2, where, 1.0)
    over = (high - most).clamp_min(0.0)
    width = high - low
    slope = torch.where(width > 0.0, over / width.clamp_min(1e-300), 0.0).clamp_max(1.0)
    slope = torch.where((low >= most) & (width > 0.0), 1.0, slope)
    summed = most.squeeze(2) - (slope * low).sum(dim=2)
    best = high.amax(dim=2)
    constant = over.sum(dim=2) / 2 > best - most.squeeze(2)
    high_slope = torch.where(constant.unsqueeze(2), 0.0, slope)
    sizes = torch.maximum(low.abs(), high.abs()).sum(dim=2)
    error = 16.0 * (low.shape[2] + 4) * _UNIT * sizes
    return WindowLines(low_slope, high_slope, torch.where(constant, best, summed), error)
