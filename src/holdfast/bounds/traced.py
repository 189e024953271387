"""Modules traced by torch.fx, with what it leaves out by itself."""

from __future__ import annotations

import operator
from typing import Any

from torch import fx, nn

from holdfast.models.normalization import Normalization


class _Proxy(fx.Proxy):
    """A value that also records `x += y`, which torch.fx takes for `x = x + y`."""

    def __iadd__(self, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})


class Tracer(fx.Tracer):
    """Layers of torch and normalization stay whole; everything else is traced through."""

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """As the name says."""
        return _Proxy(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """As the name says."""
        return type(m) is Normalization or super().is_leaf_module(m, module_qualified_name)


def is_size(node: fx.Node) -> bool:
    """Whether a node is a size, as in `x.size(0)` and `x.shape[0]`, and no tensor."""
    if node.op == "call_method" and node.target == "size":
        return True
    if node.op == "call_function" and node.target is getattr:
        return node.args[1] == "shape"
    return node.op == "call_function" and node.target is operator.getitem and is_shape(node.args[0])


def is_shape(argument: Any) -> bool:
    """Whether an argument of an operation is a size."""
    return isinstance(argument, fx.Node) and is_size(argument)
