"""Training a detector by local intrinsic dimension. Source: Ma et al. 2018, "Characterizing Adversarial Subspaces Using
Local Intrinsic Dimensionality"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn.functional import cross_entropy

from holdfast.attacks.ascent import check_ascent, climb, random_start
from holdfast.errors import UsageError
from holdfast.models.architectures.dimension import DimensionDetector
from holdfast.training.recipes.base import Look, Step, StepLoss, part_of
from holdfast.training.recipes.standard import WithoutNoise

if TYPE_CHECKING:
    from torch import Tensor, nn

# Images at a time, steps of Newton's method, and the penalty for large weights that keeps them finite.
_BATCH, _NEWTON, _RIDGE = 200, 50, 1e-3


@dataclass(frozen=True)
class DimensionTraining(WithoutNoise):
    """Cross-entropy on the unchanged images; then references and a logistic regression on estimated dimensions.

    The regression tells training images that projected gradient ascent has moved from unchanged ones and from ones
    with random changes of the same size. Its threshold then rejects a given share of unchanged training images.

    Args:
        epsilon: largest change of the images that the detector learns from, in input units, in Linf.
        steps: of the ascent.
        examples: training images for the regression.
        rejected: share of unchanged images that are rejected.
    """

    name: ClassVar[str] = "dimension"
    architecture: ClassVar[str | None] = "dimension-detector"
    epsilon: float
    steps: int = 10
    examples: int = 1000
    rejected: float = 0.05

    def __post_init__(self) -> None:
        check_ascent("linf", self.epsilon, self.steps)
        if type(self.examples) is not int or self.examples < 10:
            raise UsageError(f"examples is a whole number of at least 10, got {self.examples!r}")
        if not 0.0 < self.rejected < 1.0:
            raise UsageError(f"rejected is a share between 0 and 1, got {self.rejected!r}")

    def prepare(self, module: nn.Module) -> None:
        """Raise UsageError unless `module` contains such a detector."""
        part_of(self, module, DimensionDetector)

    def outcome(self, step: Step) -> StepLoss:
        """The mean cross-entropy."""
        logits = step.model(step.x).float()
        return StepLoss(step.cross_entropy(logits, step.labels), logits, step.labels)

    def finish(self, look: Look) -> None:
        """Set references, regression and threshold, from different training images."""
        detector = part_of(self, look.module, DimensionDetector)
        references = len(detector.images)
        x, labels = look.some(references + self.examples)
        if len(x) < references + 10:
            raise UsageError(
                f"the recipe {self.name!r} needs {references} reference images and some others, got {len(x)} training "
                "images; train on more, or name fewer references"
            )
        detector.images.copy_(x[:references])
        x, labels = x[references:], labels[references:]
        bounds = look.space.low, look.space.high
        unchanged, noisy, moved = [], [], []
        for images, classes in zip(torch.split(x, _BATCH), torch.split(labels, _BATCH), strict=True):
            start = random_start(images, "linf", self.epsilon, look.generator)
            found = self._moved(detector, images, classes, start, bounds)
            signs = torch.where(start < 0.0, -self.epsilon, self.epsilon)
            with torch.no_grad():
                unchanged.append(detector.dimensions(images))
                noisy.append(detector.dimensions((images + signs).clamp(*bounds)))
                moved.append(detector.dimensions(found))
        clean, adversarial = torch.cat(unchanged), torch.cat(moved)
        weights, bias = logistic_regression(torch.cat([clean, torch.cat(noisy)]), adversarial)
        odds = clean.double() @ weights + bias
        threshold = torch.quantile(odds, 1.0 - self.rejected)
        detector.weights.copy_(weights)
        detector.bias.copy_(bias - threshold)

    def _moved(
        self, detector: DimensionDetector, x: Tensor, labels: Tensor, start: Tensor, bounds: tuple[float, float]
    ) -> Tensor:
        def loss(moved: Tensor) -> Tensor:
            return cross_entropy(detector.classified(moved).float(), labels, reduction="sum")

        return climb(loss, x, start, "linf", self.epsilon, self.steps, bounds)


def logistic_regression(negative: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """Weights `(features,)` and bias, float64, by Newton's method; both kinds of rows weigh the same.

    Args:
        negative: rows `(num, features)` that should have log-odds below 0.
        positive: rows that should have log-odds above 0.
    """
    rows = torch.cat([negative, positive]).double()
    center, scale = rows.mean(dim=0), rows.std(dim=0).clamp_min(1e-9)
    design = torch.cat([(rows - center) / scale, torch.ones_like(rows[:, :1])], dim=1)
    wanted = torch.cat([torch.zeros(len(negative)), torch.ones(len(positive))]).to(design)
    mass = torch.where(wanted > 0.0, 0.5 / len(positive), 0.5 / len(negative))
    ridge = _RIDGE * torch.eye(design.shape[1], dtype=torch.float64, device=design.device)
    found = torch.zeros(design.shape[1], dtype=torch.float64, device=design.device)
    for _ in range(_NEWTON):
        share = torch.sigmoid(design @ found)
        slope = design.T @ (mass * (share - wanted)) + ridge @ found
        curvature = (design.T * (mass * share * (1.0 - share))) @ design + ridge
        found = found - torch.linalg.solve(curvature, slope)
    weights = found[:-1] / scale
    return weights, found[-1] - (weights * center).sum()
