"""NATTACK. Source: Li, Li, Wang, Zhang & Gong 2019, "NATTACK: Learning the Distributions of Adversarial Examples for an
Improved Black-Box Attack on Deep Neural Networks". Written here since the authors' code can no longer be imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn.functional import interpolate

from holdfast.attacks.ascent import lengths
from holdfast.attacks.base import Attack, check_above_zero, check_norm, check_whole
from holdfast.attacks.target import Access
from holdfast.errors import UsageError
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.attacks.base import Problem


@dataclass(frozen=True)
class NAttack(Attack):
    """Learn the mean of a normal distribution of changes whose samples are mostly adversarial, from scores only.

    Each step draws a population around the mean, projects it to the budget, and moves the mean along the samples
    weighted by their standardized margins. It needs no gradients of the classifier, so obfuscated ones do not hinder
    it. The mean itself is a sample: against a random classifier it depends least on luck.

    Args:
        norm: "linf" or "l2".
        steps: most steps.
        population: samples per step. Its default, 300, and the next two are those of public implementations.
        spread: standard deviation of the distribution, as a share of the range of a value.
        rate: learning rate, as a share of the range of a value.
        coarse: pixels along each side of an image that share one value of the normal distribution, with interpolation
            between the values; fewer numbers are learned sooner. The authors use 32 x 32 for images of ImageNet.

    Raises:
        UsageError: a parameter is out of range or, in the search, changes are coarse but inputs are not images.
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
    coarse: int = 1

    def __post_init__(self) -> None:
        check_norm(self, self.norm)
        check_whole("steps", self.steps)
        check_whole("population", self.population, least=2)
        check_above_zero("spread", self.spread)
        check_above_zero("rate", self.rate)
        check_whole("coarse", self.coarse)

    def search(self, problem: Problem) -> Tensor | None:
        """Move the mean until it or the best sample is adversarial."""
        x, target, generator = problem.x, problem.target, problem.generator()
        width = target.high - target.low
        mean = torch.zeros_like(x)
        for _ in range(self.steps):
            noise = self._noise(x, generator)
            candidates = self._projected(problem, mean + self.spread * width * noise)
            margins = problem.margin(target.scores(candidates))
            if float(margins.max()) > 0.0:
                claims = candidates[[int(margins.argmax()), 0]]
                won = problem.succeeds(claims)
                if bool(won.any()):
                    return claims[int(won.int().argmax())]
            deviation = margins.std()
            if float(deviation) > 0.0:
                weights = ((margins - margins.mean()) / deviation).view(-1, *[1] * (x.ndim - 1))
                slope = (weights * noise).mean(dim=0) / self.spread
                mean = self._projected(problem, mean + self.rate * width * slope) - x
        return None

    def _noise(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A population of normal changes, of which the first is zero."""
        shape = tuple(x.shape[1:])
        if self.coarse > 1:
            if len(shape) != 3:
                raise UsageError(
                    f"nattack with coarse={self.coarse} changes images, got inputs of shape {shape}; leave coarse at 1"
                )
            shape = (shape[0], *(-(-side // self.coarse) for side in shape[1:]))
        noise = torch.empty((self.population, *shape), device=x.device).normal_(generator=generator)
        noise[0] = 0.0
        return noise if self.coarse == 1 else interpolate(noise, x.shape[2:], mode="bilinear", align_corners=False)

    def _projected(self, problem: Problem, changes: Tensor) -> Tensor:
        """The inputs with these changes, within the budget and the range."""
        if self.norm == "linf":
            changes = changes.clamp(-problem.budget, problem.budget)
        else:
            changes = changes * (problem.budget / lengths(changes).clamp_min(problem.budget))
        return (problem.x + changes).clamp(problem.target.low, problem.target.high)
