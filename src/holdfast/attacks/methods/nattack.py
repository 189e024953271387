"""NATTACK. Source: Li, Li, Wang, Zhang & Gong 2019, "NATTACK: Learning the Distributions of Adversarial Examples for an
Improved Black-Box Attack on Deep Neural Networks". Written here since its own code does not import any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from holdfast.attacks.ascent import lengths
from holdfast.attacks.base import Attack, check_above_zero, check_norm, check_whole
from holdfast.attacks.target import Access
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.attacks.base import Problem


@dataclass(frozen=True)
class NAttack(Attack):
    """Learns the mean of a normal distribution of changes of which most samples are adversarial, from scores alone.

    Each step draws a population around the mean, projects it to the budget, and moves the mean along the samples
    weighted by their standardized margins. It needs no gradient of the classifier, so none can be hidden from it.

    Args:
        norm: "linf" or "l2".
        steps: at most.
        population: samples of a step; 300 in public implementations of the method, as the two defaults that follow.
        spread: standard deviation of the distribution, as a share of the range of a value.
        rate: of learning, likewise.
    """

    name: ClassVar[str] = "nattack"
    needs = Access.SCORES
    norms = (Norm.LINF, Norm.L2)
    minimizes = False
    source = "Li et al. 2019; own code"
    norm: str = "linf"
    steps: int = 200
    population: int = 300
    spread: float = 0.1
    rate: float = 0.02

    def __post_init__(self) -> None:
        check_norm(self, self.norm)
        check_whole("steps", self.steps)
        check_whole("population", self.population, least=2)
        check_above_zero("spread", self.spread)
        check_above_zero("rate", self.rate)

    def search(self, problem: Problem) -> Tensor | None:
        """Move the mean until a sample is adversarial."""
        x, target, generator = problem.x, problem.target, problem.generator()
        width = target.high - target.low
        mean = torch.zeros_like(x)
        for _ in range(self.steps):
            noise = torch.empty((self.population, *x.shape[1:]), device=x.device).normal_(generator=generator)
            candidates = self._projected(problem, mean + self.spread * width * noise)
            margins = problem.margin(target.scores(candidates))
            best = candidates[margins.argmax()].unsqueeze(0)
            if float(margins.max()) > 0.0 and bool(problem.succeeds(best)[0]):
                return best
            deviation = margins.std()
            if float(deviation) > 0.0:
                weights = ((margins - margins.mean()) / deviation).view(-1, *[1] * (x.ndim - 1))
                slope = (weights * noise).mean(dim=0) / self.spread
                mean = self._projected(problem, mean + self.rate * width * slope) - x
        return None

    def _projected(self, problem: Problem, changes: Tensor) -> Tensor:
        """The inputs with these changes, within the budget and the range."""
        if self.norm == "linf":
            changes = changes.clamp(-problem.budget, problem.budget)
        else:
            changes = changes * (problem.budget / lengths(changes).clamp_min(problem.budget))
        return (problem.x + changes).clamp(problem.target.low, problem.target.high)
