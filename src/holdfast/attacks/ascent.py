"""Projected gradient ascent within an L2 or Linf ball, for Holdfast's own attacks and adversarial training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from holdfast.errors import UsageError
from holdfast.noises.base import check_positive

if TYPE_CHECKING:
    from collections.abc import Callable

NORMS = ("l2", "linf")

# Step size times number of steps, in units of epsilon: far enough to cross the ball.
_REACH = {"l2": 2.0, "linf": 2.5}


def check_ascent(norm: str, epsilon: float, steps: int) -> None:
    """Raise UsageError unless these parameters are valid for `climb`."""
    if norm not in NORMS:
        raise UsageError(f"norm must be {' or '.join(NORMS)}, got {norm!r}")
    check_positive("epsilon", epsilon)
    if type(steps) is not int or steps < 1:
        raise UsageError(f"steps must be a whole number of at least 1, got {steps!r}")


def climb(
    loss: Callable[[Tensor], Tensor],
    x: Tensor,
    start: Tensor,
    norm: str,
    epsilon: float,
    steps: int,
    bounds: tuple[float, float],
    step_size: float | None = None,
) -> Tensor:
    """Inputs within `epsilon` of `x` and within `bounds` at which the loss is large.

    Args:
        loss: inputs `(batch, *event)` to a scalar, the sum over the inputs.
        x: inputs `(batch, *event)`.
        start: the first perturbation, with the shape of `x`, within `epsilon`.
        norm: "l2" or "linf", of each input's perturbation.
        epsilon: largest norm of a perturbation, in input units.
        steps: gradient steps.
        bounds: smallest and largest value of an input.
        step_size: in input units; if None, all steps together reach 2 (L2) or 2.5 (Linf) epsilon.

    Returns:
        The inputs after the last step, without gradient.
    """
    size = _REACH[norm] * epsilon / steps if step_size is None else step_size
    perturbation = start
    for _ in range(steps):
        moved = (x + perturbation).clamp(*bounds).requires_grad_()
        (gradient,) = torch.autograd.grad(loss(moved), moved)
        direction = gradient.sign() if norm == "linf" else gradient / lengths(gradient).clamp_min(1e-12)
        perturbation = _within(moved.detach() - x + size * direction, norm, epsilon)
    return (x + perturbation).clamp(*bounds)


def random_start(x: Tensor, norm: str, epsilon: float, generator: torch.Generator) -> Tensor:
    """A random perturbation of each input within `epsilon`: uniform in the cube (linf), of uniform length (l2)."""
    spread = torch.empty_like(x)
    if norm == "linf":
        return spread.uniform_(-epsilon, epsilon, generator=generator)
    spread.normal_(generator=generator)
    length = torch.rand((len(x), *[1] * (x.dim() - 1)), device=x.device, generator=generator)
    return spread / lengths(spread) * length * epsilon


def lengths(values: Tensor) -> Tensor:
    """The L2 norm of each input, `(batch, 1, ...)`."""
    flat: Tensor = torch.linalg.vector_norm(values.flatten(1), dim=1)
    return flat.view(-1, *[1] * (values.dim() - 1))


def _within(perturbation: Tensor, norm: str, epsilon: float) -> Tensor:
    if norm == "linf":
        return perturbation.clamp(-epsilon, epsilon)
    return perturbation * (epsilon / lengths(perturbation).clamp_min(epsilon))
