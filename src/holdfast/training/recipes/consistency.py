"""Consistency regularization. Source: Jeong & Shin 2020, "Consistency Regularization for Certified Robustness of
Smoothed Classifiers"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch.nn.functional import kl_div, log_softmax

from holdfast.sampling.soft import soft_smoothed
from holdfast.training.recipes.base import Recipe, Step, StepLoss, check_weight


@dataclass(frozen=True)
class Consistency(Recipe):
    """Cross-entropy under noise, and a penalty for predictions that differ between noisy copies of an image.

    With the class probabilities p_i of the m copies and their mean p: cross-entropy, plus `weight` times the mean of
    KL(p, p_i), plus `entropy` times the entropy of p. Any noise. It costs as much as `noise` with as many copies (2 in
    the paper).

    Args:
        weight: of the divergence; 10 or 20 in the paper. More gives larger radii and a lower accuracy.
        entropy: weight of the entropy of the mean prediction.
    """

    name: ClassVar[str] = "consistency"
    least_copies: ClassVar[int] = 2
    weight: float = 10.0
    entropy: float = 0.5

    def __post_init__(self) -> None:
        check_weight("weight", self.weight)
        check_weight("entropy", self.entropy)

    def outcome(self, step: Step) -> StepLoss:
        """Cross-entropy, divergence and entropy."""
        logits = step.model(step.noisy(step.x)).float()
        copies = logits.view(len(step.x), step.copies, -1)
        log_mean = soft_smoothed(copies)
        mean = log_mean.exp()
        divergence = kl_div(log_softmax(copies, dim=2), mean.unsqueeze(1), reduction="none").sum(dim=2).mean()
        entropy = -(mean * log_mean).sum(dim=1).mean()
        error = step.cross_entropy(logits, step.targets)
        return StepLoss(error + self.weight * divergence + self.entropy * entropy, logits, step.targets)
