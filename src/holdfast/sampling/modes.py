"""Whether a torch module of any kind is in eval mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import fx, nn
from torch._ops import OpOverload

from holdfast.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Argument names by which operations learn that they are in training.
_TRAINING = ("train", "training")


def check_eval_mode(module: nn.Module) -> None:
    """Raise ClassifierError if a part of the base classifier is in training mode.

    Operations of a `torch.export` module contain their mode, and its `training` says nothing. A frozen TorchScript
    module has no mode: only eval mode can be frozen.
    """
    part = next(_in_training(module, ""), None)
    if part is not None:
        raise ClassifierError(
            f"the base classifier is in training mode ({part}), where batch normalization and dropout make a "
            "vote depend on the batch. Call .eval() on it first, and before it is exported."
        )


def _in_training(module: nn.Module, name: str) -> Iterator[str]:
    """Names of the parts in training mode."""
    children: list[tuple[str, nn.Module]]
    if isinstance(module, fx.GraphModule) and _exported(module):
        yield from _operations(module.graph)
        # Subgraphs of branches and loops; the other children hold weights.
        children = [each for each in module.named_children() if isinstance(each[1], fx.GraphModule)]
    else:
        # A frozen TorchScript module raises AttributeError.
        if getattr(module, "training", False):
            yield name or "the module itself"
        children = list(module.named_children())
    for key, child in children:
        yield from _in_training(child, f"{name}.{key}" if name else key)


def _exported(module: fx.GraphModule) -> bool:
    """Whether the module consists of torch operations, whose mode was fixed at export."""
    return any(isinstance(node.target, OpOverload) for node in module.graph.nodes)


def _operations(graph: fx.Graph) -> Iterator[str]:
    for node in graph.nodes:
        if isinstance(node.target, OpOverload) and _trains(node):
            yield str(node.target)


def _trains(node: fx.Node) -> bool:
    """Whether an operation has an argument that puts it in training mode."""
    operation: Any = node.target
    for place, argument in enumerate(operation._schema.arguments):
        if argument.name in _TRAINING:
            default = argument.default_value if argument.has_default_value() else False
            given = node.args[place] if place < len(node.args) else default
            return bool(node.kwargs.get(argument.name, given))
    return False
