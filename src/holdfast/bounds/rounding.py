"""How far float64 can be off: one bound for everything that is computed from a network's weights by sums of products.

Each computed number is a sum of products of weights, slopes in [0, 1], interval ends and inputs. In any order of the
additions, its error is at most gamma(N) times the sum of the absolute values of the products, where N is the number of
operations on the longest way from an input to it (Higham 2002, "Accuracy and Stability of Numerical Algorithms",
chapters 3 and 4), plus what underflows. One pass with absolute weights bounds both. See docs/bounds.md.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from holdfast.bounds.backward import float_errors
from holdfast.bounds.base import UNDECIDED
from holdfast.bounds.graph import Graph
from holdfast.bounds.layers import PlainNetwork
from holdfast.bounds.units import UNDERFLOW, UNIT, gamma

__all__ = ["UNDERFLOW", "UNIT", "Reach", "decided", "gamma", "operations", "reach"]

# Operations of a layer besides its sums: slopes, signs, differences, products with a slope.
_OTHERS = 16


class Reach(NamedTuple):
    """Bounds on the rounding of a network's outputs.

    Attributes:
        size: sums of absolute products `(batch, classes)`.
        carried: error of relaxations, carried through all layers after them `(batch, classes)`.
        gamma: largest relative error of a sum of products.
    """

    size: Tensor
    carried: Tensor
    gamma: float

    def of_difference(self, answers: Tensor) -> Tensor:
        """How far a bound on (logit of the answer - logit j) can be off, including the logits themselves.

        Args:
            answers: `(batch,)` classes.

        Returns:
            `(batch, classes)`, rounded up.
        """
        own = answers.unsqueeze(1)
        size = self.size + self.size.gather(1, own)
        carried = self.carried + self.carried.gather(1, own)
        return (carried + 2.0 * self.gamma * size) * (1.0 + 2.0**-20)

    def between_computations(self) -> Tensor:
        """How far two computations of the logits can be apart, `(batch, classes)`, rounded up."""
        return 2.0 * (self.carried + self.gamma * self.size) * (1.0 + 2.0**-20)


def operations(network: PlainNetwork) -> int:
    """An upper bound on the operations on any way from an input to a bound on an output."""
    spent = 0
    for layer, shape in zip(network.layers, network.shapes[1:], strict=True):
        spent += _OTHERS + shape.numel()
        if isinstance(layer, nn.Linear):
            spent += layer.in_features + layer.out_features
        elif isinstance(layer, nn.Conv2d):
            spent += layer.weight.numel()
    return spent + network.shapes[0].numel()


def reach(network: PlainNetwork | Graph, x: Tensor, epsilon: float | Tensor) -> Reach:
    """The rounding of bounds on the logits of a network, for inputs within `epsilon` (Linf) of `x`.

    Bounds through networks with branches subtract all rounding themselves: there, this is about the logits at `x`.

    Args:
        network: in float64.
        x: `(batch, *shape)`.
        epsilon: in input units, one or `(batch, 1, ...)`.
    """
    if isinstance(network, Graph):
        errors = float_errors(network, x)
        return Reach(torch.zeros_like(errors), errors, 0.0)
    factor = gamma(operations(network))
    size = x.abs() + epsilon
    carried = torch.zeros_like(size)
    # All values so far, and 1: a coefficient lost by underflow may belong to any of them.
    total = 1.0 + _sum(size)
    for layer in network.layers:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            size, carried = _absolute(layer, size, True), _absolute(layer, carried, False)
            total = total + _sum(size)
            carried = carried + UNDERFLOW * total.view(-1, *[1] * (size.ndim - 1))
        elif isinstance(layer, nn.Flatten):
            size, carried = size.flatten(1), carried.flatten(1)
        elif isinstance(layer, nn.Sigmoid):
            # Its slope is below 1, its values are in [0, 1], and torch is accurate to a few units in the last place.
            carried = carried + 2.0 * factor * size + 2.0**-46
            size = torch.ones_like(size)
        else:
            # A slope at most 1, and an offset that is an interval end; the interval itself may be off by as much.
            carried = 2.0 * carried + 2.0 * factor * size
            size = 2.0 * size
            total = total + _sum(size)
    return Reach(size, carried, factor)


def decided(rounding: Reach, logits: Tensor) -> Tensor:
    """The classes with the largest logits, or `UNDECIDED` if this rounding of them may have decided."""
    answers = logits.argmax(dim=1)
    own = logits.gather(1, answers.unsqueeze(1))
    ahead = own - logits > rounding.of_difference(answers)
    ahead.scatter_(1, answers.unsqueeze(1), True)
    return torch.where(ahead.all(dim=1), answers, UNDECIDED)


def _sum(values: Tensor) -> Tensor:
    return values.flatten(1).sum(dim=1)


def _absolute(layer: nn.Linear | nn.Conv2d, values: Tensor, biased: bool) -> Tensor:
    weight = layer.weight.abs()
    bias = layer.bias.abs() if biased and layer.bias is not None else None
    if isinstance(layer, nn.Linear):
        return nn.functional.linear(values, weight, bias)
    return nn.functional.conv2d(values, weight, bias, layer.stride, layer.padding)
