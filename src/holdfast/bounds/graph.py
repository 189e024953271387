"""A network with branches, as operations in the order of their computation: residual blocks, pooling, batch norms.

torch.fx traces the module. What it finds must be among the operations of `holdfast.bounds.nodes`; anything else is
refused by name.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from holdfast.bounds.layers import statistics
from holdfast.bounds.nodes import Activation, Fixed, MaxPool, Operation, Scaled, Sum, Weighted
from holdfast.errors import UsageError
from holdfast.models.normalization import Normalization

if TYPE_CHECKING:
    from holdfast.bounds.base import Classifier

ACTIVATIONS: tuple[type[nn.Module], ...] = (nn.ReLU, nn.Sigmoid, nn.Tanh)
_KNOWN = (
    "fully connected layers, convolutions, batch normalization, sums of branches, average and max pooling, flattening, "
    "strides and zero padding"
)
# Layers as they are, and layers that do nothing in a network at rest.
_IDENTITIES = (nn.Identity, nn.Dropout, nn.Dropout2d)
_PAIR = 2
# The place of `divisor_override` after the input of `avg_pool2d`.
_DIVISOR = 5
_SUMS = (operator.add, operator.iadd, torch.add, "add", "add_")

Layer = TypeVar("Layer", bound=nn.Module)


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
        hooks = (getattr(part, name, None) for name in ("_forward_hooks", "_forward_pre_hooks"))
        if any(hooks) or "forward" in vars(part):
            raise UsageError(
                "this bound takes layers without hooks and with the forward of their class, got a "
                f"{type(part).__name__} with others, which may change what it computes; remove them"
            )
    if dtype is not None:
        where = classifier.device or torch.device("cpu")
        module = copy.deepcopy(module).to(where, dtype).requires_grad_(False)
    return _Reading(module, classifier, activations, dtype).result()


class _Proxy(fx.Proxy):
    """A value that also records `x += y`, which torch.fx takes for `x = x + y`."""

    def __iadd__(self, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})


class _Tracer(fx.Tracer):
    """Layers of torch and normalization stay whole; everything else is traced through."""

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """As the name says."""
        return _Proxy(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """As the name says."""
        return type(m) is Normalization or super().is_leaf_module(m, module_qualified_name)


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
            traced = _Tracer().trace(nn.Sequential(self.module))
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(
                f"this bound cannot follow the module {type(self.module).__name__}: {error}. It takes modules whose "
                "way through their layers does not depend on the values of the input"
            ) from error
        parts = dict(nn.Sequential(self.module).named_modules())
        _check_overwritten(list(traced.nodes), parts)
        last = 0
        for node in traced.nodes:
            if node.op == "placeholder":
                self.numbers[node] = 0
            elif node.op == "output":
                last = self._number(node.args[0])
            elif not _is_size(node):
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
        given = [each for each in node.all_input_nodes if not _is_size(each)]
        inputs = tuple(self._number(each) for each in given)
        if len(inputs) == 1 and node.op in ("call_function", "call_method") and node.target in (operator.add, "add"):
            # x + x is a sum of two branches; x + 1 is not known.
            inputs = inputs * sum(each is given[0] for each in node.args)
        shape = self.examples[inputs[0]].shape[1:] if inputs else torch.Size()
        if node.op == "call_module":
            found = self._of_layer(parts[str(node.target)], shape)
        else:
            found = _of_call(node, shape, self.activations)
        if found is None:
            self.numbers[node] = inputs[0]
            return
        if isinstance(found, Sum) != (len(inputs) == _PAIR) or not inputs:
            raise UsageError(f"this bound takes {_KNOWN} and sums of two branches, got {node.format_node()}")
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

    def _of_layer(self, layer: nn.Module, shape: torch.Size) -> Operation | None:
        """The operation of a layer; None for the identity."""
        kind = type(layer)
        if kind in _IDENTITIES:
            return None
        if isinstance(layer, Normalization):
            return _normalization(layer, shape) if layer.active else None
        if kind in self.activations:
            return Activation(kind)
        reader = _LAYERS.get(kind)
        if reader is None:
            raise self._unknown(kind.__name__)
        return reader(layer, shape)

    def _unknown(self, what: str) -> UsageError:
        return UsageError(_refused(what, self.activations))


def _refused(what: str, activations: tuple[type[nn.Module], ...]) -> str:
    names = ", ".join(kind.__name__ for kind in activations)
    return (
        f"this bound takes networks of {_KNOWN}, with {names}, got {what}; architectures such as fc, wong-small and "
        "resnet20 are of that kind"
    )


def _weighted(layer: nn.Module, shape: torch.Size) -> Operation:
    if isinstance(layer, nn.Conv2d) and (
        layer.groups != 1
        or tuple(layer.dilation) != (1, 1)
        or layer.padding_mode != "zeros"
        or isinstance(layer.padding, str)
    ):
        raise UsageError(f"this bound takes convolutions without groups and dilation, padded by zeros, got {layer}")
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
    assert isinstance(layer, nn.Flatten)
    if (layer.start_dim, layer.end_dim) != (1, -1):
        raise UsageError(f"this bound takes layers that flatten whole inputs, got {layer}")
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
_FUNCTIONS: dict[Any, type[nn.Module]] = {
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


# What gives a new tensor. All else may give a view of the memory of its input.
_NEW_LAYERS = (nn.Linear, nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.AvgPool2d, nn.MaxPool2d, *ACTIVATIONS)
_NEW_CALLS = {*_FUNCTIONS, operator.add, torch.add, "add", functional.avg_pool2d, functional.max_pool2d}


def _check_overwritten(nodes: Sequence[fx.Node], parts: dict[str, nn.Module]) -> None:
    """Raise UsageError if a value is used after an operation in place has changed it, or a view of it."""
    places = {node: place for place, node in enumerate(nodes)}
    memory: dict[fx.Node, fx.Node] = {}
    # The place of the last operation that wrote to a memory.
    written: dict[fx.Node, int] = {}
    for place, node in enumerate(nodes):
        given = [each for each in node.all_input_nodes if not _is_size(each)]
        if _is_size(node):
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


def _is_size(node: fx.Node) -> bool:
    """Whether a node is a size, as in `x.size(0)` and `x.shape[0]`, and no tensor."""
    if node.op == "call_method" and node.target == "size":
        return True
    if node.op == "call_function" and node.target is getattr:
        return node.args[1] == "shape"
    return node.op == "call_function" and node.target is operator.getitem and _is_shape(node.args[0])


def _is_shape(argument: Any) -> bool:
    return isinstance(argument, fx.Node) and _is_size(argument)


def _of_call(node: fx.Node, shape: torch.Size, activations: tuple[type[nn.Module], ...]) -> Operation | None:
    """The operation of a function or method of tensors; None for the identity."""
    target, others = node.target, node.args[1:]
    if target in _FUNCTIONS and _FUNCTIONS[target] in activations:
        return Activation(_FUNCTIONS[target])
    # A third argument is the deprecated form of `alpha`.
    if target in _SUMS and len(node.args) == _PAIR and not node.kwargs:
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
    if len(sizes) == _PAIR and (_is_shape(sizes[0]) or sizes[0] == -1) and sizes[1] in (-1, shape.numel()):
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
