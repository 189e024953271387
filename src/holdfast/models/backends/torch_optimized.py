"""torch with batch normalization folded into convolutions and the channels of a pixel side by side in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from holdfast.models.backends.base import Backend, Job, backend, frozen_copy
from holdfast.models.backends.torch_eager import DTYPES

if TYPE_CHECKING:
    from collections.abc import Callable

# What batch normalization can be folded into, and how.
_FUSIONS: dict[tuple[type[nn.Module], type[nn.Module]], Callable[[Any, Any], nn.Module]] = {
    (nn.Conv1d, nn.BatchNorm1d): fuse_conv_bn_eval,
    (nn.Conv2d, nn.BatchNorm2d): fuse_conv_bn_eval,
    (nn.Conv3d, nn.BatchNorm3d): fuse_conv_bn_eval,
    (nn.Linear, nn.BatchNorm1d): fuse_linear_bn_eval,
}


@backend("torch-optimized")
class TorchOptimized(Backend):
    """The same operations as eager torch, but for those that can be folded away."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._dtype = DTYPES[job.precision]
        self._format = torch.channels_last if len(job.shape) == 3 else torch.contiguous_format
        self._module = folded(frozen_copy(job)).to(self._dtype)
        for weights in self._module.parameters():
            if weights.ndim == 4:
                weights.data = weights.data.contiguous(memory_format=self._format)

    @torch.no_grad()
    def __call__(self, noisy: Tensor) -> Tensor:
        """Logits in the precision asked for."""
        logits: Tensor = self._module(noisy.to(self._dtype).contiguous(memory_format=self._format))
        return logits


def folded(module: nn.Module) -> nn.Module:
    """The network without the batch normalizations that follow a convolution or a linear layer directly.

    Args:
        module: in eval mode. One that torch.fx cannot trace is returned as it is.
    """
    try:
        graph = _Tracer().trace(module)
    except Exception:
        # Whatever the code of a foreign module raises when it is traced.
        return module
    traced = fx.GraphModule(module, graph)
    layers = dict(traced.named_modules())
    calls = [node.target for node in graph.nodes if node.op == "call_module"]
    for node in list(graph.nodes):
        before = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        fuse = _FUSIONS.get((type(layers[str(before.target)]), type(layers[str(node.target)])))
        # A layer that is called twice keeps its weights.
        if fuse is None or calls.count(before.target) > 1 or calls.count(node.target) > 1:
            continue
        parent, _, name = str(before.target).rpartition(".")
        fused = fuse(layers[str(before.target)], layers[str(node.target)])
        setattr(traced.get_submodule(parent), name, fused)
        layers[str(before.target)] = fused
        node.replace_all_uses_with(before)
        graph.erase_node(node)
    traced.recompile()
    traced.delete_all_unused_submodules()
    return traced.eval().requires_grad_(False)


class _Tracer(fx.Tracer):
    """Looks into every module but the first layer, whose precision is that of its weights when it is called."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Layers of torch, and layers without layers inside."""
        return super().is_leaf_module(m, module_qualified_name) or not list(m.children())
