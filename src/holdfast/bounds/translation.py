"""The operations that layers, functions and methods of torch stand for; anything else is refused by name."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from holdfast.bounds.layers import check_convolution, check_flatten, statistics
from holdfast.bounds.nodes import Activation, Fixed, MaxPool, Operation, Scaled, Sum, Weighted
from holdfast.bounds.traced import is_shape
from holdfast.errors import UsageError
from holdfast.models.normalization import Normalization

ACTIVATIONS: tuple[type[nn.Module], ...] = (nn.ReLU, nn.Sigmoid, nn.Tanh)
KNOWN = (
    "fully connected layers, convolutions, batch normalization, sums of branches, average and max pooling, flattening, "
    "strides and zero padding"
)
# Layers as they are, and layers that do nothing in a network at rest.
_IDENTITIES = (nn.Identity, nn.Dropout, nn.Dropout2d)
PAIR = 2
# The place of `divisor_override` after the input of `avg_pool2d`.
_DIVISOR = 5
_SUMS = (operator.add, operator.iadd, torch.add, "add", "add_")


def of_layer(layer: nn.Module, shape: torch.Size, activations: tuple[type[nn.Module], ...]) -> Operation | None:
    """The operation of a layer that takes values of this shape, without the batch; None for the identity.

    Raises:
        UsageError: it is not known.
    """
    kind = type(layer)
    if kind in _IDENTITIES:
        return None
    if isinstance(layer, Normalization):
        return _normalization(layer, shape) if layer.active else None
    if kind in activations:
        return Activation(kind)
    reader = _LAYERS.get(kind)
    if reader is None:
        raise UsageError(_refused(kind.__name__, activations))
    return reader(layer, shape)


def _refused(what: str, activations: tuple[type[nn.Module], ...]) -> str:
    names = ", ".join(kind.__name__ for kind in activations)
    return (
        f"this bound takes networks of {KNOWN}, with {names}, got {what}; architectures such as fc, wong-small and "
        "resnet20 are of that kind"
    )


def _weighted(layer: nn.Module, shape: torch.Size) -> Operation:
    check_convolution(layer)
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    if isinstance(layer, nn.Linear) and len(shape) != 1:
        raise UsageError(f"{layer} does not take values of shape {tuple(shape)}; flatten them first")
    return Weighted(layer)


def _batch_norm(layer: nn.Module, shape: torch.Size) -> Operation:
    """With its running statistics, as in a network at rest."""
    assert isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)
    mean, variance = layer.running_mean, layer.running_var
    if mean is None or variance is None:
        raise UsageError(f"this bound takes batch normalization with running statistics, got {layer}")
    scale = 1.0 / torch.sqrt(variance + layer.eps)
    if layer.weight is not None:
        scale = scale * layer.weight
    bias = torch.zeros_like(mean) if layer.bias is None else layer.bias
    return _scaled(scale, mean, bias, shape)


def _normalization(layer: Normalization, shape: torch.Size) -> Operation:
    mean, std = (each.to(layer.get_buffer("mean").dtype) for each in statistics(layer, tuple(shape)))
    return _scaled(1.0 / std, mean, torch.zeros_like(mean), shape)


def _scaled(scale: Tensor, mean: Tensor, bias: Tensor, shape: torch.Size) -> Operation:
    wide = (-1, *[1] * (len(shape) - 1))
    moved = scale * mean
    return Scaled(scale.view(wide), (bias - moved).view(wide), (bias.abs() + moved.abs()).view(wide))


def _flatten(layer: nn.Module, shape: torch.Size) -> Operation:
    check_flatten(layer)
    return Fixed(lambda x: x.flatten(1))


def _pair(value: Any) -> tuple[int, int]:
    found = (value, value) if isinstance(value, int) else tuple(value)
    return int(found[0]), int(found[1])


def _max_pool(layer: nn.Module, shape: torch.Size) -> Operation:
    assert isinstance(layer, nn.MaxPool2d)
    simple = _pair(layer.padding) == (0, 0) and _pair(layer.dilation) == (1, 1) and not layer.ceil_mode
    return _max_of(layer.kernel_size, layer.stride, simple and not layer.return_indices, layer)


def _max_of(kernel: Any, stride: Any, simple: bool, named: object) -> Operation:
    if not simple:
        raise UsageError(f"this bound takes max pooling without padding, dilation and ceil mode, got {named}")
    return MaxPool(_pair(kernel), _pair(kernel if stride is None else stride))


def _average_pool(layer: nn.Module, shape: torch.Size) -> Operation:
    assert isinstance(layer, nn.AvgPool2d)
    if layer.divisor_override is not None:
        raise UsageError(f"this bound takes average pooling that divides by the number of values, got {layer}")
    return Fixed(copy.copy(layer))


def _to_size(layer: nn.Module, shape: torch.Size) -> Operation:
    assert isinstance(layer, nn.AdaptiveAvgPool2d)
    return Fixed(lambda x: functional.adaptive_avg_pool2d(x, layer.output_size))


_LAYERS: dict[type[nn.Module], Callable[[Any, torch.Size], Operation]] = {
    nn.Linear: _weighted,
    nn.Conv2d: _weighted,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.Flatten: _flatten,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _average_pool,
    nn.AdaptiveAvgPool2d: _to_size,
}
FUNCTIONS: dict[Any, type[nn.Module]] = {
    torch.relu: nn.ReLU,
    functional.relu: nn.ReLU,
    "relu": nn.ReLU,
    torch.sigmoid: nn.Sigmoid,
    functional.sigmoid: nn.Sigmoid,
    "sigmoid": nn.Sigmoid,
    torch.tanh: nn.Tanh,
    functional.tanh: nn.Tanh,
    "tanh": nn.Tanh,
}
# Functions and methods that are linear maps without negative entries, if nothing but their first argument is a value.
_LINEAR = {torch.flatten, functional.avg_pool2d, functional.adaptive_avg_pool2d, torch.mean}
_LINEAR_METHODS = {"flatten", "mean", "view", "reshape"}


def of_call(node: fx.Node, shape: torch.Size, activations: tuple[type[nn.Module], ...]) -> Operation | None:
    """The operation of a function or method of tensors; None for the identity.

    Raises:
        UsageError: it is not known.
    """
    target, others = node.target, node.args[1:]
    if target in FUNCTIONS and FUNCTIONS[target] in activations:
        return Activation(FUNCTIONS[target])
    # A third argument is the deprecated form of `alpha`.
    if target in _SUMS and len(node.args) == PAIR and not node.kwargs:
        return Sum()
    if target is functional.max_pool2d:
        return _of_max_pool(node)
    if target == "contiguous" or (target is functional.dropout and node.kwargs.get("training") is False):
        return None
    if target in ("view", "reshape"):
        return _of_view(node, shape, activations)
    if target in _LINEAR or target in _LINEAR_METHODS:
        return _fixed_call(node, activations)
    if target is operator.getitem and _is_strided(others[0]):
        key: Any = others[0]
        return Fixed(lambda x: x[key])
    if target is functional.pad and _is_zero_padding(node):
        pads = node.args[1] if len(node.args) > 1 else node.kwargs["pad"]
        return Fixed(lambda x: functional.pad(x, list(pads)))  # type: ignore[arg-type]
    raise UsageError(
        _refused(f"{target if isinstance(target, str) else getattr(target, '__name__', target)}", activations)
    )


def _of_max_pool(node: fx.Node) -> Operation:
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    given = {**dict(zip(names, node.args[1:], strict=False)), **node.kwargs}
    simple = (
        _pair(given.get("padding", 0)) == (0, 0)
        and _pair(given.get("dilation", 1)) == (1, 1)
        and not given.get("ceil_mode", False)
        and not given.get("return_indices", False)
    )
    return _max_of(given["kernel_size"], given.get("stride"), simple, node.format_node())


def _of_view(node: fx.Node, shape: torch.Size, activations: tuple[type[nn.Module], ...]) -> Operation:
    """`x.view(x.size(0), -1)`, which flattens."""
    sizes = node.args[1:]
    if len(sizes) == PAIR and (is_shape(sizes[0]) or sizes[0] == -1) and sizes[1] in (-1, shape.numel()):
        return Fixed(lambda x: x.flatten(1))
    raise UsageError(_refused(f"a {node.target} to another shape than (batch, values)", activations))


def _fixed_call(node: fx.Node, activations: tuple[type[nn.Module], ...]) -> Operation:
    target, others = node.target, node.args[1:]
    # Such an argument makes entries negative, or rounds to another type.
    divisor = node.kwargs.get("divisor_override", others[_DIVISOR] if len(others) > _DIVISOR else None)
    known = node.kwargs.get("dtype") is None and (target is not functional.avg_pool2d or divisor is None)
    if len(node.all_input_nodes) != 1 or not node.args or not known:
        raise UsageError(_refused(f"{node.format_node()}", activations))
    return Fixed(_called(target, others, node.kwargs))


def _called(target: Any, others: Sequence[Any], named: dict[str, Any]) -> Callable[[Tensor], Tensor]:
    if isinstance(target, str):
        return lambda x: getattr(x, target)(*others, **named)
    return lambda x: target(x, *others, **named)


def _is_strided(key: Any) -> bool:
    """Whether a key takes all examples, and every so many values along some axes."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(isinstance(part, slice) for part in parts) and parts[0] == slice(None)


def _is_zero_padding(node: fx.Node) -> bool:
    others = {**dict(zip(("pad", "mode", "value"), node.args[1:], strict=False)), **node.kwargs}
    pads = others["pad"]
    return (
        others.get("mode", "constant") == "constant"
        and not others.get("value", 0.0)
        and isinstance(pads, Sequence)
        and all(isinstance(each, int) and each >= 0 for each in pads)
    )
