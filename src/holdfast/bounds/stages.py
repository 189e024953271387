"""How much each value of a network can change per unit of L2 length of a change of the input.

A network is taken apart into stages: one operation each, except that a layer and the scaling of its output channels,
as by a batch normalization, are one. The norms of the stages are the caller's: rounded up for certificates, estimated
with gradients for training. What is composed of them is the same. Derivation: docs/bounds.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from holdfast.bounds.nodes import Activation, MaxPool, Operation, Scaled, Sum, Weighted
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.bounds.graph import Graph

Norm = TypeVar("Norm", float, Tensor)
# The largest slope of each activation.
SLOPES: dict[type[nn.Module], float] = {nn.ReLU: 1.0, nn.Sigmoid: 0.25, nn.Tanh: 1.0}


@dataclass(frozen=True, eq=False)
class Stage:
    """One operation, or a layer with the scaling of its output channels.

    Attributes:
        number: of the value that it gives, as in the graph.
        inputs: numbers of the values that it takes.
        shape: of the first of them.
        operation: that takes them.
        scaled: what scales its output; None for nothing.
    """

    number: int
    inputs: tuple[int, ...]
    shape: torch.Size
    operation: Operation
    scaled: Scaled | None = None


def stages(graph: Graph) -> tuple[list[Stage], nn.Linear]:
    """The stages before the last layer, in the order of their computation, and that layer.

    Raises:
        UsageError: the last operation is no fully connected layer.
    """
    last = graph.nodes[-1]
    if not (isinstance(last.operation, Weighted) and isinstance(last.operation.layer, nn.Linear)):
        raise UsageError(
            "this bound takes networks whose last layer is fully connected with one output for each class, such as fc, "
            "wong-small or wide-resnet"
        )
    needed, found = set(last.inputs), []
    for number in range(len(graph.nodes) - 1, 0, -1):
        if number not in needed:
            continue
        node = graph.nodes[number - 1]
        scaled: Scaled | None = None
        if isinstance(node.operation, Scaled) and node.inputs[0]:
            before = graph.nodes[node.inputs[0] - 1]
            if isinstance(before.operation, Weighted):
                scaled, node = node.operation, before
        found.append(Stage(number, node.inputs, graph.shapes[node.inputs[0]], node.operation, scaled))
        needed.update(node.inputs)
    return found[::-1], last.operation.layer


def constant(parts: list[Stage], norm: Callable[[Stage], Norm], one: Norm, up: Callable[[Norm], Norm]) -> Norm:
    """How much what goes into the last layer can change per unit of L2 length of a change of the input.

    Args:
        parts: the stages; the last one gives what goes into the last layer.
        norm: of a stage with one input.
        one: that of the input itself.
        up: applied to each sum and product, to round it up.
    """
    known, last = {0: one}, 0
    for stage in parts:
        if isinstance(stage.operation, Sum):
            known[stage.number] = up(known[stage.inputs[0]] + known[stage.inputs[1]])
        else:
            known[stage.number] = up(known[stage.inputs[0]] * norm(stage))
        last = stage.number
    return known[last]


def slope(operation: Operation) -> float | None:
    """The most that an activation or a max pooling can lengthen a difference in L2, rounded up; None for others.

    A max pooling changes each output by no more than the length of the change in its window, and no input lies in more
    windows than fit around it.
    """
    if isinstance(operation, Activation):
        return SLOPES[operation.kind]
    if isinstance(operation, MaxPool):
        windows = [-(-size // step) for size, step in zip(operation.kernel, operation.stride, strict=True)]
        return math.sqrt(windows[0] * windows[1]) * (1.0 + 2.0**-50)
    return None
