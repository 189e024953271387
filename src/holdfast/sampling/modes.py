"""Whether a torch module is at rest: in eval mode, whatever kind of module it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import fx, nn
from torch._ops import OpOverload

from holdfast.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Iterator

# What operations call the argument by which they learn that they are in training.
_TRAINING = ("train", "training")


def check_at_rest(module: nn.Module) -> None:
    """Raise ClassifierError if a part of the base classifier is in training mode.

    The mode of a module that `torch.export` made is written into its operations, and its `training` says nothing;
    TorchScript modules that were frozen have no mode, since they can be frozen in eval mode only.
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
        # Subgraphs of branches and loops; its other children hold weights.
        children = [each for each in module.named_children() if isinstance(each[1], fx.GraphModule)]
    else:
        # A frozen TorchScript module raises AttributeError.
        if getattr(module, "training", False):
            yield name or "the module itself"
        children = list(module.named_children())
    for key, child in children:
        yield from _in_training(child, f"{name}.{key}" if name else key)


def _exported(module: fx.GraphModule) -> bool:
    """Whether all that it does is in operations of torch's own, whose mode was settled when it was made."""
    return any(isinstance(node.target, OpOverload) for node in module.graph.nodes)


def _operations(graph: fx.Graph) -> Iterator[str]:
    for node in graph.nodes:
        if isinstance(node.target, OpOverload) and _trains(node):
            yield str(node.target)


def _trains(node: fx.Node) -> bool:
    """Whether an operation is told that it is in training."""
    operation: Any = node.target
    for place, argument in enumerate(operation._schema.arguments):
        if argument.name in _TRAINING:
            default = argument.default_value if argument.has_default_value() else False
            given = node.args[place] if place < len(node.args) else default
            return bool(node.kwargs.get(argument.name, given))
    return False
