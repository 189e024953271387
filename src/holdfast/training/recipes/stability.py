"""Stability training under noise. Source: Li, Chen, Wang & Carin 2019, "Certified Adversarial Robustness with Additive
Noise", after Zheng et al. 2016."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn.functional import log_softmax

from holdfast.training.recipes.base import Recipe, Step, StepLoss, check_additive, check_weight

if TYPE_CHECKING:
    from holdfast.noises.base import Noise
    from holdfast.training.recipes.settings import Settings


@dataclass(frozen=True)
class Stability(Recipe):
    """Cross-entropy on the image itself, and a penalty for predictions under noise that differ from it.

    The penalty is the cross-entropy of the noisy copies' class probabilities against those of the image without noise.
    For noises that are added to an image; ablation has no image without noise. One copy costs twice a `standard` step.

    Args:
        weight: of the penalty; 2 in the paper for CIFAR-10.
    """

    name: ClassVar[str] = "stability"
    weight: float = 2.0

    def __post_init__(self) -> None:
        check_weight("weight", self.weight)

    def check(self, noise: Noise | None, config: Settings) -> None:
        """Raise UsageError unless the noise is added to the image."""
        super().check(noise, config)
        check_additive(self, noise, "classifies images without noise, too")

    def outcome(self, step: Step) -> StepLoss:
        """Cross-entropy and penalty; hits are counted on the noisy copies."""
        both = step.model(torch.cat([step.x, step.noisy(step.x)])).float()
        clean, noisy = both[: len(step.x)], both[len(step.x) :]
        targets = clean.softmax(dim=1).repeat_interleave(step.copies, 0)
        penalty = -(targets * log_softmax(noisy, dim=1)).sum(dim=1).mean()
        error = step.cross_entropy(clean, step.labels)
        return StepLoss(error + self.weight * penalty, noisy, step.targets)
