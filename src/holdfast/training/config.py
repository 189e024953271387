"""The settings of a training, checked at creation."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from holdfast.errors import UsageError
from holdfast.models.precision import AUTO, BFLOAT16, FLOAT32
from holdfast.plain import Plain
from holdfast.training.recipes import NoiseAugmentation, Recipe

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("cosine", "one-cycle", "constant")
PRECISIONS = (FLOAT32, BFLOAT16, AUTO)


@dataclass(frozen=True)
class TrainConfig(Plain):
    """How to train.

    Args:
        epochs: passes over the training set, at least 1.
        batch_size: images per step.
        optimizer: "sgd" (Nesterov momentum 0.9) or "adamw".
        learning_rate: the largest one of the schedule.
        weight_decay: L2 penalty (sgd) or decoupled decay (adamw).
        schedule: "cosine" to zero, "one-cycle" (linear warm-up over the first quarter, then cosine to zero), or
            "constant".
        label_smoothing: share of each label that is spread over all classes, in [0, 1).
        precision: "float32"; "bfloat16" for autocast of matrix products; or "auto" for the faster of the two here,
            measured at the start of the training and recorded in the bundle.
        noise_copies: noisy copies of each image in a step, each under its own noise; the cost grows with it.
        shared_noise: one noise realization for each minibatch instead of one for each copy.
        recipe: what a step minimizes.
        crop: largest shift of an image in each direction, in pixels; 0 for none.
        flip: whether each image is mirrored left to right half of the time.
        ema: decay of an exponential moving average of the weights, in [0, 1), which the bundle then gets; 0 for none.
        seed: of initialization, order, augmentation and noise.

    Raises:
        UsageError: a setting is out of range.
    """

    epochs: int = 20
    batch_size: int = 128
    optimizer: str = "sgd"
    learning_rate: float = 0.05
    weight_decay: float = 5e-4
    schedule: str = "one-cycle"
    label_smoothing: float = 0.0
    precision: str = FLOAT32
    noise_copies: int = 1
    shared_noise: bool = False
    recipe: Recipe = field(default_factory=NoiseAugmentation)
    crop: int = 0
    flip: bool = False
    ema: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("schedule", self.schedule, SCHEDULES),
            ("precision", self.precision, PRECISIONS),
        ):
            if value not in known:
                raise UsageError(f"the {name} is one of {', '.join(known)}, got {value!r}")
        for name, count in (
            ("epochs", self.epochs),
            ("batch_size", self.batch_size),
            ("noise_copies", self.noise_copies),
        ):
            if count < 1:
                raise UsageError(f"{name} is at least 1, got {count}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise UsageError(f"the learning rate is a positive number, got {self.learning_rate}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise UsageError(f"the weight decay is a number from 0 on, got {self.weight_decay}")
        if not 0.0 <= self.label_smoothing < 1.0:
            raise UsageError(f"label smoothing lies in [0, 1), got {self.label_smoothing}")
        if not 0.0 <= self.ema < 1.0:
            raise UsageError(f"ema is the decay of an average and lies in [0, 1), got {self.ema}")
        if type(self.crop) is not int or self.crop < 0:
            raise UsageError(f"crop is a number of pixels from 0 on, got {self.crop!r}")

    def to_dict(self) -> dict[str, Any]:
        """All settings, for checkpoints and bundles."""
        return {**asdict(self), "recipe": self.recipe.written}

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of step `step` (from 0) of `steps`."""
        done = step / steps
        if self.schedule == "constant":
            return self.learning_rate
        warm_up = 0.25 if self.schedule == "one-cycle" else 0.0
        if done < warm_up:
            return self.learning_rate * (step + 1) / (warm_up * steps + 1)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (done - warm_up) / (1.0 - warm_up)))
