"""A cheaper bound for provable training: hidden layers by intervals, and the margins by the dual of the polytope.

It costs as much as one copy of an image per class; the bound `convex` costs one per input value and undecided unit.
Certificates never use it: it is in float32, and its rounding is not subtracted. Source: Zhang, Chen, Xiao, Gowal,
Stanforth, Li, Boning & Hsieh 2020, "Towards Stable and Efficient Training of Verifiably Robust Neural Networks"
(CROWN-IBP), with the slopes of Wong & Kolter 2018; for intervals Gowal et al. 2018.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, linear

if TYPE_CHECKING:
    from holdfast.bounds.layers import PlainNetwork


def interval_margins(
    network: PlainNetwork, x: Tensor, labels: Tensor, epsilon: float, limits: tuple[float, float] | None
) -> Tensor:
    """Lower bounds on (logit of the label - logit j) for all inputs within `epsilon` (Linf) of `x`, before rounding.

    Args:
        network: its layers are affine, ReLU or flattening.
        x: `(batch, *shape)`, in the precision of the layers.
        labels: `(batch,)`.
        epsilon: in input units, above 0.
        limits: smallest and largest value of the changed inputs that count; None for all inputs.

    Returns:
        `(batch, classes)`; 0 for the label itself.
    """
    low, high = x - epsilon, x + epsilon
    if limits is not None:
        low, high = low.clamp_min(limits[0]), high.clamp_max(limits[1])
    middle, spread = (low + high) / 2, (high - low) / 2
    seen = _intervals(network, middle, spread)
    classes = torch.eye(network.last.out_features, dtype=x.dtype, device=x.device)
    weights = classes[labels].unsqueeze(1) - classes
    offset = weights.new_zeros(weights.shape[:2])
    shapes = network.shapes[:-1]
    for layer, shape, interval in zip(reversed(network.layers), reversed(shapes), reversed(seen), strict=True):
        if isinstance(layer, nn.ReLU):
            weights, lost = _through_relu(weights, *interval)
            offset = offset + lost
        elif isinstance(layer, nn.Linear | nn.Conv2d):
            offset = offset + _of_bias(weights, layer)
            weights = _transposed(weights, layer)
        else:
            weights = weights.reshape(*weights.shape[:2], *shape)
    flat = weights.flatten(2)
    at_middle, around = flat @ middle.flatten(1).unsqueeze(2), flat.abs() @ spread.flatten(1).unsqueeze(2)
    return offset + (at_middle - around).squeeze(2)


def _intervals(network: PlainNetwork, middle: Tensor, spread: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The lower and upper ends of the values before each layer."""
    seen = []
    for layer in network.layers:
        low, high = middle - spread, middle + spread
        seen.append((low, high))
        if isinstance(layer, nn.Linear):
            middle, spread = layer(middle), linear(spread, layer.weight.abs())
        elif isinstance(layer, nn.Conv2d):
            weight = layer.weight.abs()
            middle, spread = layer(middle), conv2d(spread, weight, None, layer.stride, layer.padding)
        elif isinstance(layer, nn.ReLU):
            low, high = low.relu(), high.relu()
            middle, spread = (low + high) / 2, (high - low) / 2
        else:
            middle, spread = layer(middle), layer(spread)
    return seen


def _through_relu(weights: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of the values before a ReLU layer, from those after it, and what its relaxation subtracts."""
    below, above = low.clamp_max(0.0), high.clamp_min(0.0)
    # 1 if both ends are above 0, 0 if both are below.
    slope = above / (above - below).clamp_min(1e-12)
    slope = torch.where(low >= 0.0, torch.ones_like(slope), slope)
    weights = slope.unsqueeze(1) * weights
    return weights, -(weights.clamp_max(0.0) * below.unsqueeze(1)).flatten(2).sum(dim=2)


def _of_bias(weights: Tensor, layer: nn.Linear | nn.Conv2d) -> Tensor | float:
    if layer.bias is None:
        return 0.0
    each = weights if isinstance(layer, nn.Linear) else weights.sum(dim=(3, 4))
    return each @ layer.bias


def _transposed(weights: Tensor, layer: nn.Linear | nn.Conv2d) -> Tensor:
    if isinstance(layer, nn.Linear):
        return weights @ layer.weight
    pads = [int(pad) for pad in layer.padding]
    flat = conv_transpose2d(weights.flatten(0, 1), layer.weight, None, layer.stride, pads)
    return flat.reshape(*weights.shape[:2], *flat.shape[1:])
