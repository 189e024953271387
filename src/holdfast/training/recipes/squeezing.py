"""Training for feature squeezing: its threshold. Source: Xu, Evans & Qi 2018, "Feature Squeezing: Detecting Adversarial
Examples in Deep Neural Networks"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from holdfast.errors import UsageError
from holdfast.models.architectures.squeezing import FeatureSqueezing
from holdfast.plain import is_real, plain
from holdfast.training.recipes.base import Step, StepLoss, part_of
from holdfast.training.recipes.standard import WithoutNoise

if TYPE_CHECKING:
    from torch import Tensor, nn

    from holdfast.training.recipes.base import Look

# Images that are measured at a time.
AT_ONCE = 256


@dataclass(frozen=True)
class Squeezing(WithoutNoise):
    """Cross-entropy on the unchanged images. Then the threshold is set on training images.

    Args:
        rejected: share of these images that may be rejected.
        measured: training images on which the threshold is set.
    """

    name: ClassVar[str] = "squeezing"
    architecture: ClassVar[str | None] = "feature-squeezing"
    rejected: float = 0.05
    measured: int = 5000

    def __post_init__(self) -> None:
        check_rejections(self.rejected, self.measured)

    def prepare(self, module: nn.Module) -> None:
        """Raise UsageError unless `module` squeezes features."""
        part_of(self, module, FeatureSqueezing)

    def outcome(self, step: Step) -> StepLoss:
        """The mean cross-entropy."""
        logits = step.model(step.x).float()
        return StepLoss(step.cross_entropy(logits, step.labels), logits, step.labels)

    def finish(self, look: Look) -> None:
        """Set the threshold."""
        part = part_of(self, look.module, FeatureSqueezing)
        x, _ = look.some(self.measured)
        with torch.no_grad():
            largest = torch.cat([part.distances(each).amax(dim=1) for each in torch.split(x, AT_ONCE)])
        part.threshold.copy_(upper_quantile(largest, self.rejected))


def check_rejections(rejected: float, measured: int) -> None:
    """Raise UsageError unless this share of so many images may be rejected."""
    if not (is_real(plain(rejected)) and 0.0 <= rejected < 1.0):
        raise UsageError(f"rejected is a share of the images, at least 0 and below 1, got {rejected!r}")
    if type(plain(measured)) is not int or measured < 1:
        raise UsageError(f"measured is a number of images from 1 on, got {measured!r}")


def upper_quantile(values: Tensor, share: float) -> Tensor:
    """The smallest of the values that at most this share of them exceeds, a scalar."""
    beyond = math.floor(share * len(values))
    return values.sort().values[len(values) - 1 - beyond]
