"""Bounds for provable training, through which gradients reach the weights of a network with branches.

Certificates never use them: they are in float32, their rounding is not subtracted, and projections only estimate.

Sources: Wong, Schmidt, Metzen & Kolter 2018, "Scaling Provable Adversarial Defenses", for skip connections and random
projections; Gowal et al. 2018, "On the Effectiveness of Interval Bound Propagation for Training Verifiably Robust
Models"; Zhang, Chen, Xiao, Gowal, Stanforth, Li, Boning & Hsieh 2020, "Towards Stable and Efficient Training of
Verifiably Robust Neural Networks" (CROWN-IBP), with the slopes of Wong & Kolter 2018.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from holdfast.bounds.graph import Graph, graph
from holdfast.bounds.nodes import Activation, Box, MaxPool
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.bounds.backward import Ball
    from holdfast.bounds.base import Classifier
    from holdfast.bounds.nodes import Operation

# Exact bounds follow one change of each input value and of each unit; so many are still feasible.
_MOST_ROWS = 5_000


def trainable(classifier: Classifier) -> Graph:
    """The operations of a ReLU network, with its own weights.

    Raises:
        UsageError: an operation that is not known, or batch normalization, whose statistics change with each step.
    """
    for part in classifier.module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            raise UsageError(
                "provable training takes networks without batch normalization, whose outputs depend on the whole "
                f"minibatch while it trains, got {part}; wong-resnet has residual blocks without it"
            )
    return graph(classifier, (nn.ReLU,), dtype=None)


def interval_boxes(network: Graph, ball: Ball) -> list[Box]:
    """Intervals of all values by intervals alone."""
    boxes = [ball.box]
    for node in network.nodes:
        boxes.append(node.operation.box(*(boxes[each] for each in node.inputs)))
    return boxes


def interval_leads(network: Graph, boxes: list[Box], labels: Tensor) -> Tensor:
    """Lower bounds on (logit of the label - logit j) from the intervals of the values before the last operation.

    The last operation is taken together with the difference, so that what two logits share cancels.

    Args:
        network: its operations.
        boxes: of `interval_boxes`.
        labels: `(batch,)`.

    Returns:
        `(batch, classes)`; 0 for the label itself.
    """
    rows, node = _differences(network, boxes, labels), network.nodes[-1]
    before = [boxes[each] for each in node.inputs]
    parts, constant = node.operation.relax(False, *before).back(rows)
    lowest = torch.zeros_like(rows[:, :, 0]) + constant
    for part, box in zip(parts, before, strict=True):
        above, below = part.flatten(2).clamp_min(0.0), part.flatten(2).clamp_max(0.0)
        ends = box.low.flatten(1).unsqueeze(2), box.high.flatten(1).unsqueeze(2)
        lowest = lowest + (above @ ends[0] + below @ ends[1]).squeeze(2)
    return _own_zero(lowest, labels)


def linear_leads(network: Graph, ball: Ball, boxes: list[Box], labels: Tensor) -> Tensor:
    """Lower bounds on (logit of the label - logit j) by parallel lines on these intervals, walked back to the input.

    Args:
        network: its operations.
        ball: around each input of a batch.
        boxes: of all values; only those before ReLUs and pooling count.
        labels: `(batch,)`.

    Returns:
        `(batch, classes)`; 0 for the label itself.
    """
    waiting: dict[int, Tensor] = {len(network.nodes): _differences(network, boxes, labels)}
    constant: Tensor | float = 0.0
    for number in range(len(network.nodes), 0, -1):
        if number not in waiting:
            continue
        node = network.nodes[number - 1]
        relaxed = node.operation.relax(False, *(boxes[each] for each in node.inputs))
        before, added = relaxed.back(waiting.pop(number))
        constant = constant + added
        for where, part in zip(node.inputs, before, strict=True):
            waiting[where] = waiting[where] + part if where in waiting else part
    return _own_zero(constant + ball.least(waiting[0]), labels)


def projected_boxes(network: Graph, ball: Ball, projections: int) -> list[Box]:
    """Intervals of the values before ReLUs by parallel lines, their widths estimated from random changes.

    Random numbers are torch's global ones. Of other values, which no line depends on, it gives the middle alone.

    Args:
        network: its operations, ReLU among them, no max pooling.
        ball: around each input of a batch.
        projections: random changes that are followed through the network; 0 for exact widths, from one change of each
            input value and of each unit.

    Raises:
        UsageError: max pooling, or too many values for exact widths.
    """
    pooling = [node.operation for node in network.nodes if isinstance(node.operation, MaxPool)]
    if pooling:
        raise UsageError("projections follow changes through ReLU networks without max pooling; take strides instead")
    widths = _widths(network, projections)
    matter = {each for node in network.nodes if node.operation.relaxes for each in node.inputs}
    boxes = [ball.box]
    values = [_first(ball, widths)]
    for node in network.nodes:
        taken = [values[each] for each in node.inputs]
        if isinstance(node.operation, Activation):
            values.append(_through(node.operation, taken[0], boxes[node.inputs[0]], widths))
        else:
            values.append(_Value.affine(node.operation, taken))
        middle = values[-1].middle
        boxes.append(values[-1].box(ball.epsilon, widths) if len(values) - 1 in matter else Box(middle, middle))
    return boxes


class _Widths(ABC):
    """How the sizes of all changes together are found from those that are followed.

    Changes of the input in L2 are followed by `independent` numbers, everything else by numbers whose absolute sum
    counts. A stack of changes is `(rows, batch or 1, *shape)`.
    """

    @abstractmethod
    def drawn(self, sizes: Tensor, norm: str) -> Tensor:
        """A stack for changes of these sizes, `(batch or 1, *shape)`, of values that change independently."""

    @abstractmethod
    def total(self, stack: Tensor, norm: str) -> Tensor:
        """The L1 or L2 norm of all changes of each value, `(batch or 1, *shape)`."""


class _Projected(_Widths):
    """Random sums of changes. A sum of changes with Cauchy weights is Cauchy with their L1 norm as its scale, which is
    the median of its absolute value; one with normal weights is normal with their L2 norm as its deviation."""

    def __init__(self, projections: int) -> None:
        self.projections = projections

    def drawn(self, sizes: Tensor, norm: str) -> Tensor:
        """Random numbers times the sizes."""
        numbers = torch.empty((self.projections, *sizes.shape), dtype=sizes.dtype, device=sizes.device)
        return sizes * (numbers.normal_() if norm == "l2" else numbers.cauchy_())

    def total(self, stack: Tensor, norm: str) -> Tensor:
        """The estimate."""
        if norm == "l2":
            found: Tensor = torch.linalg.vector_norm(stack, dim=0) / math.sqrt(self.projections)
            return found
        return stack.abs().median(dim=0).values


class _Exact(_Widths):
    """Every change on its own: each has a row, in which all others are 0."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.used = 0

    def drawn(self, sizes: Tensor, norm: str) -> Tensor:
        """The next rows, one for each value."""
        number = sizes[0].numel()
        one = torch.zeros((self.rows, number), dtype=sizes.dtype, device=sizes.device)
        one[self.used : self.used + number] = torch.eye(number, dtype=sizes.dtype, device=sizes.device)
        self.used += number
        return one.view(self.rows, 1, *sizes.shape[1:]) * sizes

    def total(self, stack: Tensor, norm: str) -> Tensor:
        """The norm."""
        found: Tensor = torch.linalg.vector_norm(stack, 2 if norm == "l2" else 1, dim=0)
        return found


class _Value(NamedTuple):
    """A value of the relaxed network: its middle, and stacks of its changes.

    Attributes:
        middle: `(batch, *shape)`.
        round: changes through an L2 ball, for an epsilon of 1; None if there is no such ball.
        square: changes of which each happens on its own; None if there are none.
    """

    middle: Tensor
    round: Tensor | None
    square: Tensor | None

    @classmethod
    def affine(cls, operation: Operation, taken: list[_Value]) -> _Value:
        """The value behind an affine operation."""
        rounds, squares = ([getattr(each, name) for each in taken] for name in ("round", "square"))
        middle = operation.forward(*(each.middle for each in taken))
        return cls(middle, _pushed(operation, rounds), _pushed(operation, squares))

    def box(self, epsilon: float, widths: _Widths) -> Box:
        """Its intervals."""
        spread: Tensor | float = 0.0
        if self.round is not None:
            spread = spread + epsilon * widths.total(self.round, "l2")
        if self.square is not None:
            spread = spread + widths.total(self.square, "linf")
        return Box(self.middle - spread, self.middle + spread)


def _widths(network: Graph, projections: int) -> _Widths:
    if projections:
        return _Projected(projections)
    before = [network.shapes[node.inputs[0]].numel() for node in network.nodes if node.operation.relaxes]
    rows = network.shapes[0].numel() + sum(before)
    if rows > _MOST_ROWS:
        raise UsageError(
            f"exact bounds through branches follow each of {rows:,} values through the network, more than "
            f"{_MOST_ROWS:,}; train with projections=50, and certify with the exact bound"
        )
    return _Exact(rows)


def _first(ball: Ball, widths: _Widths) -> _Value:
    """The input."""
    if ball.norm == "l2":
        return _Value(ball.x, widths.drawn(torch.ones_like(ball.x[:1]), "l2"), None)
    box = ball.box
    return _Value((box.low + box.high) / 2, None, widths.drawn((box.high - box.low) / 2, "linf"))


def _pushed(operation: Operation, stacks: list[Tensor | None]) -> Tensor | None:
    """The linear part of an operation on stacks of changes; a branch without changes adds nothing to a sum."""
    there = [each for each in stacks if each is not None]
    if not there or len(there) < len(stacks):
        return there[0] if there else None
    batch = max(each.shape[1] for each in there)
    flat = [each.expand(-1, batch, *each.shape[2:]).flatten(0, 1) for each in there]
    found = operation.linear(*flat)
    return found.view(-1, batch, *found.shape[1:])


def _through(operation: Activation, value: _Value, box: Box, widths: _Widths) -> _Value:
    """Behind ReLUs: relu(z) lies between d z and d z + offset, which is d z + offset/2 and a change of offset/2."""
    slope, offset = operation.parallel(box)
    new = widths.drawn(offset / 2, "linf")
    square = new if value.square is None else slope * value.square + new
    return _Value(slope * value.middle + offset / 2, None if value.round is None else slope * value.round, square)


def _differences(network: Graph, boxes: list[Box], labels: Tensor) -> Tensor:
    like = boxes[0].low
    classes = torch.eye(network.classes, dtype=like.dtype, device=like.device)
    return classes[labels].unsqueeze(1) - classes


def _own_zero(leads: Tensor, labels: Tensor) -> Tensor:
    return leads.scatter(1, labels.unsqueeze(1), 0.0)
