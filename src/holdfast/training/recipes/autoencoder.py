"""Training a classifier on the codes of an autoencoder. Source: Szegedy et al. 2014, "Intriguing properties of neural
networks" (the network AE400-10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch.nn.functional import mse_loss

from holdfast.models.architectures.autoencoder import AutoencoderClassifier
from holdfast.training.recipes.base import Step, StepLoss, check_weight, part_of
from holdfast.training.recipes.standard import WithoutNoise

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Autoencoder(WithoutNoise):
    """Squared error of the decoded image, and cross-entropy of the classifier, which does not change the codes.

    Both are learned at the same time; the paper trains the classifier after the codes.

    Args:
        reconstruction: weight of the squared error, a sum over the values of an image.
    """

    name: ClassVar[str] = "autoencoder"
    architecture: ClassVar[str | None] = "autoencoder"
    reconstruction: float = 1.0

    def __post_init__(self) -> None:
        check_weight("reconstruction", self.reconstruction)

    def prepare(self, module: nn.Module) -> None:
        """Raise UsageError unless `module` contains an autoencoder classifier."""
        part_of(self, module, AutoencoderClassifier)

    def outcome(self, step: Step) -> StepLoss:
        """Both errors."""
        part = part_of(self, step.module, AutoencoderClassifier)
        seen: list[tuple[Tensor, Tensor]] = []
        hook = part.encoder.register_forward_hook(lambda module, inputs, codes: seen.append((inputs[0], codes)))
        # The classifier learns from the codes, but its loss does not change them.
        cut = part.classifier.register_forward_pre_hook(lambda module, inputs: (inputs[0].detach(),))
        try:
            logits = step.model(step.x).float()
        finally:
            hook.remove()
            cut.remove()
        x, codes = seen[0]
        features = x[0].numel()
        error = features * mse_loss(part.decoder(codes).float(), x.flatten(1).float())
        return StepLoss(step.cross_entropy(logits, step.labels) + self.reconstruction * error, logits, step.labels)
