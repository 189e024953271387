"""Noise instead of an attack: the effect of a random change of the same size. Source: Szegedy et al. 2014, "Intriguing
properties of neural networks", Table 1 (the last rows)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from holdfast.attacks.base import Attack, check_above_zero
from holdfast.attacks.target import Access
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.attacks.base import Problem


@dataclass(frozen=True)
class GaussianNoise(Attack):
    """One draw of normal noise, clipped to the range of the inputs; it is adversarial only by chance.

    Args:
        deviation: of the noise on each value, in input units; 0.1 and 0.3 in Table 1 of the paper.
    """

    name: ClassVar[str] = "gaussian-noise"
    needs = Access.DECISIONS
    norms = (Norm.L2,)
    minimizes = True
    source = "Szegedy et al. 2014; own code"
    deviation: float = 0.1

    def __post_init__(self) -> None:
        check_above_zero("deviation", self.deviation)

    def search(self, problem: Problem) -> Tensor:
        """Return the noisy input."""
        noise = torch.empty_like(problem.x).normal_(generator=problem.generator())
        return (problem.x + self.deviation * noise).clamp(problem.target.low, problem.target.high)
