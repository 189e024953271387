"""Training without noise: what a robust classifier is compared with, and what a denoiser stands in front of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch.nn.functional import cross_entropy

from holdfast.errors import UsageError
from holdfast.training.recipes.base import Recipe, Step, StepLoss

if TYPE_CHECKING:
    from holdfast.noises.base import Noise
    from holdfast.training.recipes.settings import Settings


@dataclass(frozen=True)
class WithoutNoise(Recipe):
    """What recipes without noise share."""

    def check(self, noise: Noise | None, config: Settings) -> None:
        """Raise UsageError where there is noise, or copies that only noise would tell apart."""
        if noise is not None:
            raise UsageError(f"the recipe {self.name!r} trains without noise, got {noise}; leave the noise out")
        if config.noise_copies > 1 or config.shared_noise:
            raise UsageError(f"the recipe {self.name!r} has no noisy copies; leave out noise_copies and shared_noise")


@dataclass(frozen=True)
class Standard(WithoutNoise):
    """Cross-entropy on the images as they are."""

    name: ClassVar[str] = "standard"

    def outcome(self, step: Step) -> StepLoss:
        """The mean cross-entropy."""
        logits = step.model(step.x).float()
        smoothing = step.config.label_smoothing
        return StepLoss(cross_entropy(logits, step.labels, label_smoothing=smoothing), logits, step.labels)
