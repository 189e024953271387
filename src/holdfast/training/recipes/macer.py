"""Training for a large certified radius. Source: Zhai, Dan, He, Zhang, Gong, Ravikumar, Hsieh & Wang 2020, "MACER:
Attack-free and Scalable Robust Training via Maximizing Certified Radius"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch.nn.functional import nll_loss
from torch.special import ndtri

from holdfast.errors import UsageError
from holdfast.noises.gaussian import Gaussian
from holdfast.sampling.soft import soft_smoothed
from holdfast.training.recipes.base import Recipe, Step, StepLoss, check_weight

if TYPE_CHECKING:
    from holdfast.noises.base import Noise
    from holdfast.training.recipes.settings import Settings

# Probabilities closer to 0 or 1 than this get no gradient, since the quantile's gradient is unbounded there.
_EDGE = 1e-6


@dataclass(frozen=True)
class Macer(Recipe):
    """Cross-entropy of the soft smoothed classifier, and a hinge on the radius of the images classified correctly.

    The soft smoothed classifier is the mean of the class probabilities over the noisy copies; the radius is
    sigma/2 (quantile(p1) - quantile(p2)) with p1 and p2 the two largest means of softmax(`inverse_temperature` x
    logits). Gaussian noise only. It costs as much as `noise` with as many copies (16 in the paper).

    Args:
        weight: of the hinge; 12 in the paper for sigma 0.25.
        margin: the hinge is active while quantile(p1) - quantile(p2) is below this; 8 in the paper.
        inverse_temperature: factor of the logits in the radius; 16 in the paper.
    """

    name: ClassVar[str] = "macer"
    least_copies: ClassVar[int] = 2
    weight: float = 12.0
    margin: float = 8.0
    inverse_temperature: float = 16.0

    def __post_init__(self) -> None:
        for name in ("weight", "margin", "inverse_temperature"):
            check_weight(name, getattr(self, name))

    def check(self, noise: Noise | None, config: Settings) -> None:
        """Raise UsageError unless the noise is Gaussian, with several copies."""
        super().check(noise, config)
        if not isinstance(noise, Gaussian):
            raise UsageError(
                f"the recipe 'macer' enlarges the radius of Gaussian noise, got {noise}; use gaussian:sigma="
            )

    def outcome(self, step: Step) -> StepLoss:
        """Cross-entropy of the mean prediction, and the hinge."""
        noise = step.noise
        if not isinstance(noise, Gaussian):
            raise UsageError(f"the recipe 'macer' takes Gaussian noise, got {noise}")
        logits = step.model(step.noisy(step.x)).float()
        copies = logits.view(len(step.x), step.copies, -1)
        sharp = (self.inverse_temperature * copies).softmax(dim=2).mean(dim=1)
        top = sharp.topk(2, dim=1)
        right = top.indices[:, 0] == step.labels
        quantiles = ndtri(top.values.clamp(_EDGE, 1 - _EDGE))
        hinge = (self.margin - (quantiles[:, 0] - quantiles[:, 1])).clamp_min(0.0)
        radius_loss = 0.5 * noise.sigma * (hinge * right).mean()
        error = nll_loss(soft_smoothed(copies), step.labels)
        return StepLoss(error + self.weight * radius_loss, logits, step.targets)
