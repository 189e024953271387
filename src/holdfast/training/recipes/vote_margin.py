"""Training for the lead in votes that a radius needs: the idea of MACER (Zhai et al. 2020) for noises whose radius is a
function of the difference of two class probabilities, as under ablation (Levine & Feizi 2020). Our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import nll_loss

from holdfast.errors import UsageError
from holdfast.sampling.soft import soft_smoothed
from holdfast.training.recipes.base import Recipe, Step, StepLoss, check_weight


@dataclass(frozen=True)
class VoteMargin(Recipe):
    """Cross-entropy of the soft smoothed classifier, and a hinge on the lead of the right class in soft votes.

    Soft votes are the means of softmax(`inverse_temperature` x logits) over the noisy copies. The hinge is
    max(0, `margin` - lead): it ignores images that lead by more than the margin, so that the network works on those in
    the middle, which decide the median radius. Any noise. It costs as much as `noise` with as many copies.

    Args:
        weight: of the hinge.
        margin: the intended lead, in (0, 2]; under ablation, a radius of r pixels needs more than 2 Delta(r).
        inverse_temperature: factor of the logits; the larger it is, the closer soft votes are to votes.
    """

    name: ClassVar[str] = "vote-margin"
    least_copies: ClassVar[int] = 2
    weight: float = 2.0
    margin: float = 0.8
    inverse_temperature: float = 2.0

    def __post_init__(self) -> None:
        check_weight("weight", self.weight)
        check_weight("inverse_temperature", self.inverse_temperature)
        if not 0.0 < self.margin <= 2.0:
            raise UsageError(f"margin is a difference of probabilities in (0, 2], got {self.margin!r}")

    def outcome(self, step: Step) -> StepLoss:
        """Cross-entropy of the mean prediction, and the hinge."""
        logits = step.model(step.noisy(step.x)).float()
        copies = logits.view(len(step.x), step.copies, -1)
        votes = (self.inverse_temperature * copies).softmax(dim=2).mean(dim=1)
        own = torch.zeros_like(votes).scatter_(1, step.labels.unsqueeze(1), 1.0)
        lead = (votes * own).sum(dim=1) - (votes - 2.0 * own).max(dim=1).values
        hinge = (self.margin - lead).clamp_min(0.0).mean()
        return StepLoss(nll_loss(soft_smoothed(copies), step.labels) + self.weight * hinge, logits, step.targets)
