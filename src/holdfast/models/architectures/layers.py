"""What goes into the learned layers of a network: to look at it, or to change it on its way.

The learned layers are the convolutions and fully connected layers, in the order in which they stand in the module. What
goes into each but the first is the activations of the layer before.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def learned(network: nn.Module, kinds: tuple[type[nn.Module], ...] = (nn.Conv2d, nn.Linear)) -> list[nn.Module]:
    """The layers of these kinds."""
    return [layer for layer in network.modules() if isinstance(layer, kinds)]


@contextmanager
def inputs_changed(layers: list[nn.Module], change: Callable[[int, Tensor], Tensor]) -> Iterator[None]:
    """Within the block, layer number i gets `change(i, x)` in the place of its input x `(batch, ...)`."""

    def hook(number: int) -> Callable[[nn.Module, Any], Tensor]:
        return lambda _, inputs: change(number, inputs[0])

    handles = [layer.register_forward_pre_hook(hook(number)) for number, layer in enumerate(layers)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def activations(network: nn.Module, x: Tensor) -> list[Tensor]:
    """What goes into each learned layer but the first, and the logits, each flattened to `(batch, values)`."""
    seen: list[Tensor] = []

    def look(number: int, values: Tensor) -> Tensor:
        seen.append(values.flatten(1))
        return values

    with inputs_changed(learned(network)[1:], look):
        logits: Tensor = network(x)
    return [*seen, logits]
