"""The Frank-Wolfe method in L1. Source: Frank & Wolfe 1956, "An algorithm for quadratic programming"; Chen, Zhou, Yi &
Gu 2020, "A Frank-Wolfe Framework for Efficient and Effective Adversarial Attacks"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from holdfast.attacks.base import Attack, check_whole
from holdfast.attacks.methods.bpda import expected_loss
from holdfast.attacks.target import Access
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.attacks.base import Problem


@dataclass(frozen=True)
class FrankWolfe(Attack):
    """Steps toward the change that a linear loss would want: whole values to the end of their range, the steepest
    first, until the budget is spent.

    Every iterate is a mean of such changes, so it is within the budget and the range without a projection. The one with
    the largest loss is returned. Where a step of the forward pass has no gradient, the backward pass uses the identity.

    Args:
        steps: gradient steps.
        samples: draws of the randomness in each step.
    """

    name: ClassVar[str] = "frank-wolfe"
    needs = Access.SURROGATE
    norms = (Norm.L1,)
    minimizes = False
    # It begins at the input; but where the classifier is random, other draws lead elsewhere.
    randomized = True
    source = "Frank & Wolfe 1956; Chen et al. 2020; own code"
    steps: int = 40
    samples: int = 32

    def __post_init__(self) -> None:
        check_whole("steps", self.steps)
        check_whole("samples", self.samples)

    def search(self, problem: Problem) -> Tensor:
        """Begin at the input; the step after k others has the size 2/(k + 2)."""
        generator, target, x = problem.generator(), problem.target, problem.x
        change, best, largest = torch.zeros_like(x), x, -torch.inf
        for step in range(self.steps + 1):
            moved = (x + change).clamp(target.low, target.high).requires_grad_()
            loss = expected_loss(problem, target.surrogate(moved, self.samples, generator))
            if step and (value := float(loss.detach())) > largest:
                best, largest = moved.detach(), value
            if step < self.steps:
                (gradient,) = torch.autograd.grad(loss, moved)
                wanted = steepest(gradient[0], x[0], problem.budget, target.low, target.high)
                change = change + 2.0 / (step + 2.0) * (wanted.unsqueeze(0) - change)
        return best


def steepest(gradient: Tensor, x: Tensor, budget: float, low: float, high: float) -> Tensor:
    """The change within `budget` in L1 and within the range that a linear function with this gradient gains most from.

    Each unit of change of value i gains |gradient_i|, up to the end of its range: so the budget goes to the largest
    first (a fractional knapsack).

    Args:
        gradient: `(*event)`.
        x: the input, `(*event)`, in [low, high].
        budget: in input units, finite or infinite.
        low: smallest value of an input.
        high: largest value of an input.
    """
    slope = gradient.flatten()
    room = torch.where(slope > 0, high - x.flatten(), x.flatten() - low).clamp_min(0.0) * (slope != 0)
    order = slope.abs().argsort(descending=True, stable=True)
    spent = room[order].double().cumsum(0) - room[order].double()
    taken = torch.zeros_like(room)
    taken[order] = torch.minimum(room[order].double(), (budget - spent).clamp_min(0.0)).to(room.dtype)
    return (taken * slope.sign()).view(x.shape)
