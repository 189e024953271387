"""The settings of a training, checked at creation."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import asdict, dataclass, field
from functools import reduce
from itertools import pairwise
from operator import mul
from typing import Any

from holdfast.data.crops import USUAL_RATIO, ResizedCrop
from holdfast.errors import UsageError
from holdfast.models.precision import AUTO, BFLOAT16, FLOAT32
from holdfast.plain import Plain, is_real
from holdfast.training.recipes import NoiseAugmentation, Recipe

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("cosine", "one-cycle", "step", "constant")
PRECISIONS = (FLOAT32, BFLOAT16, AUTO)


@dataclass(frozen=True)
class TrainConfig(Plain):
    """How to train.

    Args:
        epochs: passes over the training set, at least 1.
        batch_size: images per step.
        optimizer: "sgd" (with momentum) or "adamw", which without weight decay is Adam.
        learning_rate: the largest one of the schedule.
        weight_decay: L2 penalty (sgd) or decoupled decay (adamw).
        schedule: "cosine" to zero, "one-cycle" (linear warm-up over the first quarter, then cosine to zero), "step"
            (times `factor` after each of the `milestones`), or "constant".
        milestones: for "step", the numbers of epochs after which the learning rate falls, in ascending order, each
            from 1 to epochs - 1.
        factor: for "step", what the learning rate is multiplied by, in (0, 1].
        momentum: of sgd, in [0, 1).
        nesterov: whether that momentum is Nesterov's.
        label_smoothing: share of each label that is spread over all classes, in [0, 1).
        precision: "float32"; "bfloat16" for autocast of matrix products; or "auto" for the faster of the two here,
            measured at the start of the training and recorded in the bundle.
        noise_copies: noisy copies of each image in a step, each under its own noise; the cost grows with it.
        shared_noise: one noise realization for each minibatch instead of one for each copy.
        recipe: what a step minimizes.
        crop: largest shift of an image in each direction, in pixels; 0 for none.
        flip: whether each image is mirrored left to right half of the time.
        resized_crop: smallest and largest share of an image's area, in (0, 1], as in (0.08, 1): a random rectangle of
            it is resized to the whole. Empty for none. It replaces `crop`.
        crop_ratio: smallest and largest ratio of that rectangle's width to its height.
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
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    label_smoothing: float = 0.0
    precision: str = FLOAT32
    noise_copies: int = 1
    shared_noise: bool = False
    recipe: Recipe = field(default_factory=NoiseAugmentation)
    crop: int = 0
    flip: bool = False
    resized_crop: tuple[float, ...] = ()
    crop_ratio: tuple[float, ...] = USUAL_RATIO
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
        self._check_schedule()
        self._check_momentum()
        self._check_resized_crop()

    def _check_schedule(self) -> None:
        object.__setattr__(self, "milestones", _tuple("milestones", "numbers of epochs", self.milestones))
        if bool(self.milestones) != (self.schedule == "step"):
            raise UsageError(
                f"the schedule 'step' needs milestones, and no other one has them; got {self.schedule!r} with "
                f"{self.milestones}. Set schedule='step' and milestones=(200,), say"
            )
        steps = (0, *self.milestones, self.epochs)
        if not all(type(each) is int for each in steps) or any(b <= a for a, b in pairwise(steps)):
            raise UsageError(
                f"milestones are numbers of epochs in ascending order, from 1 to {self.epochs - 1} for "
                f"{self.epochs} epochs, got {self.milestones}"
            )
        if not 0.0 < self.factor <= 1.0:
            raise UsageError(f"factor, which the learning rate is multiplied by, lies in (0, 1], got {self.factor}")

    def _check_momentum(self) -> None:
        if not 0.0 <= self.momentum < 1.0:
            raise UsageError(f"momentum lies in [0, 1), got {self.momentum}")
        if self.optimizer == "sgd" and self.nesterov and not self.momentum:
            raise UsageError("Nesterov's momentum needs one above 0; set nesterov to False for sgd without momentum")

    def _check_resized_crop(self) -> None:
        for name, what in (("resized_crop", "shares of the area"), ("crop_ratio", "ratios of width to height")):
            object.__setattr__(self, name, _tuple(name, what, getattr(self, name)))
        crop, ratio = self.resized_crop, self.crop_ratio
        if crop and not (len(crop) == 2 and all(map(is_real, crop)) and 0.0 < crop[0] <= crop[1] <= 1.0):
            raise UsageError(
                f"resized_crop is the smallest and the largest share of an image's area, both in (0, 1], as in "
                f"(0.08, 1), got {crop}"
            )
        if not (len(ratio) == 2 and all(map(is_real, ratio)) and 0.0 < ratio[0] <= ratio[1]):
            raise UsageError(
                f"crop_ratio is the smallest and the largest ratio of width to height, as in (3/4, 4/3), got {ratio}"
            )
        if crop and self.crop:
            raise UsageError("crop and resized_crop both move images; take one of them")

    @property
    def random_crop(self) -> ResizedCrop | None:
        """How the rectangle of an image is chosen that is resized to the whole; None for no such crops."""
        if not self.resized_crop:
            return None
        (least, most), (narrow, wide) = self.resized_crop, self.crop_ratio
        return ResizedCrop((least, most), (narrow, wide))

    def to_dict(self) -> dict[str, Any]:
        """All settings, for checkpoints and bundles."""
        return {**asdict(self), "recipe": self.recipe.written}

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of step `step` (from 0) of `steps`."""
        done = step / steps
        if self.schedule == "constant":
            return self.learning_rate
        if self.schedule == "step":
            passed = bisect_right(self.milestones, step * self.epochs // steps)
            return reduce(mul, [self.factor] * passed, self.learning_rate)
        warm_up = 0.25 if self.schedule == "one-cycle" else 0.0
        if done < warm_up:
            return self.learning_rate * (step + 1) / (warm_up * steps + 1)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (done - warm_up) / (1.0 - warm_up)))


def _tuple(name: str, what: str, given: Any) -> tuple[Any, ...]:
    """A tuple as it is, and a list, as JSON has it, as one.

    Raises:
        UsageError: it is neither.
    """
    if not isinstance(given, tuple | list):
        raise UsageError(f"{name} are {what} in a tuple, got {given!r}")
    return tuple(given)
