"""Adam within the box of valid inputs: the inner loop of our own Carlini-Wagner attacks.

The papers put a tanh before the input to keep it in its range. A value at an end of the range is then frozen, since
the tanh has no slope there, and on a blank image nothing moves. Here values are clipped after each step instead.
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
    seen: Callable[[Tensor, Tensor], bool] | None = None,
) -> Tensor:
    """Inputs at which the loss is small, starting from `start`.

    Args:
        loss: inputs `(batch, *event)` to a scalar.
        start: inputs within `bounds`.
        bounds: smallest and largest value.
        steps: of Adam, at most.
        step_size: of Adam, in input units.
        free: a bool tensor like one input, of the values that may move; None for all.
        seen: told of the inputs and the gradient there before each step; True ends the descent.

    Returns:
        The inputs after the last step, without gradient.
    """
    moved = start.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([moved], lr=step_size)
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(loss(moved), moved)
        if seen is not None and seen(moved.detach(), gradient):
            break
        moved.grad = gradient if free is None else gradient * free
        optimizer.step()
        with torch.no_grad():
            moved.clamp_(*bounds)
    return moved.detach()
