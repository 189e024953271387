"""Noise augmentation: cross-entropy on noisy copies of each image (Cohen et al. 2019; Levine & Feizi 2020).

The papers take one copy of each image in a step. More copies lower the variance of the gradient that the noise adds.
With `shared_noise`, a minibatch is ablated by one set of pixels, as Levine & Feizi do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from holdfast.training.recipes.base import Recipe, Step, StepLoss


@dataclass(frozen=True)
class NoiseAugmentation(Recipe):
    """Cross-entropy under noise; any noise. Each copy costs one step of plain training."""

    name: ClassVar[str] = "noise"

    def outcome(self, step: Step) -> StepLoss:
        """The mean cross-entropy of all copies."""
        logits = step.model(step.noisy(step.x)).float()
        return StepLoss(step.cross_entropy(logits, step.targets), logits, step.targets)
