"""A network with branches, as operations in the order of their computation: residual blocks, pooling, batch norms.

torch.fx traces the module. What it finds must be among the operations of `holdfast.bounds.nodes`.
"""

from __future__ import annotations

import copy
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn

from holdfast.bounds.in_place import check_overwritten
from holdfast.bounds.layers import check_unhooked
from holdfast.bounds.nodes import Operation, Sum
from holdfast.bounds.traced import Tracer, is_size
from holdfast.bounds.translation import ACTIVATIONS, KNOWN, PAIR, of_call, of_layer
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.bounds.base import Classifier


@dataclass(frozen=True, eq=False)
class Node:
    """An operation, and the numbers of the values that it takes; its output is the next number."""

    operation: Operation
    inputs: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """A network with branches. Value 0 is the input, value i + 1 the output of node i; the last one has the logits.

    Attributes:
        nodes: in the order of their computation.
        shapes: of each value, without the batch.
    """

    nodes: tuple[Node, ...]
    shapes: tuple[torch.Size, ...]

    @property
    def classes(self) -> int:
        """The number of logits."""
        return self.shapes[-1].numel()

    def values(self, x: Tensor) -> list[Tensor]:
        """All values for inputs `(batch, *shape)`."""
        found = [x]
        for node in self.nodes:
            found.append(node.operation.forward(*(found[number] for number in node.inputs)))
        return found

    def logits(self, x: Tensor) -> Tensor:
        """`(batch, *shape)` to `(batch, classes)`."""
        return self.values(x)[-1]


def graph(
    classifier: Classifier,
    activations: tuple[type[nn.Module], ...] = ACTIVATIONS,
    dtype: torch.dtype | None = torch.float64,
) -> Graph:
    """The operations of a classifier.

    Args:
        classifier: whose module torch.fx can trace: its way does not depend on the values of its input.
        activations: that the caller supports.
        dtype: of a copy of the weights; None for the weights themselves, through which gradients reach them.

    Raises:
        UsageError: an operation that is not known, a hook, or shapes that do not fit.
    """
    module = classifier.module
    for part in module.modules():
        check_unhooked(part)
    if dtype is not None:
        where = classifier.device or torch.device("cpu")
        module = copy.deepcopy(module).to(where, dtype).requires_grad_(False)
    return _Reading(module, classifier, activations, dtype).result()


class _Reading:
    """The operations of a traced module, one after the other."""

    def __init__(
        self,
        module: nn.Module,
        classifier: Classifier,
        activations: tuple[type[nn.Module], ...],
        dtype: torch.dtype | None,
    ) -> None:
        self.module, self.activations = module, activations
        tensors = [each for each in module.state_dict().values() if each.is_floating_point()]
        like = tensors[0] if tensors else torch.zeros(1, dtype=dtype)
        # Two examples show what mixes them.
        self.zeros = torch.zeros((2, *classifier.shape), dtype=like.dtype, device=like.device)
        self.nodes: list[Node] = []
        self.examples = [self.zeros]
        self.numbers: dict[fx.Node, int] = {}
        self.classifier = classifier

    def result(self) -> Graph:
        """Read the whole module."""
        try:
            # A single layer is wrapped, since a root is always traced through.
            traced = Tracer().trace(nn.Sequential(self.module))
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(
                f"this bound cannot follow the module {type(self.module).__name__}: {error}. It takes modules whose "
                "way through their layers does not depend on the values of the input"
            ) from error
        parts = dict(nn.Sequential(self.module).named_modules())
        check_overwritten(list(traced.nodes), parts)
        last = 0
        for node in traced.nodes:
            if node.op == "placeholder":
                self.numbers[node] = 0
            elif node.op == "output":
                last = self._number(node.args[0])
            elif not is_size(node):
                self._read(node, parts)
        if last != len(self.nodes) or not self.nodes:
            raise UsageError("this bound takes modules whose last operation gives the logits")
        if tuple(self.examples[-1].shape[1:]) != (self.classifier.num_classes,):
            raise UsageError(
                f"this bound takes networks with {self.classifier.num_classes} outputs, one for each class, got shape "
                f"{tuple(self.examples[-1].shape[1:])}"
            )
        return Graph(tuple(self.nodes), tuple(each.shape[1:] for each in self.examples))

    def _number(self, argument: Any) -> int:
        if argument not in self.numbers:
            raise UsageError(f"this bound takes modules that return logits, got {argument}")
        return self.numbers[argument]

    def _read(self, node: fx.Node, parts: dict[str, nn.Module]) -> None:
        given = [each for each in node.all_input_nodes if not is_size(each)]
        inputs = tuple(self._number(each) for each in given)
        if len(inputs) == 1 and node.op in ("call_function", "call_method") and node.target in (operator.add, "add"):
            # x + x is a sum of two branches; x + 1 is not known.
            inputs = inputs * sum(each is given[0] for each in node.args)
        shape = self.examples[inputs[0]].shape[1:] if inputs else torch.Size()
        if node.op == "call_module":
            found = of_layer(parts[str(node.target)], shape, self.activations)
        else:
            found = of_call(node, shape, self.activations)
        if found is None:
            self.numbers[node] = inputs[0]
            return
        if isinstance(found, Sum) != (len(inputs) == PAIR) or not inputs:
            raise UsageError(f"this bound takes {KNOWN} and sums of two branches, got {node.format_node()}")
        before = [self.examples[number] for number in inputs]
        if isinstance(found, Sum) and before[0].shape != before[1].shape:
            raise UsageError(
                f"this bound takes sums of branches of one shape, got {tuple(before[0].shape[1:])} and "
                f"{tuple(before[1].shape[1:])}"
            )
        with torch.no_grad():
            try:
                made = found.forward(*before)
            except RuntimeError as error:
                raise UsageError(
                    f"{node.target} does not take values of shape {tuple(shape)}, which the layers before it give: "
                    f"{error}"
                ) from error
        if made.ndim == 0 or len(made) != len(self.zeros):
            raise UsageError(f"this bound takes operations on each example alone, got {node.format_node()}")
        self.examples.append(made)
        self.nodes.append(Node(found, inputs))
        self.numbers[node] = len(self.nodes)
