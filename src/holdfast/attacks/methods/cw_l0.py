"""Carlini & Wagner's L0 attack, by pixels. Source: Carlini & Wagner 2017, "Towards Evaluating the Robustness of Neural
Networks", section VI.B. Written here since libraries lack it or have a weak one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from holdfast.attacks.base import Attack, check_above_zero, check_share, check_whole
from holdfast.attacks.descent import descend
from holdfast.attacks.distances import changed_pixels
from holdfast.attacks.target import Access
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.attacks.base import Problem

# Weight of the squared length relative to the margin: enough to keep pixels that do not help near their values.
_LENGTH = 1e-3
_FEW = 8


@dataclass(frozen=True)
class CarliniWagnerL0(Attack):
    """Shrink the set of pixels that may change: fix the ones that help least, and optimize the others again.

    A pixel helps by the change of its values times the gradient of the margin there. Several pixels are fixed at a time
    while that works. At the end, each changed pixel that is not needed is put back.

    Args:
        steps: most steps of Adam for each set of pixels.
        step_size: of Adam, as a share of the range of a value.
        share: share of the remaining pixels to fix at a time, in (0, 1); halved whenever that was too many.
    """

    name: ClassVar[str] = "cw-l0"
    needs = Access.GRADIENTS
    norms = (Norm.L0,)
    minimizes = True
    randomized = False
    source = "Carlini & Wagner 2017; own code"
    steps: int = 100
    step_size: float = 0.1
    share: float = 0.3

    def __post_init__(self) -> None:
        check_whole("steps", self.steps)
        check_above_zero("step_size", self.step_size)
        check_share("share", self.share)

    def search(self, problem: Problem) -> Tensor | None:
        """Fix pixels until the remaining ones do not suffice."""
        shape = problem.x.shape[2:] if problem.x.ndim == 4 else problem.x.shape[1:]
        free = torch.ones(shape, dtype=torch.bool, device=problem.x.device)
        found = self._adversarial(problem, free, problem.x)
        if found is None:
            return None
        share = self.share
        while True:
            best, helps = found
            left = changed_pixels(problem.x[0], best[0]) & free
            order = helps.masked_fill(~left, torch.inf).flatten().argsort()[: int(left.sum())]
            if len(order) <= 1:
                break
            count = max(1, int(share * len(order)))
            # Of the last few pixels, try to fix each one, not only the weakest.
            choices = [order[:count]] if len(order) > _FEW else list(order.unsqueeze(1))
            smaller = self._shrunk(problem, best, left, choices)
            if smaller is not None:
                free, found = smaller
            elif count > 1:
                share /= 2
            else:
                break
        return _without_needless(problem, found[0])

    def _shrunk(
        self, problem: Problem, best: Tensor, left: Tensor, choices: list[Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]] | None:
        """The set without the first choice of pixels that is not needed, and the result of `_adversarial` for it."""
        for fixed in choices:
            smaller = left.clone()
            smaller.view(-1)[fixed] = False
            found = self._adversarial(problem, smaller, torch.where(smaller, best, problem.x))
            if found is not None:
                return smaller, found
        return None

    def _adversarial(self, problem: Problem, free: Tensor, start: Tensor) -> tuple[Tensor, Tensor] | None:
        """An adversarial that changes only free pixels, and how much each of them helps; None if none is found."""
        target, width = problem.target, problem.target.high - problem.target.low
        margin = torch.zeros(())
        found: list[tuple[Tensor, Tensor]] = []

        def loss(x: Tensor) -> Tensor:
            nonlocal margin
            ahead = problem.margin(target.logits(x))
            margin = ahead.detach()[0]
            return _LENGTH * (x - problem.x).square().sum() - ahead.sum()

        def stop(x: Tensor, gradient: Tensor) -> bool:
            # Query the decision only if the scores predict success.
            if float(margin) <= 0.0 or not bool(problem.succeeds(x)[0]):
                return False
            helps = (gradient * (x - problem.x)).abs()[0]
            found.append((x.clone(), helps.sum(dim=0) if helps.ndim == 3 else helps))
            return True

        bounds = target.low, target.high
        descend(loss, start, bounds, self.steps, self.step_size * width, free=free, stop=stop)
        return found[0] if found else None


def _without_needless(problem: Problem, x: Tensor) -> Tensor:
    """Put back each changed pixel, the least changed first, if the input stays adversarial without it."""
    left = changed_pixels(problem.x[0], x[0])
    changes = (x - problem.x).abs()[0]
    order = (changes.sum(dim=0) if changes.ndim == 3 else changes).masked_fill(~left, torch.inf).flatten().argsort()
    for place in order[: int(left.sum())]:
        remaining = left.clone()
        remaining.view(-1)[place] = False
        back = torch.where(remaining, x, problem.x)
        if bool(problem.succeeds(back)[0]):
            left, x = remaining, back
    return x
