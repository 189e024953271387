"""Fully connected networks, with no hidden layer or several. Source: Szegedy et al. 2014, "Intriguing properties of
neural networks" (FC10, FC100-100-10, FC200-200-10); Wong & Kolter 2018 for features."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture, widths_of

# Those that Hajri 2021 (lecture) names for perceptrons.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}


@architecture("fc")
def fully_connected(
    shape: Shape, num_classes: int, *, widths: float | Sequence[float] = (), activation: str = "relu"
) -> nn.Module:
    """Fully connected layers; without hidden ones, a linear classifier.

    Args:
        shape: any.
        num_classes: number of logits.
        widths: units of the hidden layers, from the input on, as in 100/100; none for a linear classifier.
        activation: between the layers, "relu", "sigmoid", "tanh" or "identity", which leaves a linear classifier.

    Raises:
        UsageError: `widths` has something other than positive whole numbers, or the activation is not known.
    """
    check_activation("fc", activation)
    layers: list[nn.Module] = [nn.Flatten()]
    incoming = math.prod(shape)
    for width in widths_of("fc", widths):
        layers += [nn.Linear(incoming, width), ACTIVATIONS[activation]()]
        incoming = width
    return nn.Sequential(*layers, nn.Linear(incoming, num_classes))


def check_activation(name: str, activation: str) -> None:
    """Raise UsageError unless the activation of architecture `name` is known."""
    if activation not in ACTIVATIONS:
        raise UsageError(f"argument activation of {name} is one of {', '.join(ACTIVATIONS)}, got {activation!r}")
