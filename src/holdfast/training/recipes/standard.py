"""Training without noise, for comparison with robust classifiers, and for classifiers behind a denoiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from holdfast.errors import UsageError
from holdfast.training.recipes.base import Recipe, Step, StepLoss

if TYPE_CHECKING:
    from holdfast.noises.base import Noise
    from holdfast.training.recipes.settings import Settings


@dataclass(frozen=True)
class WithoutNoise(Recipe):
    """The common checks of recipes without noise."""

    def check(self, noise: Noise | None, config: Settings) -> None:
        """Raise UsageError if there is noise, or several copies, which only noise would tell apart."""
        if noise is not None:
            raise UsageError(f"the recipe {self.name!r} trains without noise, got {noise}; leave the noise out")
        if config.noise_copies > 1 or config.shared_noise:
            raise UsageError(f"the recipe {self.name!r} has no noisy copies; leave out noise_copies and shared_noise")


@dataclass(frozen=True)
class Standard(WithoutNoise):
    """Cross-entropy on the unchanged images."""

    name: ClassVar[str] = "standard"

    def outcome(self, step: Step) -> StepLoss:
        """The mean cross-entropy."""
        logits = step.model(step.x).float()
        return StepLoss(step.cross_entropy(logits, step.labels), logits, step.labels)
