"""Projected gradient ascent inside a training step (Madry et al. 2018): the adversaries that training learns from.

Attacks that measure robustness are in `holdfast.attacks`; these are as cheap as a training step needs.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.attacks.ascent import climb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn


@contextmanager
def _at_rest(module: nn.Module) -> Iterator[None]:
    """The classifier in eval mode and without gradients of its weights, then as it was."""
    training, wanting = module.training, [parameter for parameter in module.parameters() if parameter.requires_grad]
    module.eval()
    for parameter in wanting:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in wanting:
            parameter.requires_grad_(True)
        module.train(training)


def ascend(
    module: nn.Module,
    loss: Callable[[Tensor], Tensor],
    x: Tensor,
    start: Tensor,
    norm: str,
    epsilon: float,
    steps: int,
    bounds: tuple[float, float],
) -> Tensor:
    """`climb` with the classifier `module`, which `loss` calls, in eval mode meanwhile; its arguments are those."""
    with _at_rest(module):
        return climb(loss, x, start, norm, epsilon, steps, bounds)
