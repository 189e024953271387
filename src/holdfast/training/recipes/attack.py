"""Projected gradient ascent inside a training step (Madry et al. 2018): the adversaries that training learns from.

Attacks that measure robustness are elsewhere and stronger; these are as cheap as a training step needs.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from holdfast.errors import UsageError
from holdfast.noises.base import check_positive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

NORMS = ("l2", "linf")

# Step size times number of steps, in units of epsilon, as in the papers.
_REACH = {"l2": 2.0, "linf": 2.5}


def check_attack(norm: str, epsilon: float, steps: int) -> None:
    """Raise UsageError unless an attack can have these parameters."""
    if norm not in NORMS:
        raise UsageError(f"norm is {' or '.join(NORMS)}, got {norm!r}")
    check_positive("epsilon", epsilon)
    if type(steps) is not int or steps < 1:
        raise UsageError(f"steps is a whole number from 1 on, got {steps!r}")


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
    """Images within `epsilon` of `x` and within `bounds` at which the loss is large.

    Args:
        module: the classifier that `loss` calls; in eval mode meanwhile.
        loss: images `(batch, *event)` to a scalar, the sum over the images.
        x: images `(batch, *event)`.
        start: the first perturbation, of the form of `x`, within `epsilon`.
        norm: "l2" or "linf", of each image's perturbation.
        epsilon: its largest norm, in input units.
        steps: gradient steps.
        bounds: smallest and largest value of an image.

    Returns:
        The images after the last step, without gradient.
    """
    size = _REACH[norm] * epsilon / steps
    perturbation = start
    with _at_rest(module):
        for _ in range(steps):
            moved = (x + perturbation).clamp(*bounds).requires_grad_()
            (gradient,) = torch.autograd.grad(loss(moved), moved)
            direction = gradient.sign() if norm == "linf" else gradient / lengths(gradient).clamp_min(1e-12)
            perturbation = _within(moved.detach() - x + size * direction, norm, epsilon)
    return (x + perturbation).clamp(*bounds)


def _within(perturbation: Tensor, norm: str, epsilon: float) -> Tensor:
    if norm == "linf":
        return perturbation.clamp(-epsilon, epsilon)
    return perturbation * (epsilon / lengths(perturbation).clamp_min(epsilon))


def lengths(values: Tensor) -> Tensor:
    """The L2 norm of each image, `(batch, 1, ...)`."""
    flat: Tensor = torch.linalg.vector_norm(values.flatten(1), dim=1)
    return flat.view(-1, *[1] * (values.dim() - 1))
