"""Training a classifier on the codes of an autoencoder. Source: Szegedy et al. 2014, "Intriguing properties of neural
networks" (the network AE400-10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch.nn.functional import cross_entropy, mse_loss

from holdfast.errors import UsageError
from holdfast.models.architectures.autoencoder import AutoencoderClassifier
from holdfast.training.recipes.base import Step, StepLoss, check_weight
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
        _part(module)

    def outcome(self, step: Step) -> StepLoss:
        """Both errors."""
        part = _part(step.module)
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
        smoothing = step.config.label_smoothing
        wrong = cross_entropy(logits, step.labels, label_smoothing=smoothing)
        return StepLoss(wrong + self.reconstruction * error, logits, step.labels)


def _part(module: nn.Module) -> AutoencoderClassifier:
    for part in module.modules():
        if isinstance(part, AutoencoderClassifier):
            return part
    raise UsageError("the recipe 'autoencoder' trains the architecture autoencoder; name this architecture")
