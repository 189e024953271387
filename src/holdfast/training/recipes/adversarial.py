"""Adversarial training. Source: Madry, Makelov, Schmidt, Tsipras & Vladu 2018, "Towards Deep Learning Models Resistant
to Adversarial Attacks"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn.functional import cross_entropy

from holdfast.attacks.ascent import check_ascent, random_start
from holdfast.noises.base import check_positive
from holdfast.training.recipes.attack import ascend
from holdfast.training.recipes.base import Step, StepLoss
from holdfast.training.recipes.standard import WithoutNoise

if TYPE_CHECKING:
    from torch import Generator, Tensor


@dataclass(frozen=True)
class Adversarial(WithoutNoise):
    """Cross-entropy on images moved by projected gradient ascent, from a random start, without noise.

    It costs `steps` + 1 times a step of `standard`. It is empirical: it gives no certificate.

    Args:
        epsilon: largest perturbation, in input units: 0.3 (MNIST) or 8/255 (CIFAR-10) in the paper, for linf.
        norm: "linf" or "l2".
        steps: of the attack.
        step_size: of each, in input units: 0.01 with 40 steps (MNIST) or 2/255 with 7 (CIFAR-10) in the paper. By
            default all steps together reach 2.5 epsilon (linf) or 2 (l2).
    """

    name: ClassVar[str] = "adversarial"
    epsilon: float
    norm: str = "linf"
    steps: int = 7
    step_size: float | None = None

    def __post_init__(self) -> None:
        check_ascent(self.norm, self.epsilon, self.steps)
        if self.step_size is not None:
            check_positive("step_size", self.step_size)

    def outcome(self, step: Step) -> StepLoss:
        """The mean cross-entropy on the moved images; hits are counted on them, too."""

        def loss(x: Tensor) -> Tensor:
            return cross_entropy(step.module(x).float(), step.labels, reduction="sum")

        def start(images: int, generator: Generator) -> Tensor:
            like = torch.empty((images, *step.x.shape[1:]), device=step.x.device)
            return random_start(like, self.norm, self.epsilon, generator)

        bounds = step.space.low, step.space.high
        begin = step.randomness(start)
        moved = ascend(step.module, loss, step.x, begin, self.norm, self.epsilon, self.steps, bounds, self.step_size)
        logits = step.model(moved).float()
        return StepLoss(step.cross_entropy(logits, step.labels), logits, step.labels)
