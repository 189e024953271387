"""Projected gradient ascent inside a training step (Madry et al. 2018), for adversarial training.

Attacks that measure robustness are in `holdfast.attacks`; these are only as strong as a training step needs.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.attacks.ascent import climb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn


@contextmanager
def _eval_mode(module: nn.Module) -> Iterator[None]:
    """Put the classifier in eval mode and freeze its weights; restore both at the end."""
    training, trainable = module.training, [parameter for parameter in module.parameters() if parameter.requires_grad]
    module.eval()
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
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
    step_size: float | None = None,
) -> Tensor:
    """`climb` with the classifier `module`, which `loss` calls, in eval mode; the other arguments are `climb`'s."""
    with _eval_mode(module):
        return climb(loss, x, start, norm, epsilon, steps, bounds, step_size)
