"""The exact margin of a linear classifier: the distance to its nearest decision boundary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from holdfast.bounds.base import DUAL_ORDERS, Bound, Classifier, Method, check_norm
from holdfast.bounds.layers import PlainNetwork, plain
from holdfast.bounds.margins import MarginQuotient
from holdfast.bounds.rounding import UNDERFLOW, gamma, operations
from holdfast.errors import UsageError
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Linear(Bound):
    """The distance of an input to the nearest input with another answer of a linear classifier, rounded down.

    By Hoelder's inequality it is the smallest (z_y - z_j) / |w_y - w_j|, in the dual norm, over the other classes j.

    Args:
        norm: "l2", "linf" or "l1".
    """

    name: ClassVar[str] = "linear"
    norms = (Norm.L2, Norm.LINF, Norm.L1)
    source = "Hoelder's inequality"
    assumption = "The classifier is an affine function for each class, with its stored weights, in exact arithmetic."
    norm: str = "l2"

    def __post_init__(self) -> None:
        check_norm(self, self.norm)

    def prepare(self, classifier: Classifier) -> Method:
        """Extract the one fully connected layer, with the normalization merged into it."""
        network = plain(classifier)
        before = [layer for layer in network.hidden if not isinstance(layer, nn.Flatten)]
        weight: Tensor = network.last.weight
        bias = network.last.bias
        if bias is None or any(not _diagonal(layer) for layer in before) or len(before) > 1:
            raise UsageError(
                "the bound 'linear' takes classifiers of one fully connected layer with a bias, such as fc without "
                f"hidden layers, got {network.layers}"
            )
        if before:
            scale = _expanded(before[0], network.shapes)
            weight = weight * scale
        return MarginQuotient(network, _lengths(network, weight, DUAL_ORDERS[self.norm]))


def _diagonal(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d) and layer.in_channels == layer.out_channels:
        if layer.kernel_size != (1, 1) or layer.stride != (1, 1) or layer.padding != (0, 0):
            return False
        weight = layer.weight[:, :, 0, 0]
    elif isinstance(layer, nn.Linear) and layer.in_features == layer.out_features:
        weight = layer.weight
    else:
        return False
    return bool((weight == torch.diag(weight.diagonal())).all())


def _expanded(layer: nn.Module, shapes: tuple[torch.Size, ...]) -> Tensor:
    """The factor of each feature of an input."""
    if isinstance(layer, nn.Conv2d):
        channels: Tensor = layer.weight[:, :, 0, 0].diagonal()
        return channels.view(-1, 1, 1).expand(shapes[0]).flatten()
    assert isinstance(layer, nn.Linear)
    return layer.weight.diagonal()


def _lengths(network: PlainNetwork, weight: Tensor, order: float) -> Tensor:
    """Lengths of the differences of any two classes' weights, rounded up: sums of differences and products."""
    between = weight.unsqueeze(1) - weight.unsqueeze(0)
    lengths: Tensor = torch.linalg.vector_norm(between, order, dim=2)
    longest = float(torch.linalg.vector_norm(weight, order, dim=1).max())
    return lengths + 4.0 * gamma(operations(network)) * longest + UNDERFLOW
