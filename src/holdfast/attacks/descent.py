"""Adam within the box of valid inputs: the inner loop of Holdfast's own Carlini-Wagner attacks.

The papers keep inputs in their range by a tanh. A value at an end of the range is then frozen, since the tanh has no
slope there, and on a blank image nothing moves. Here values are clipped after each step instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable


def descend(
    loss: Callable[[Tensor], Tensor],
    start: Tensor,
    bounds: tuple[float, float],
    steps: int,
    step_size: float,
    *,
    free: Tensor | None = None,
    stop: Callable[[Tensor, Tensor], bool] | None = None,
) -> Tensor:
    """Inputs at which the loss is small, starting from `start`.

    Args:
        loss: inputs `(batch, *event)` to a scalar.
        start: inputs within `bounds`.
        bounds: smallest and largest value.
        steps: most steps of Adam.
        step_size: of Adam, in input units.
        free: a bool tensor like one input that marks the values allowed to move; None for all.
        stop: called with the inputs and their gradient before each step; True ends the descent.

    Returns:
        The inputs after the last step, without gradient.
    """
    moved = start.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([moved], lr=step_size)
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(loss(moved), moved)
        if stop is not None and stop(moved.detach(), gradient):
            break
        moved.grad = gradient if free is None else gradient * free
        optimizer.step()
        with torch.no_grad():
            moved.clamp_(*bounds)
    return moved.detach()
