"""Provable training by intervals alone. Source: Gowal, Dvijotham, Stanforth, Bunel, Qin, Uesato, Arandjelovic, Mann &
Kohli 2018, "On the Effectiveness of Interval Bound Propagation for Training Verifiably Robust Models", section 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch.nn.functional import cross_entropy

from holdfast.bounds.backward import Ball
from holdfast.bounds.base import check_epsilon
from holdfast.bounds.polytope import EVERYWHERE, check_inputs
from holdfast.bounds.training import interval_boxes, interval_leads, trainable
from holdfast.training.recipes.base import Step, StepLoss, check_share
from holdfast.training.recipes.convex import check_precision, classifier_of, limits_of
from holdfast.training.recipes.standard import WithoutNoise

if TYPE_CHECKING:
    from holdfast.noises.base import Noise
    from holdfast.training.recipes.settings import Settings


@dataclass(frozen=True)
class Intervals(WithoutNoise):
    """Cross-entropy of the worst logits that intervals allow within epsilon (Linf), and that of the unchanged images.

    The weight of the unchanged images (kappa) falls from 1 to `clean`, and epsilon rises from 0, both in a straight
    line over the same part of the training. A step costs about as much as three of `standard`.

    Args:
        epsilon: radius to certify, in input units (linf).
        standard: share of the training, from its start, on unchanged images alone.
        warm_up: share of the training after that over which epsilon rises and kappa falls.
        clean: last weight of the unchanged images, beside 1 - `clean` for the worst ones; 0.5 in the paper.
        inputs: "all" changed inputs, or only those "in-range" of the data set, as in the paper.
    """

    name: ClassVar[str] = "intervals"
    architecture: ClassVar[str | None] = "wong-small"
    epsilon: float
    standard: float = 0.03
    warm_up: float = 0.2
    clean: float = 0.5
    inputs: str = EVERYWHERE

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)
        for name in ("standard", "warm_up", "clean"):
            check_share(name, getattr(self, name))
        check_inputs(self.inputs, "linf")

    def check(self, noise: Noise | None, config: Settings) -> None:
        """Raise UsageError with noise, or in another precision than float32."""
        super().check(noise, config)
        check_precision(self, config)

    def risen(self, progress: float) -> float:
        """How far epsilon has risen and kappa fallen after this share of the training, from 0 to 1."""
        if progress < self.standard:
            return 0.0
        return min(1.0, (progress - self.standard) / self.warm_up) if self.warm_up else 1.0

    def outcome(self, step: Step) -> StepLoss:
        """The mixed loss; a hit is an image certified by intervals at this step's epsilon."""
        logits = step.model(step.x).float()
        risen = self.risen(step.progress)
        network = trainable(classifier_of(step, logits))
        ball = Ball(step.x, risen * self.epsilon, "linf", limits_of(step, self.inputs))
        margins = interval_leads(network, interval_boxes(network, ball), step.labels)
        kappa = 1.0 - risen * (1.0 - self.clean)
        worst, clean = cross_entropy(-margins, step.labels), step.cross_entropy(logits, step.labels)
        return StepLoss(kappa * clean + (1.0 - kappa) * worst, -margins, step.labels)
