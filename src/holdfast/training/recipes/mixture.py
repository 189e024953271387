"""Training a mixture of independent pixels: first by counting, then for a majority of votes. Our own; expectation
maximization is that of Dempster, Laird & Rubin 1977, annealed as by Ueda & Nakano 1998."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn.functional import conv2d, nll_loss, pad

from holdfast.errors import UsageError
from holdfast.models.architectures.pixel_mixture import PixelMixture
from holdfast.noises.masking import MaskingNoise
from holdfast.sampling.soft import soft_smoothed
from holdfast.training.recipes.base import Recipe, Step, StepLoss, check_alone, check_weight, part_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from holdfast.noises.base import Noise
    from holdfast.training.recipes.base import Look
    from holdfast.training.recipes.settings import Settings

# Images at once, since each has as many features as values and levels.
_AT_ONCE = 1000
# Responsibilities are of scores divided by a temperature that falls from the first number to 1 in the first half.
_HOT = 8.0
# Weight of the class's own shares of levels, in images; what is added to each share; and least weight of a component.
_PRIOR, _LEAST_SHARE, _LEAST_WEIGHT = 2.0, 0.003, 1e-5
# A place's counts are averaged with those of its four neighbours, which have this weight together.
_NEIGHBOURS = 0.25


@dataclass(frozen=True)
class Mixture(Recipe):
    """Fits `pixel-mixture` to each class by expectation maximization on whole images, and then improves it by steps.

    A step minimizes the cross-entropy of the soft smoothed classifier, plus `weight` x what an image lacks to a
    majority of soft votes: max(0, `margin` - lead), at most `most`, where the lead is that of the right class over all
    others together. Soft votes are the means of softmax(`inverse_temperature` x logits) over the noisy copies. Images
    with a majority by the margin, and those that lack more than `most`, leave the network to the ones in between, which
    decide how many are certified by the bound of the top class alone (Levine & Feizi 2020, Corollary 1).

    Args:
        iterations: of expectation maximization, before the first step; each looks at all images once.
        weight: of what is lacking.
        margin: the intended lead, in (0, 1].
        most: that counts as lacking, above 0; from `margin` + 1 on, all of it counts.
        inverse_temperature: factor of the logits; the larger it is, the closer soft votes are to votes.
    """

    name: ClassVar[str] = "mixture"
    architecture: ClassVar[str | None] = "pixel-mixture"
    least_copies: ClassVar[int] = 2
    iterations: int = 10
    weight: float = 20.0
    margin: float = 0.06
    most: float = 0.4
    inverse_temperature: float = 4.0

    def __post_init__(self) -> None:
        if type(self.iterations) is not int or self.iterations < 1:
            raise UsageError(f"iterations is a whole number from 1 on, got {self.iterations!r}")
        for name in ("weight", "most", "inverse_temperature"):
            check_weight(name, getattr(self, name))
        if not 0.0 < self.margin <= 1.0:
            raise UsageError(f"margin is a lead over all other classes, in (0, 1], got {self.margin!r}")

    def check(self, noise: Noise | None, config: Settings) -> None:
        """Raise UsageError unless the noise takes pixels away and encodes the others as (s, 1 - s)."""
        super().check(noise, config)
        if not (isinstance(noise, MaskingNoise) and noise.null == "multichannel"):
            raise UsageError(
                f"the recipe 'mixture' trains for noises that take pixels away, with null=multichannel, got {noise}"
            )

    def prepare(self, module: nn.Module) -> None:
        """Raise UsageError unless `module` contains a mixture of pixels."""
        part_of(self, module, PixelMixture)

    def begin(self, look: Look) -> None:
        """Expectation maximization for each class."""
        part = part_of(self, look.module, PixelMixture)
        images, labels = look.some(look.images)
        tables, weights = [], []
        for label in range(part.num_classes):
            own = images[labels == label]
            if not len(own):
                raise UsageError(f"the recipe 'mixture' needs training images of every class; class {label} has none")
            table, shares = _fitted(part, own, self.iterations)
            tables.append(table.flatten(1).T)
            weights.append((shares * len(own) / len(images)).log())
        joined = torch.cat(tables, dim=1)
        with torch.no_grad():
            # What all components have in common changes no answer, but would make logits large, and more of their
            # differences count as near ties, which are computed twice.
            part.table.copy_(joined - joined.mean(dim=1, keepdim=True))
            part.weights.copy_(torch.cat(weights))

    def outcome(self, step: Step) -> StepLoss:
        """Cross-entropy of the mean prediction, and what is lacking to a majority.

        Raises:
            UsageError: several processes share the step.
        """
        check_alone(self, step)
        logits = step.model(step.noisy(step.x)).float()
        copies = logits.view(len(step.x), step.copies, -1)
        votes = (self.inverse_temperature * copies).softmax(dim=2).mean(dim=1)
        lead = 2.0 * votes.gather(1, step.labels.unsqueeze(1)) - 1.0
        lacking = (self.margin - lead).clamp(0.0, self.most).mean()
        return StepLoss(nll_loss(soft_smoothed(copies), step.labels) + self.weight * lacking, logits, step.targets)


@torch.no_grad()
def _fitted(part: PixelMixture, images: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Log-probabilities `(components, places, levels)` and weights `(components,)` of one class.

    Args:
        part: gives numbers and features.
        images: `(num, *event)` of the class in a random order: the first ones start the components.
        iterations: looks at all images.
    """
    count, values = part.components, images.flatten(1)
    parts = torch.split(values, _AT_ONCE)
    mean = torch.stack([part.features(each).sum(dim=0) for each in parts]).sum(dim=0) / len(values)
    mean = (mean + _LEAST_SHARE) / (mean + _LEAST_SHARE).sum(dim=1, keepdim=True)
    first = torch.arange(count, device=values.device) % len(values)
    table = (0.5 * part.features(values[first]) + 0.5 * mean).log()
    weights = values.new_full((count,), 1.0 / count)
    for iteration in range(iterations):
        temperature = max(1.0, _HOT * (1.0 - 2.0 * iteration / iterations))
        counts, mass = torch.zeros_like(table), torch.zeros_like(weights)
        for each in parts:
            features = part.features(each).flatten(1)
            responsible = ((features @ table.flatten(1).T + weights.log()) / temperature).softmax(dim=1)
            counts += (responsible.T @ features).view_as(counts)
            mass += responsible.sum(dim=0)
        shares = _blurred(counts, tuple(images.shape[1:])) + _PRIOR * mean
        table = (shares / shares.sum(dim=2, keepdim=True)).log()
        weights = (mass / mass.sum()).clamp_min(_LEAST_WEIGHT)
    return table, weights


def _blurred(counts: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Counts `(components, places, levels)`, averaged with those of neighbours where inputs are images."""
    if len(shape) != 3:
        return counts
    kernel = counts.new_tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]) * _NEIGHBOURS / 4
    kernel[1, 1] = 1.0
    planes = counts.transpose(1, 2).reshape(-1, 1, *shape[1:])
    mixed = conv2d(pad(planes, (1, 1, 1, 1), mode="replicate"), (kernel / kernel.sum()).view(1, 1, 3, 3))
    return mixed.view(len(counts), counts.shape[2], counts.shape[1]).transpose(1, 2)
