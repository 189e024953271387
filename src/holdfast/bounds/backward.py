"""Linear bounds that go back through a network with branches, and the intervals that they need.

Every step subtracts what its own rounding can be, from the intervals of the values, so that all intervals hold in exact
arithmetic, and for a network that is computed in float64. See docs/bounds.md.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from holdfast.bounds.nodes import Box
from holdfast.bounds.units import UNDERFLOW, UNIT, gamma

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.bounds.graph import Graph
    from holdfast.bounds.nodes import Relaxed

# So many numbers of one layer are computed together.
_NUMBERS_AT_ONCE = 2**22
# Errors below this share of the largest logit hardly ever matter.
_SMALL = 2.0**-20
# More than is lost where errors are added up in float64.
_UP = 1.0 + 2.0**-20


class Ball(NamedTuple):
    """The changed inputs that count.

    Attributes:
        x: `(batch, *shape)`; a `Walk` takes a batch of one, in float64.
        epsilon: in input units.
        norm: "linf" or "l2".
        limits: smallest and largest value of the changed inputs (linf); None for all.
    """

    x: Tensor
    epsilon: float
    norm: str
    limits: tuple[float, float] | None = None

    @property
    def box(self) -> Box:
        """The smallest box around it, rounded outward."""
        room = self.epsilon + 4.0 * UNIT * (self.x.abs() + self.epsilon)
        low, high = self.x - room, self.x + room
        if self.limits is not None:
            low, high = low.clamp_min(self.limits[0]), high.clamp_max(self.limits[1])
        return Box(low, high)

    def least(self, rows: Tensor) -> Tensor:
        """Lower bounds of sums with these coefficients, `(1, rows, *shape)` to `(1, rows)`."""
        box, flat = self.box, rows.flatten(2)
        if self.norm == "l2":
            spread = self.epsilon * torch.linalg.vector_norm(flat, dim=2)
            middle = flat @ self.x.flatten(1).unsqueeze(2)
        else:
            spread = (flat.abs() @ ((box.high - box.low) / 2).flatten(1).unsqueeze(2)).squeeze(2)
            middle = flat @ ((box.high + box.low) / 2).flatten(1).unsqueeze(2)
        sizes = (flat.abs() @ (self.x.abs() + 2.0 * self.epsilon).flatten(1).unsqueeze(2)).squeeze(2)
        found: Tensor = middle.squeeze(2) - spread - _UP * gamma(flat.shape[2] + 32) * sizes - UNDERFLOW * (1.0 + sizes)
        return found


class Walk:
    """The intervals of all values of a network for the changes of one input, and bounds that use them.

    Args:
        graph: in float64.
        ball: around one input.
        adaptive: choose the line below each undecided ReLU by its interval (CROWN); else parallel (Wong & Kolter).
        tight: whether intervals before activations come from linear bounds, too; else from intervals alone.
    """

    def __init__(self, graph: Graph, ball: Ball, adaptive: bool, tight: bool) -> None:
        self.graph = graph
        self.ball = ball
        self.adaptive = adaptive
        self.boxes: list[Box] = [ball.box]
        self._relaxed: dict[int, Relaxed] = {}
        self._rounding: list[Tensor] = [torch.zeros_like(ball.x)]
        matters = {number for node in graph.nodes if node.operation.relaxes for number in node.inputs}
        for number, node in enumerate(graph.nodes, start=1):
            before = [self.boxes[each] for each in node.inputs]
            self._rounding.append(self._rounded(number))
            # Once for the interval, once for the value itself.
            self.boxes.append(_outward(node.operation.box(*before), 2.0 * self._rounding[number]))
            if tight and number in matters:
                self._tighten(number)

    def _rounded(self, number: int) -> Tensor:
        """How far a value computed in float64, or an end of its interval, may be from the operation on its inputs."""
        operation, inputs = self.graph.nodes[number - 1].operation, self.graph.nodes[number - 1].inputs
        sizes = [self.boxes[each].size for each in inputs]
        total = sum(float(size.sum()) for size in sizes)
        return 4.0 * _UP * gamma(operation.fan(sum(size.numel() for size in sizes))) * (
            operation.stretch(*sizes) + operation.constant
        ) + UNDERFLOW * (1.0 + total)

    def _terms(self, number: int) -> int:
        node, shapes = self.graph.nodes[number - 1], self.graph.shapes
        return node.operation.terms(sum(shapes[each].numel() for each in node.inputs), shapes[number].numel())

    def _tighten(self, number: int) -> None:
        """Replace the intervals of undecided values by those of linear bounds, where these are narrower."""
        box = self.boxes[number]
        users = [node.operation for node in self.graph.nodes if number in node.inputs and node.operation.relaxes]
        open_ones = torch.stack([user.undecided(box) for user in users]).any(dim=0).flatten().nonzero().flatten()
        low, high = box.low.flatten().clone(), box.high.flatten().clone()
        widest = max(shape.numel() for shape in self.graph.shapes)
        for some in torch.split(open_ones, max(1, _NUMBERS_AT_ONCE // (2 * widest))):
            rows = torch.zeros((1, 2 * len(some), len(low)), dtype=low.dtype, device=low.device)
            places = torch.arange(len(some), device=low.device)
            rows[0, places, some] = 1.0
            rows[0, places + len(some), some] = -1.0
            found = self.least(rows.view(1, -1, *self.graph.shapes[number]), number)[0]
            low[some] = torch.maximum(low[some], found[: len(some)])
            high[some] = torch.minimum(high[some], -found[len(some) :])
        self.boxes[number] = Box(low.view_as(box.low), high.view_as(box.high))

    def least(self, rows: Tensor, number: int) -> Tensor:
        """Lower bounds of sums of a value with these coefficients, rounded down.

        Args:
            rows: `(1, rows, *shape of the value)`.
            number: of the value.

        Returns:
            `(1, rows)`.
        """
        waiting: dict[int, Tensor] = {number: rows}
        constant = torch.zeros(rows.shape[:2], dtype=rows.dtype, device=rows.device)
        lost, sizes = constant.clone(), constant.clone()
        for each in range(number, 0, -1):
            if each not in waiting:
                continue
            coefficients = waiting.pop(each)
            relaxed = self._at(each)
            before, added = relaxed.back(coefficients)
            constant = constant + added
            sizes = sizes + (added.abs() if isinstance(added, Tensor) else 0.0)
            lost = lost + self._step(each, coefficients, relaxed)
            for where, part in zip(self.graph.nodes[each - 1].inputs, before, strict=True):
                if where in waiting:
                    waiting[where] = waiting[where] + part
                    lost = lost + 4.0 * UNIT * _times(waiting[where], self.boxes[where].size)
                else:
                    waiting[where] = part
        inputs = self.ball.least(waiting[0]) if 0 in waiting else torch.zeros_like(constant)
        steps = 4.0 * gamma(2 * number + 32) * (sizes + inputs.abs())
        return inputs + constant - _UP * (lost + steps)

    def near(self, rows: Tensor, number: int) -> Tensor:
        """As `least`, with one step back and the intervals there."""
        relaxed = self._at(number)
        before, constant = relaxed.back(rows)
        lost = self._step(number, rows, relaxed)
        found = torch.zeros(rows.shape[:2], dtype=rows.dtype, device=rows.device) + constant
        sizes = found.abs()
        for where, part in zip(self.graph.nodes[number - 1].inputs, before, strict=True):
            box, flat = self.boxes[where], part.flatten(2)
            above = flat.clamp_min(0.0) @ box.low.flatten(1).unsqueeze(2)
            below = flat.clamp_max(0.0) @ box.high.flatten(1).unsqueeze(2)
            found = found + (above + below).squeeze(2)
            size = _times(part, box.size)
            lost = lost + 2.0 * gamma(flat.shape[2] + 32) * size + UNDERFLOW * (1.0 + size)
            sizes = sizes + size
        return found - _UP * (lost + 4.0 * gamma(64) * sizes)

    def _at(self, number: int) -> Relaxed:
        """The operation that gives a value, relaxed on the intervals of its inputs."""
        if number not in self._relaxed:
            node = self.graph.nodes[number - 1]
            self._relaxed[number] = node.operation.relax(self.adaptive, *(self.boxes[each] for each in node.inputs))
        return self._relaxed[number]

    def _step(self, number: int, rows: Tensor, relaxed: Relaxed) -> Tensor:
        """The rounding of a step, of the network's value itself, and the lines' own."""
        lost = 2.0 * gamma(self._terms(number)) * _times(rows, relaxed.size)
        lost = lost + _times(rows, self._rounding[number])
        if isinstance(relaxed.error, Tensor):
            lost = lost + _times(rows, relaxed.error)
        total = sum(float(self.boxes[each].size.sum()) for each in self.graph.nodes[number - 1].inputs)
        return lost + UNDERFLOW * (1.0 + total + float(relaxed.size.sum()))


def least_leads(walk: Walk, label: int) -> Tensor:
    """Lower bounds on (logit of the label - logit j), `(classes,)`, rounded down; 0 for the label itself."""
    return _leads(walk, label, walk.least)


def nearest_leads(walk: Walk, label: int) -> Tensor:
    """The same from the intervals before the last operation, in which what two logits share cancels."""
    return _leads(walk, label, walk.near)


def _leads(walk: Walk, label: int, bound: Callable[[Tensor, int], Tensor]) -> Tensor:
    last = len(walk.graph.nodes)
    classes = torch.eye(walk.graph.classes, dtype=walk.ball.x.dtype, device=walk.ball.x.device)
    of_differences = bound((classes[label] - classes).unsqueeze(0), last)[0]
    logits = walk.boxes[last]
    apart = logits.low[0, label] - logits.high[0]
    found = torch.maximum(of_differences, apart - 4.0 * UNIT * (logits.size[0, label] + logits.size[0]))
    found[label] = 0.0
    return found


def float_errors(graph: Graph, x: Tensor) -> Tensor:
    """How far logits computed in float64 can be from exact ones, or from others computed so.

    The product of absolute weights is a bound that costs no more than the logits. Where it is not small, in deep
    networks, a walk around the input itself takes its place.

    Args:
        graph: in float64.
        x: `(batch, *shape)`.

    Returns:
        `(batch, classes)`, rounded up.
    """
    errors = _errors_by_products(graph, x)
    large = (errors > _SMALL * graph.logits(x).abs().amax(dim=1, keepdim=True)).any(dim=1)
    for number in large.nonzero().flatten().tolist():
        errors[number] = torch.minimum(errors[number], _errors_by_walk(graph, x[number : number + 1]))
    return errors


def _errors_by_products(graph: Graph, x: Tensor) -> Tensor:
    boxes, errors = [Ball(x, 0.0, "linf").box], [torch.zeros_like(x)]
    for number, node in enumerate(graph.nodes, start=1):
        operation, inputs = node.operation, node.inputs
        terms = operation.fan(sum(graph.shapes[each].numel() for each in inputs))
        sizes = [boxes[each].size + errors[each] for each in inputs]
        rounding = gamma(terms) * (operation.stretch(*sizes) + operation.constant)
        total = sum(size.flatten(1).sum(dim=1) for size in sizes)
        under = UNDERFLOW * (1.0 + torch.as_tensor(total)).view(-1, *[1] * len(graph.shapes[number]))
        errors.append((operation.stretch(*(errors[each] for each in inputs)) + 4.0 * rounding) * _UP + under)
        boxes.append(_outward(operation.box(*(boxes[each] for each in inputs)), 4.0 * _UP * rounding + under))
    return errors[-1].nan_to_num(nan=math.inf)


def _errors_by_walk(graph: Graph, x: Tensor) -> Tensor:
    """The width of an interval with every logit that float64 can give for one input, and the exact one."""
    walk = Walk(graph, Ball(x, 0.0, "linf"), adaptive=True, tight=True)
    classes = torch.eye(graph.classes, dtype=x.dtype, device=x.device)
    low, least_negative = walk.least(torch.cat([classes, -classes]).unsqueeze(0), len(graph.nodes))[0].view(2, -1)
    found: Tensor = ((-least_negative - low) * _UP).nan_to_num(nan=math.inf)
    return found


def _outward(box: Box, room: Tensor) -> Box:
    return Box(box.low - room, box.high + room)


def _times(rows: Tensor, sizes: Tensor) -> Tensor:
    """Sums of absolute coefficients times sizes, `(batch, rows)`."""
    return (rows.abs().flatten(2) @ sizes.flatten(1).unsqueeze(2)).squeeze(2)
