"""Carlini & Wagner's attack with all of a defence in its loss: rounding, randomness and detectors. Source: Carlini &
Wagner 2017, "Adversarial Examples Are Not Easily Detected: Bypassing Ten Detection Methods"; He, Wei, Chen, Carlini &
Song 2017, "Adversarial Example Defenses: Ensembles of Weak Defenses are not Strong"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from holdfast.attacks.base import Attack, check_above_zero, check_whole
from holdfast.attacks.descent import descend
from holdfast.attacks.distances import distance
from holdfast.attacks.target import Access
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from holdfast.attacks.base import Problem

# The first constant for the margin, and the factor to the next as long as nothing is found.
_FIRST, _FACTOR = 0.1, 10.0
# Deviation of the random changes at the start, as a share of the range of a value.
_START = 0.05


@dataclass(frozen=True)
class CarliniWagnerAdaptive(Attack):
    """The squared length of the change plus a constant times the margin, minimized by Adam; the constant by bisection.

    The margin is that of the mean of `samples` draws of the randomness, through steps without gradient as if they were
    the identity. A detector's rejection counts as one more class that the adversary does not want. Each constant starts
    at a small random change.

    Args:
        steps: of Adam for each constant.
        searches: number of constants to try.
        step_size: of Adam, in input units.
        samples: draws of the randomness for each gradient.
        confidence: least margin that is aimed at, in units of the logits.
    """

    name: ClassVar[str] = "cw-adaptive"
    needs = Access.SURROGATE
    norms = (Norm.L2,)
    minimizes = True
    source = "Carlini & Wagner 2017; He et al. 2017; own code"
    steps: int = 200
    searches: int = 6
    step_size: float = 0.02
    samples: int = 8
    confidence: float = 0.0

    def __post_init__(self) -> None:
        check_whole("steps", self.steps)
        check_whole("searches", self.searches)
        check_above_zero("step_size", self.step_size)
        check_whole("samples", self.samples)
        if not 0.0 <= self.confidence < float("inf"):
            check_above_zero("confidence", self.confidence)

    def search(self, problem: Problem) -> Tensor | None:
        """Raise the constant until something is found, then lower it as long as it is."""
        generator, best = problem.generator(), None
        low, constant, high = 0.0, _FIRST, None
        for _ in range(self.searches):
            found = self._nearest(problem, constant, best, generator)
            if found is None:
                low = constant
            else:
                best, high = found, constant
            constant = _FACTOR * constant if high is None else 0.5 * (low + high)
        return best

    def _nearest(self, problem: Problem, constant: float, best: Tensor | None, generator: Generator) -> Tensor | None:
        """The nearest adversarial on the way down, if it is nearer than the best so far."""
        target = problem.target
        bounds = target.low, target.high
        ahead = torch.zeros(())
        nearest = float("inf") if best is None else distance(problem.x[0], best[0], Norm.L2)
        found = None

        def loss(x: Tensor) -> Tensor:
            nonlocal ahead
            logits = target.surrogate(x, self.samples, generator)[0]
            margins = problem.margin(logits)
            ahead = margins.detach().mean()
            return (x - problem.x).square().sum() - constant * margins.clamp_max(self.confidence).sum() / len(margins)

        def look(x: Tensor, gradient: Tensor) -> bool:
            nonlocal nearest, found
            length = distance(problem.x[0], x[0], Norm.L2)
            if float(ahead) > 0.0 and length < nearest and bool(problem.succeeds(x)[0]):
                nearest, found = length, x.clone()
            return False

        start = problem.x
        moved = _START * (target.high - target.low) * torch.randn(start.shape, generator=generator, device=start.device)
        descend(loss, (start + moved).clamp(*bounds), bounds, self.steps, self.step_size, stop=look)
        return found
