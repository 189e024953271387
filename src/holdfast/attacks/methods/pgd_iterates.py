"""Projected gradient descent in which every iterate counts. Source: Madry, Makelov, Schmidt, Tsipras & Vladu 2018,
"Towards Deep Learning Models Resistant to Adversarial Attacks", with its fixed step size on CIFAR-10."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch.nn.functional import cross_entropy

from holdfast.attacks.ascent import climb, random_start
from holdfast.attacks.base import Attack, check_above_zero, check_norm, check_whole
from holdfast.attacks.target import Access
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.attacks.base import Problem


@dataclass(frozen=True)
class PGDIterates(Attack):
    """Steps of a fixed size along the gradient of the cross-entropy; the first iterate that is adversarial is taken.

    The size of a step does not depend on their number. From the same start, more steps begin with the iterates of
    fewer: on no input are they weaker.

    Args:
        norm: "linf" or "l2".
        steps: gradient steps.
        step: size of a step, as a share of the budget; 1/4 is the paper's on CIFAR-10.
    """

    name: ClassVar[str] = "pgd-iterates"
    needs = Access.GRADIENTS
    norms = (Norm.LINF, Norm.L2)
    minimizes = False
    source = "Madry et al. 2018; own code"
    norm: str = "linf"
    steps: int = 20
    step: float = 0.25

    def __post_init__(self) -> None:
        check_norm(self, self.norm)
        check_whole("steps", self.steps)
        check_above_zero("step", self.step)

    def search(self, problem: Problem) -> Tensor | None:
        """Ascend from a random start, and look at it and at each iterate."""
        x, target = problem.x, problem.target
        sign = 1.0 if problem.target_class is None else -1.0
        aim = x.new_full((1,), problem.label if problem.target_class is None else problem.target_class).long()

        def loss(moved: Tensor) -> Tensor:
            return sign * cross_entropy(target.logits(moved), aim)

        bounds = target.low, target.high
        moved = (x + random_start(x, self.norm, problem.budget, problem.generator())).clamp(*bounds)
        for _ in range(self.steps):
            if bool(problem.succeeds(moved)[0]):
                return moved[0]
            moved = climb(loss, x, moved - x, self.norm, problem.budget, 1, bounds, self.step * problem.budget)
        return moved[0]
