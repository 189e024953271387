"""Training a generative model, and a classifier of its images. Source: Kingma & Welling 2014, "Auto-Encoding
Variational Bayes", for the model; Samangouei, Kabkab & Chellappa 2018, "Defense-GAN", for the classifier behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch.nn.functional import binary_cross_entropy_with_logits

from holdfast.models.architectures.projected import Projection
from holdfast.training.recipes.base import Step, StepLoss, check_weight, part_of
from holdfast.training.recipes.standard import WithoutNoise

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class ProjectionTraining(WithoutNoise):
    """The variational bound of a generative model, and cross-entropy of a classifier on the images that it makes.

    Each image is encoded, its code is drawn, and the classifier learns from the decoded image; its loss does not change
    the model. For inputs in [0, 1].

    Args:
        divergence: weight of the divergence of codes from a standard normal distribution; 1 for the bound itself.
    """

    name: ClassVar[str] = "projection"
    architecture: ClassVar[str | None] = "projected"
    divergence: float = 1.0

    def __post_init__(self) -> None:
        check_weight("divergence", self.divergence)

    def prepare(self, module: nn.Module) -> None:
        """Raise UsageError unless `module` contains a projection."""
        part_of(self, module, Projection)

    def outcome(self, step: Step) -> StepLoss:
        """Both losses, sums over the values of an image and means over images."""
        generator = part_of(self, step.module, Projection).generator
        seen: dict[str, Tensor] = {}
        hooks = [
            layer.register_forward_hook(lambda module, inputs, values, name=name: seen.update({name: values}))
            for name, layer in (("code", generator.encoder), ("image", generator.outer))
        ]
        try:
            logits = step.model(step.x).float()
        finally:
            for hook in hooks:
                hook.remove()
        mean, spread = seen["code"].float().chunk(2, dim=1)
        divergence = 0.5 * (mean.square() + spread.exp() - spread - 1.0).sum(dim=1).mean()
        x = step.x.flatten(1).float()
        error = binary_cross_entropy_with_logits(seen["image"].float(), x, reduction="sum") / len(x)
        loss = step.cross_entropy(logits, step.labels) + error + self.divergence * divergence
        return StepLoss(loss, logits, step.labels)
