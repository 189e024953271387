"""The Lipschitz margin. Source: Tsuzuku, Sato & Sugiyama 2018, "Lipschitz-Margin Training: Scalable Certification of
Perturbation Invariance for Deep Neural Networks"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from holdfast.bounds.base import Bound, Classifier, Method
from holdfast.bounds.graph import Graph, graph
from holdfast.bounds.layers import PlainNetwork, plain
from holdfast.bounds.margins import MarginQuotient
from holdfast.bounds.nodes import Fixed, Scaled, Sum, Weighted
from holdfast.bounds.norms import nonnegative_norm, spectral_norm
from holdfast.bounds.rounding import UNDERFLOW, Reach, gamma
from holdfast.bounds.stages import SLOPES, Stage, constant, slope, stages
from holdfast.errors import UsageError
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.bounds.nodes import Operation

# In networks without branches, a convolution's matrix has no more entries.
_PLAIN_ENTRIES = 2**23
# More than is lost where errors are added up in float64.
_UP = 1.0 + 2.0**-20


@dataclass(frozen=True)
class Lipschitz(Bound):
    """The lead over each other class, divided by the most that it can change per unit of L2 length.

    That is the product of the stages' norms, and the sum over branches, with the difference of two rows instead of the
    last layer. The paper has sqrt(2) times the last layer's norm, which is never smaller.
    """

    name: ClassVar[str] = "lipschitz"
    norms = (Norm.L2,)
    source = "Tsuzuku et al. 2018"
    assumption = "The network is computed with its stored weights in exact arithmetic."

    def prepare(self, classifier: Classifier) -> Method:
        """Compute spectral norms, which takes seconds for wide layers.

        Networks without branches keep the norms that their runs were made with, so that these are proved again.
        """
        try:
            network = plain(classifier, (nn.ReLU, nn.Sigmoid))
        except UsageError:
            return LipschitzQuotient(graph(classifier))
        return MarginQuotient(network, _slopes(network))


def _slopes(network: PlainNetwork) -> Tensor:
    """The most that the lead of a class over another one can change per unit of L2 length, rounded up."""
    largest = 1.0
    for layer, shape in zip(network.hidden, network.shapes, strict=False):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            norm = spectral_norm(layer, shape, most_entries=_PLAIN_ENTRIES)
        else:
            norm = SLOPES.get(type(layer), 1.0)
        largest = _rounded_up(largest * norm)
    return _of_leads(largest, network.last.weight)


def _of_leads(largest: float, weight: Tensor) -> Tensor:
    """The same, for a bound on the change of what goes into the last layer, which has these weights."""
    apart: Tensor = torch.linalg.vector_norm(weight.unsqueeze(1) - weight.unsqueeze(0), dim=2)
    apart = apart * (1.0 + 4.0 * gamma(weight.shape[1] + 8)) + UNDERFLOW
    return largest * apart * (1.0 + 2.0**-50) + UNDERFLOW


class LipschitzQuotient(MarginQuotient):
    """The leads of a network divided by its Lipschitz constants.

    Args:
        network: in float64.
    """

    def __init__(self, network: Graph) -> None:
        self.graph = network
        self.stages, self.last = stages(network)
        with torch.no_grad():
            self.norms = {each.number: _norm(each) for each in self.stages if not isinstance(each.operation, Sum)}
            largest = constant(self.stages, lambda each: self.norms[each.number], 1.0, _rounded_up)
            share = 1.0 + 4.0 * gamma(self.last.in_features + 8)
            self.rows = torch.linalg.vector_norm(self.last.weight, dim=1) * share + UNDERFLOW
        super().__init__(network, _of_leads(largest, self.last.weight))

    def reach(self, x: Tensor) -> Reach:
        """How far the computed logits can be from exact ones.

        What is off before a stage is at most the stage's norm times as far off behind it. One pass with absolute
        weights, as for other bounds, would grow with each layer of a deep network until it exceeds all leads.
        """
        values = self.graph.values(x)
        off = {0: torch.zeros(len(x), dtype=x.dtype, device=x.device)}
        for stage in self.stages:
            before = [off[number] for number in stage.inputs]
            carried = before[0] + before[1] if len(before) > 1 else before[0] * self.norms[stage.number]
            own = _rounding(stage, [values[number] for number in stage.inputs])
            off[stage.number] = (carried + torch.linalg.vector_norm(own.flatten(1), dim=1)) * _UP + UNDERFLOW
        last = self.graph.nodes[-1]
        before_last = off[last.inputs[0]].unsqueeze(1) * self.rows
        errors = (before_last + _of_operation(last.operation, [values[last.inputs[0]]])) * _UP + UNDERFLOW
        return Reach(torch.zeros_like(errors), errors.nan_to_num(nan=math.inf), 0.0)


def _norm(stage: Stage) -> float:
    """An upper bound on the most that a stage with one input can lengthen a difference, in L2."""
    operation = stage.operation
    known = slope(operation)
    if known is not None:
        return known
    if isinstance(operation, Weighted):
        return spectral_norm(operation.layer, stage.shape, None if stage.scaled is None else stage.scaled.scale)
    if isinstance(operation, Scaled):
        return float(operation.scale.abs().max()) * (1.0 + gamma(64)) + UNDERFLOW
    assert isinstance(operation, Fixed)
    return nonnegative_norm(operation, stage.shape)


def _rounded_up(value: float) -> float:
    return value * (1.0 + 2.0**-50) + UNDERFLOW


def _rounding(stage: Stage, x: list[Tensor]) -> Tensor:
    """How far each output of a stage, computed from these inputs, may be from that in exact arithmetic."""
    own = _of_operation(stage.operation, x)
    if stage.scaled is None:
        return own
    between = stage.operation.forward(*x)
    return stage.scaled.stretch(own) * _UP + _of_operation(stage.scaled, [between])


def _of_operation(operation: Operation, x: list[Tensor]) -> Tensor:
    sizes = [each.abs() for each in x]
    count = operation.fan(sum(each[0].numel() for each in sizes))
    total = torch.stack([each.flatten(1).sum(dim=1) for each in sizes]).sum(dim=0)
    found = 4.0 * gamma(count) * (operation.stretch(*sizes) + operation.constant)
    return found + UNDERFLOW * (1.0 + total).view(-1, *[1] * (found.ndim - 1))
