"""Provable training with the robust loss of the convex outer polytope. Source: Wong & Kolter 2018, "Provable Defenses
against Adversarial Examples via the Convex Outer Adversarial Polytope"; the projections are those of Wong,
Schmidt, Metzen & Kolter 2018, "Scaling Provable Adversarial Defenses"."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn.functional import cross_entropy

from holdfast.bounds import Classifier
from holdfast.bounds.backward import Ball
from holdfast.bounds.base import check_epsilon
from holdfast.bounds.layers import plain
from holdfast.bounds.polytope import EVERYWHERE, NORMS, check_inputs, least_margins
from holdfast.bounds.training import interval_boxes, linear_leads, projected_boxes, trainable
from holdfast.errors import UsageError
from holdfast.estimators.proved import IN_RANGE
from holdfast.training.recipes.base import Step, StepLoss, check_share
from holdfast.training.recipes.standard import WithoutNoise
from holdfast.types import norm_spelt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Generator, Tensor

    from holdfast.noises.base import Noise
    from holdfast.training.recipes.base import Recipe
    from holdfast.training.recipes.settings import Settings


@dataclass(frozen=True)
class Convex(WithoutNoise):
    """Cross-entropy of the worst logits that the polytope allows within epsilon: an upper bound on that of any attack.

    Epsilon rises from `first` times its value over the first part of the training, since the full one would hold a new
    network at chance. Exact bounds cost as much as one copy of an image per input value and undecided unit. For
    training only, there are two cheaper ones: `projections` estimates them from random copies, and `intervals` bounds
    hidden layers by intervals, at the cost of one copy per class. Certificates always use the exact bound. Networks may
    have residual blocks, without batch normalization.

    Args:
        epsilon: radius to certify, in input units; 0.1 in the paper for MNIST.
        norm: "linf" or "l2".
        first: share of epsilon at the start of the training.
        warm_up: share of the training over which epsilon rises.
        clean: weight of the cross-entropy on the unchanged images, beside 1 - `clean` for the worst ones.
        inputs: "all" changed inputs, as in the paper, or only those "in-range" of the data set (linf).
        projections: number of random copies instead of exact bounds; 0 for exact bounds.
        intervals: share of the training, from its start, with hidden layers by intervals (linf).
    """

    name: ClassVar[str] = "convex"
    architecture: ClassVar[str | None] = "wong-small"
    epsilon: float
    norm: str = "linf"
    first: float = 0.1
    warm_up: float = 0.5
    clean: float = 0.0
    inputs: str = EVERYWHERE
    projections: int = 0
    intervals: float = 0.0

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)
        norm_spelt(self.norm, f"the recipe {self.name!r}", NORMS)
        for name in ("first", "warm_up", "clean", "intervals"):
            check_share(name, getattr(self, name))
        if self.intervals and self.norm != "linf":
            raise UsageError(f"intervals are for norm=linf, got norm={self.norm}")
        check_inputs(self.inputs, self.norm)
        if type(self.projections) is not int or self.projections < 0:
            raise UsageError(f"projections is a whole number from 0 on, got {self.projections!r}")

    def check(self, noise: Noise | None, config: Settings) -> None:
        """Raise UsageError with noise, or in another precision than float32."""
        super().check(noise, config)
        check_precision(self, config)

    def epsilon_at(self, progress: float) -> float:
        """The epsilon of a step after this share of the training."""
        risen = min(1.0, progress / self.warm_up) if self.warm_up else 1.0
        return float(self.epsilon * (self.first + (1.0 - self.first) * risen))

    def outcome(self, step: Step) -> StepLoss:
        """The robust loss; a hit is an image certified at this step's epsilon."""
        logits = step.model(step.x).float()
        epsilon, limits = self.epsilon_at(step.progress), limits_of(step, self.inputs)
        margins = self._margins(step, classifier_of(step, logits), epsilon, limits)
        worst = cross_entropy(-margins, step.labels)
        clean = step.cross_entropy(logits, step.labels)
        return StepLoss((1.0 - self.clean) * worst + self.clean * clean, -margins, step.labels)

    def _margins(
        self, step: Step, classifier: Classifier, epsilon: float, limits: tuple[float, float] | None
    ) -> Tensor:
        """Lower bounds on the lead over each class: by intervals, by the library in a row of layers, or by a walk."""
        ball = Ball(step.x, epsilon, self.norm, limits)
        if step.progress < self.intervals:
            network = trainable(classifier)
            return linear_leads(network, ball, interval_boxes(network, ball), step.labels)
        try:
            row = plain(classifier, dtype=None)
        except UsageError:
            network = trainable(classifier)
            with _drawn_from(step):
                boxes = projected_boxes(network, ball, self.projections)
            return linear_leads(network, ball, boxes, step.labels)
        with _drawn_from(step):
            return least_margins(row, step.x, step.labels, epsilon, self.norm, limits, self.projections)


def classifier_of(step: Step, logits: Tensor) -> Classifier:
    """The base classifier of a step, as bounds take it."""
    return Classifier(step.module, tuple(step.x.shape[1:]), logits.shape[1], step.space.low, step.space.high)


def limits_of(step: Step, inputs: str) -> tuple[float, float] | None:
    """Smallest and largest value of the changed inputs that count; None for all."""
    return (step.space.low, step.space.high) if inputs == IN_RANGE else None


def check_precision(recipe: Recipe, config: Settings) -> None:
    """Raise UsageError unless the training is in float32."""
    if config.precision != "float32":
        raise UsageError(f"the recipe {recipe.name!r} trains in float32, got precision {config.precision!r}")


@contextmanager
def _drawn_from(step: Step) -> Iterator[None]:
    """Seed torch's global generators, which the library draws its projections from, by the step's randomness."""

    def make(images: int, generator: Generator) -> Tensor:
        return torch.randint(2**62, (images,), generator=generator, device=generator.device)

    devices = [step.x.device] if step.x.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(step.randomness(make)[0]))
        yield
