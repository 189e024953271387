"""Adversarial training of the smoothed classifier. Source: Salman, Yang, Li, Zhang, Zhang, Razenshteyn & Bubeck 2019,
"Provably Robust Deep Learning via Adversarially Trained Smoothed Classifiers" (SmoothAdv, PGD)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn.functional import nll_loss

from holdfast.attacks.ascent import check_ascent
from holdfast.errors import UsageError
from holdfast.sampling.soft import soft_smoothed
from holdfast.training.recipes.attack import ascend
from holdfast.training.recipes.base import Recipe, Step, StepLoss, check_additive

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.noises.base import Noise
    from holdfast.training.recipes.settings import Settings


@dataclass(frozen=True)
class SmoothAdv(Recipe):
    """Cross-entropy under noise on images moved against the smoothed classifier.

    The attack climbs the cross-entropy of the mean class probabilities over the noisy copies, under the same noise as
    the loss. For noises that are added to the image. It costs `steps` + 1 times as much as `noise` with as many copies.

    Args:
        epsilon: largest perturbation in L2, in input units: 0.25 to 2 in the paper, about the radius aimed at.
        steps: of the attack; 2 to 10 in the paper.
        warm_up: share of the training over which epsilon rises from 0; 10 of 150 epochs in the paper.
    """

    name: ClassVar[str] = "smoothadv"
    least_copies: ClassVar[int] = 1
    epsilon: float
    steps: int = 2
    warm_up: float = 0.1

    def __post_init__(self) -> None:
        check_ascent("l2", self.epsilon, self.steps)
        if not 0.0 <= self.warm_up <= 1.0:
            raise UsageError(f"warm_up is a share of the training in [0, 1], got {self.warm_up}")

    def check(self, noise: Noise | None, config: Settings) -> None:
        """Raise UsageError unless the noise is added to the image, each copy with its own."""
        super().check(noise, config)
        check_additive(self, noise, "moves images along a gradient through noise")

    def outcome(self, step: Step) -> StepLoss:
        """The mean cross-entropy of all noisy copies of the moved images."""
        epsilon = self.epsilon * min(1.0, step.progress / self.warm_up if self.warm_up else 1.0)

        def loss(x: Tensor) -> Tensor:
            copies = step.module(step.noisy(x)).float().view(len(x), step.copies, -1)
            return nll_loss(soft_smoothed(copies), step.labels, reduction="sum")

        moved = step.x
        if epsilon > 0:
            bounds = step.space.low, step.space.high
            start = torch.zeros_like(step.x)
            moved = ascend(step.module, loss, step.x, start, "l2", epsilon, self.steps, bounds)
        logits = step.model(step.noisy(moved)).float()
        return StepLoss(step.cross_entropy(logits, step.targets), logits, step.targets)
