"""Carlini & Wagner's Linf attack. Source: Carlini & Wagner 2017, "Towards Evaluating the Robustness of Neural
Networks", section VI.C. Written here since those of libraries are weak or need more packages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from holdfast.attacks.base import Attack, check_above_zero, check_share, check_whole
from holdfast.attacks.descent import descend
from holdfast.attacks.target import Access
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.attacks.base import Problem

# Constants for the margin, tried in this order.
_CONSTANTS = (1.0, 10.0, 100.0)
# The smallest limit, as a share of the range of a value: less than half a step of 8-bit images.
_LEAST = 1.0 / 512


@dataclass(frozen=True)
class CarliniWagnerLinf(Attack):
    """Minimize the margin and the part of the change above a limit; shrink the limit as long as that succeeds.

    Args:
        steps: most steps of Adam for each limit and constant.
        step_size: of Adam, as a share of the limit.
        shrink: factor of the limit from one round to the next, in (0, 1); 0.9 in the authors' code.
    """

    name: ClassVar[str] = "cw-linf"
    needs = Access.GRADIENTS
    norms = (Norm.LINF,)
    minimizes = True
    randomized = False
    source = "Carlini & Wagner 2017; own code"
    steps: int = 100
    step_size: float = 0.1
    shrink: float = 0.9

    def __post_init__(self) -> None:
        check_whole("steps", self.steps)
        check_above_zero("step_size", self.step_size)
        check_share("shrink", self.shrink)

    def search(self, problem: Problem) -> Tensor | None:
        """Shrink the limit until no constant gives an adversarial within it."""
        width = problem.target.high - problem.target.low
        limit, best, start = width, None, problem.x
        while limit > _LEAST * width:
            found = None
            for constant in _CONSTANTS:
                found = self._adversarial(problem, start, limit, constant)
                if found is not None:
                    break
            if found is None:
                return best
            best = start = found
            limit = self.shrink * min(limit, float((found - problem.x).abs().max()))
        return best

    def _adversarial(self, problem: Problem, start: Tensor, limit: float, constant: float) -> Tensor | None:
        """An adversarial whose values all change by at most the limit; None if none is found."""
        target = problem.target
        margin = torch.zeros(())
        found: list[Tensor] = []

        def loss(x: Tensor) -> Tensor:
            nonlocal margin
            ahead = problem.margin(target.logits(x))
            margin = ahead.detach()[0]
            above = ((x - problem.x).abs() - limit).clamp_min(0.0).sum()
            return above - constant * ahead.clamp_max(0.0).sum()

        def stop(x: Tensor, gradient: Tensor) -> bool:
            if float(margin) <= 0.0:
                return False
            inside = problem.x + (x - problem.x).clamp(-limit, limit)
            if bool(problem.succeeds(inside)[0]):
                found.append(inside)
            return bool(found)

        bounds = target.low, target.high
        descend(loss, start, bounds, self.steps, self.step_size * limit, stop=stop)
        return found[0] if found else None
