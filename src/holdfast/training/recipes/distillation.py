"""Defensive distillation, which makes gradients vanish. Source: Papernot, McDaniel, Wu, Jha & Swami 2016, "Distillation
as a Defense to Adversarial Perturbations against Deep Neural Networks"; broken by Carlini & Wagner 2016, "Defensive
Distillation is Not Robust to Adversarial Examples"."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakKeyDictionary

import torch
from torch.nn.functional import cross_entropy

from holdfast.errors import UsageError
from holdfast.models.bundle import load_bundle
from holdfast.plain import is_real, plain
from holdfast.spec import spell_text
from holdfast.training.recipes.base import Step, StepLoss, takes_the_same
from holdfast.training.recipes.standard import WithoutNoise

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from holdfast.models.bundle import BundleInfo
    from holdfast.noises.base import Noise
    from holdfast.training.recipes.settings import Settings

# The teacher of each network in training, which its bundle does not need.
_TEACHERS: WeakKeyDictionary[nn.Module, nn.Module] = WeakKeyDictionary()


@dataclass(frozen=True)
class Distillation(WithoutNoise):
    """Cross-entropy of softmax(logits / temperature): against the labels, or against that of a teacher.

    First train the teacher, by the labels, then the network by the teacher, both at one temperature. The network
    answers at temperature 1, where probabilities are so near to 0 and 1 that their gradients vanish.

    Args:
        temperature: divides logits in the training; 100 in the paper's experiments on MNIST with the best results.
        teacher: bundle of the teacher, trained by this recipe without one; empty for the labels.
    """

    name: ClassVar[str] = "distillation"
    paths: ClassVar[tuple[str, ...]] = ("teacher",)
    temperature: float = 100.0
    teacher: str = ""

    def __post_init__(self) -> None:
        if not (is_real(plain(self.temperature)) and self.temperature > 0.0):
            raise UsageError(f"temperature is a number above 0, got {self.temperature!r}")

    def spec(self, number: Callable[[float], str]) -> str:
        """With the file's name only, and without one that is not there."""
        given = f"{self.name}:temperature={number(self.temperature)}"
        return f"{given},teacher={spell_text(Path(self.teacher).name)}" if self.teacher else given

    def check(self, noise: Noise | None, config: Settings) -> None:
        """Raise UsageError if labels would be smoothed beside the teacher."""
        super().check(noise, config)
        if config.label_smoothing and self.teacher:
            raise UsageError(
                "with a teacher, its probabilities take the place of labels; leave out label_smoothing "
                f"({config.label_smoothing:g})"
            )

    def start(self, info: BundleInfo, images: int) -> BundleInfo:
        """The description as it is, if the teacher takes the same inputs and knows the same classes.

        Raises:
            UsageError: it does not, or was trained for a noise.
        """
        if self.teacher:
            known = load_bundle(Path(self.teacher)).info
            mine, theirs = info.input_space, known.input_space
            same = takes_the_same(known, info) and known.class_names == info.class_names
            if known.noise is not None or not same:
                raise UsageError(
                    f"the teacher {self.teacher} takes inputs of shape {theirs.shape} in [{theirs.low:g}, "
                    f"{theirs.high:g}], for the noise {known.trained_for}, and knows {len(known.class_names)} classes; "
                    f"the data have {mine.shape} in [{mine.low:g}, {mine.high:g}], no noise and "
                    f"{len(info.class_names)}, or classes of other names"
                )
        return info

    def prepare(self, module: nn.Module) -> None:
        """Load the teacher."""
        if self.teacher:
            _TEACHERS[module] = load_bundle(Path(self.teacher)).module

    def outcome(self, step: Step) -> StepLoss:
        """The mean cross-entropy at the temperature."""
        logits = step.model(step.x).float()
        tempered = logits / self.temperature
        if not self.teacher:
            return StepLoss(step.cross_entropy(tempered, step.labels), logits, step.labels)
        teacher = _TEACHERS[step.module].to(step.x.device)
        with torch.no_grad():
            goals = (teacher(step.x).float() / self.temperature).softmax(dim=1)
        return StepLoss(cross_entropy(tempered, goals), logits, step.labels)
