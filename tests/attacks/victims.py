"""What the tests attack: small trained models with their data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from holdfast.attacks import PlainTarget, SmoothedTarget, attack_from_dict
from holdfast.attacks.distances import distance
from holdfast.data import open_data
from holdfast.data.base import DataSet
from holdfast.models.bundle import load_bundle
from holdfast.sampling.classifier import VotingClassifier
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.training.recipes import NoiseAugmentation, Standard
from holdfast.workflows.train import begun_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from holdfast.attacks import Attack, Target
    from holdfast.noises.base import Noise


@dataclass(frozen=True)
class Victim:
    """A trained model and the test set."""

    path: Path
    module: nn.Module
    data: DataSet
    noise: Noise | None

    def target(self, n: int = 200, alpha: float = 0.05, **options: object) -> Target:
        """The model as an adversary sees it."""
        if self.noise is None:
            return PlainTarget(self.module, 10, self.data.shape)
        voting = VotingClassifier(self.module, 10)
        options = {"module": self.module, "batch_size": 512, **options}
        return SmoothedTarget(voting, self.noise, self.data.shape, n, alpha, **options)

    def image(self, index: int) -> tuple[Tensor, int]:
        """An image and the class that the model gives it without noise, so that every image can be attacked."""
        x = torch.from_numpy(self.data[index].x)
        if self.noise is not None:
            return x, self.data[index].label
        return x, int(self.module(x.unsqueeze(0)).argmax())


def few(data: DataSet, count: int) -> DataSet:
    """The first examples of a data set of 8-bit images."""
    values = (data.batch(range(count)) * 255).round().astype(np.uint8)
    names, labels = data.class_names, data.labels[:count]
    return DataSet.in_memory(source=data.source, split=data.split, class_names=names, labels=labels, values=values)


def trained(
    path: Path,
    noise: Noise | None,
    source: str = "digits",
    place: Path | None = None,
    architecture: str = "digits-cnn",
) -> Victim:
    """Train for seconds."""
    data = open_data(source, place, "train", {})
    recipe = Standard() if noise is None else NoiseAugmentation()
    config = TrainConfig(epochs=10, learning_rate=0.1, recipe=recipe)
    if source == "mnist":
        data, fast = few(data, 10_000), {"optimizer": "adamw", "learning_rate": 0.003, "weight_decay": 0.02}
        config = TrainConfig(epochs=4, batch_size=64, recipe=recipe, **fast)
    train(begun_bundle(data, noise, architecture), config, data, path)
    fitted = load_bundle(path)
    return Victim(path, fitted.module, open_data(source, place, "test", {}), fitted.info.trained_for)


def made(name: str, norm: str | None = None, **parameters: object) -> Attack:
    """An attack by its name."""
    return attack_from_dict({"name": name, **({} if norm is None else {"norm": norm}), **parameters})


def magnitudes(attack: Attack, victim: Victim, target: Target, images: range, budget: float) -> list[float]:
    """The distance that an attack finds for each image, infinity where it fails; all of it is checked again."""
    found = []
    for index in images:
        x, label = victim.image(index)
        adversarial = attack.run(target, x, label, budget, seed=index)
        if adversarial is None:
            found.append(math.inf)
            continue
        assert adversarial.shape == x.shape
        assert target.low <= float(adversarial.min())
        assert float(adversarial.max()) <= target.high
        assert int(target.decide(adversarial.unsqueeze(0))[0]) != label
        found.append(distance(x, adversarial, attack.measure))
        assert found[-1] <= budget
    return found
