"""Training MagNet. Source: Meng & Chen 2017, "MagNet: a Two-Pronged Defense against Adversarial Examples"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn.functional import mse_loss

from holdfast.models.architectures.magnet import MagNet
from holdfast.training.recipes.base import Step, StepLoss, check_alone, check_weight, part_of
from holdfast.training.recipes.squeezing import AT_ONCE, check_rejections, upper_quantile
from holdfast.training.recipes.standard import WithoutNoise

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from holdfast.training.recipes.base import Look


@dataclass(frozen=True)
class TrainMagNet(WithoutNoise):
    """Cross-entropy of the classifier on unreformed images, and the squared error of each autoencoder on noisy ones.

    The three share no weights, so that one training is three. Then the thresholds are set on training images.

    Args:
        noise: deviation of the Gaussian noise that the autoencoders take off, in input units.
        rejected: share of these images that each detector may reject.
        measured: training images on which the thresholds are set.
    """

    name: ClassVar[str] = "magnet"
    architecture: ClassVar[str | None] = "magnet"
    noise: float = 0.1
    rejected: float = 0.001
    measured: int = 5000

    def __post_init__(self) -> None:
        check_weight("noise", self.noise)
        check_rejections(self.rejected, self.measured)

    def prepare(self, module: nn.Module) -> None:
        """Raise UsageError unless `module` is a MagNet."""
        part_of(self, module, MagNet)

    def outcome(self, step: Step) -> StepLoss:
        """All errors; hits are those of the classifier alone.

        Raises:
            UsageError: several processes share the step.
        """
        check_alone(self, step)
        part = part_of(self, step.module, MagNet)
        drawn = step.randomness(lambda images, source: _normal(images, step.x, source))
        noisy = (step.x + self.noise * drawn).clamp(step.space.low, step.space.high)
        error = torch.stack([mse_loss(each(noisy).float(), step.x) for each in part.autoencoders]).sum()
        logits = part.classifier(step.x).float()
        return StepLoss(step.cross_entropy(logits, step.labels) + error, logits, step.labels)

    def finish(self, look: Look) -> None:
        """Set the thresholds."""
        part = part_of(self, look.module, MagNet)
        x, _ = look.some(self.measured)
        with torch.no_grad():
            errors = torch.cat([part.errors(each) for each in torch.split(x, AT_ONCE)])
        for number in range(errors.shape[1]):
            part.thresholds[number] = upper_quantile(errors[:, number], self.rejected)


def _normal(images: int, like: Tensor, source: Generator) -> Tensor:
    return torch.randn((images, *like.shape[1:]), generator=source, device=like.device)
