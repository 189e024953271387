"""A multilayer perceptron for small inputs of any shape."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from holdfast.models.architectures.base import Shape, architecture, widths_of


@architecture("digits-mlp")
def digits_mlp(shape: Shape, num_classes: int, *, widths: float | Sequence[float] = (256, 128)) -> nn.Module:
    """Fully connected layers with ReLU between them.

    Args:
        shape: any.
        num_classes: number of logits.
        widths: units of the hidden layers, from the input on; one number for one layer.

    Raises:
        UsageError: `widths` has something other than positive whole numbers.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    incoming = math.prod(shape)
    for width in widths_of("digits-mlp", widths):
        layers += [nn.Linear(incoming, width), nn.ReLU()]
        incoming = width
    return nn.Sequential(*layers, nn.Linear(incoming, num_classes))
