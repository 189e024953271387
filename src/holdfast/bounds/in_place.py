"""Values that operations in place have changed: a network that uses one afterwards is not what its graph says."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import torch
from torch import fx, nn
from torch.nn import functional

from holdfast.bounds.traced import is_size
from holdfast.bounds.translation import ACTIVATIONS, FUNCTIONS
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

# What gives a new tensor. All else may give a view of the memory of its input.
_NEW_LAYERS = (nn.Linear, nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.AvgPool2d, nn.MaxPool2d, *ACTIVATIONS)
_NEW_CALLS = {*FUNCTIONS, operator.add, torch.add, "add", functional.avg_pool2d, functional.max_pool2d}


def check_overwritten(nodes: Sequence[fx.Node], parts: dict[str, nn.Module]) -> None:
    """Raise UsageError if a value is used after an operation in place has changed it, or a view of it."""
    places = {node: place for place, node in enumerate(nodes)}
    memory: dict[fx.Node, fx.Node] = {}
    # The place of the last operation that wrote to a memory.
    written: dict[fx.Node, int] = {}
    for place, node in enumerate(nodes):
        given = [each for each in node.all_input_nodes if not is_size(each)]
        if is_size(node):
            continue
        overwrites = _overwrites(node, parts)
        shared = {memory[each] for each in given}
        stale = any(places[each] < written.get(memory[each], 0) for each in given)
        if stale or (overwrites and len(shared) < len(given)):
            raise UsageError(
                f"this bound takes no values that are used after an operation in place has changed them, got "
                f"{node.format_node() or node.name}; have that operation give a new tensor, as with inplace=False"
            )
        new = not given or (_gives_new(node, parts) and not overwrites)
        memory[node] = node if new else memory[given[0]]
        if overwrites:
            written[memory[node]] = place


def _overwrites(node: fx.Node, parts: dict[str, nn.Module]) -> bool:
    """Whether an operation changes its first argument."""
    if node.op == "call_module":
        return bool(getattr(parts[str(node.target)], "inplace", False))
    return node.target in (operator.iadd, "add_") or bool(node.kwargs.get("inplace"))


def _gives_new(node: fx.Node, parts: dict[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return type(parts[str(node.target)]) in _NEW_LAYERS
    return node.target in _NEW_CALLS
