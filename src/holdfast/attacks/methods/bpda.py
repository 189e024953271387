"""BPDA and EOT: gradients through steps without one, and through randomness. Source: Athalye, Carlini & Wagner 2018,
"Obfuscated Gradients Give a False Sense of Security"; Athalye, Engstrom, Ilyas & Kwok 2018 for EOT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch.nn.functional import cross_entropy

from holdfast.attacks.ascent import climb, random_start
from holdfast.attacks.base import Attack, check_norm, check_whole
from holdfast.attacks.target import Access
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.attacks.base import Problem


@dataclass(frozen=True)
class BPDA(Attack):
    """Projected ascent of the mean cross-entropy over new draws of the randomness in each step.

    If a step of the forward pass has no gradient (rounding in the noise or in a defence), the backward pass uses the
    identity.

    Args:
        norm: "linf" or "l2".
        steps: gradient steps.
        samples: draws of the randomness in each step.
    """

    name: ClassVar[str] = "bpda"
    needs = Access.SURROGATE
    norms = (Norm.LINF, Norm.L2)
    minimizes = False
    source = "Athalye et al. 2018; own code"
    norm: str = "linf"
    steps: int = 40
    samples: int = 32

    def __post_init__(self) -> None:
        check_norm(self, self.norm)
        check_whole("steps", self.steps)
        check_whole("samples", self.samples)

    def search(self, problem: Problem) -> Tensor:
        """Ascend from a random start."""
        generator, target = problem.generator(), problem.target

        def loss(x: Tensor) -> Tensor:
            return expected_loss(problem, target.surrogate(x, self.samples, generator))

        start = random_start(problem.x, self.norm, problem.budget, generator)
        bounds = target.low, target.high
        return climb(loss, problem.x, start, self.norm, problem.budget, self.steps, bounds)


def expected_loss(problem: Problem, logits: Tensor) -> Tensor:
    """The mean over draws of the loss that the adversary maximizes, from logits `(1, samples, classes)`."""
    logits = problem.contested(logits)
    aim = problem.label if problem.target_class is None else problem.target_class
    error = cross_entropy(logits[0], logits.new_full((logits.shape[1],), aim).long())
    return error if problem.target_class is None else -error
