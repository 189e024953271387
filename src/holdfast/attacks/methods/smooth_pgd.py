"""Projected gradient descent on a smoothed classifier. Source: Cohen et al. 2019, Appendix J.3, for the expected loss;
Salman et al. 2019, equation 6, for the loss of the expected prediction (SmoothAdv)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from holdfast.attacks.ascent import climb, random_start
from holdfast.attacks.base import Attack, check_norm, check_whole
from holdfast.attacks.methods.bpda import expected_loss
from holdfast.attacks.randomness import torch_generator
from holdfast.attacks.smoothed import SmoothedTarget
from holdfast.attacks.target import Access
from holdfast.errors import UsageError
from holdfast.sampling.soft import soft_smoothed
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.attacks.base import Problem
    from holdfast.attacks.target import Target

_OBJECTIVES = ("soft", "expected")
_STARTS = ("random", "input")


@dataclass(frozen=True)
class SmoothPGD(Attack):
    """Projected ascent on the loss of the mean prediction over noisy copies, or on their mean loss.

    Args:
        norm: "l2" or "linf".
        steps: gradient steps; 20 in commands of public code for the attack of Salman et al.
        samples: noisy copies in each step; 128 in the same commands.
        objective: "soft" (Salman et al.) or "expected" (Cohen et al.).
        fresh: 1 for new noise in each step, as in Cohen et al.; 0 for the same noise in all steps.
        start: "random", within the budget; or "input", at the unchanged input, as in Cohen et al.
    """

    name: ClassVar[str] = "smooth-pgd"
    needs = Access.SURROGATE
    norms = (Norm.L2, Norm.LINF)
    minimizes = False
    source = "Cohen et al. 2019; Salman et al. 2019; own code"
    norm: str = "l2"
    steps: int = 20
    samples: int = 128
    objective: str = "soft"
    fresh: int = 1
    start: str = "random"

    def __post_init__(self) -> None:
        check_norm(self, self.norm)
        check_whole("steps", self.steps)
        check_whole("samples", self.samples)
        if self.objective not in _OBJECTIVES:
            raise UsageError(f"objective must be {' or '.join(_OBJECTIVES)}, got {self.objective!r}")
        if self.fresh not in (0, 1):
            raise UsageError(f"fresh must be 1 (new noise in each step) or 0, got {self.fresh!r}")
        if self.start not in _STARTS:
            raise UsageError(f"start must be {' or '.join(_STARTS)}, got {self.start!r}")

    def check(self, target: Target) -> None:
        """Also raise UsageError unless the classifier is smoothed."""
        if not isinstance(target, SmoothedTarget):
            raise UsageError("smooth-pgd attacks smoothed classifiers; for one without noise use pgd")
        super().check(target)

    def search(self, problem: Problem) -> Tensor:
        """Ascend from a random start, or from the input."""
        generator, target = problem.generator(), problem.target

        def loss(x: Tensor) -> Tensor:
            source = generator if self.fresh else torch_generator(problem.seed, target.device)
            logits = target.surrogate(x, self.samples, source)
            if self.objective == "expected":
                return expected_loss(problem, logits)
            vote = soft_smoothed(logits)[0]
            return -vote[problem.label] if problem.target_class is None else vote[problem.target_class]

        start = torch.zeros_like(problem.x)
        if self.start == "random":
            start = random_start(problem.x, self.norm, problem.budget, generator)
        bounds = target.low, target.high
        return climb(loss, problem.x, start, self.norm, problem.budget, self.steps, bounds)
