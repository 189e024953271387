"""Training a nearest-neighbour classifier: it stores every training image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn.functional import one_hot

from holdfast.errors import UsageError
from holdfast.models.architectures.nearest import NearestNeighbour
from holdfast.training.recipes.base import Step, StepLoss, part_of
from holdfast.training.recipes.standard import WithoutNoise

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from holdfast.models.bundle import BundleInfo
    from holdfast.noises.base import Noise
    from holdfast.training.recipes.settings import Settings


@dataclass(frozen=True)
class Memorize(WithoutNoise):
    """Stores each training image, in one epoch; nothing is optimized."""

    name: ClassVar[str] = "memorize"
    architecture: ClassVar[str | None] = "nearest-neighbour"

    def check(self, noise: Noise | None, config: Settings) -> None:
        """Raise UsageError if an image would be stored twice, or changed."""
        super().check(noise, config)
        changed = config.crop or config.flip or config.resized_crop
        if config.epochs != 1 or config.ema or changed or config.precision != "float32":
            raise UsageError(
                "the recipe 'memorize' takes each image once and as it is: one epoch, float32, and neither ema, crop, "
                "flip nor resized_crop; set epochs to 1 and leave the others out"
            )

    def start(self, info: BundleInfo, images: int) -> BundleInfo:
        """Room for all images, unless the arguments give another size."""
        return replace(info, arguments={"stored": images, **info.arguments})

    def prepare(self, module: nn.Module) -> None:
        """Raise UsageError unless `module` contains a nearest-neighbour classifier."""
        part_of(self, module, NearestNeighbour)

    def outcome(self, step: Step) -> StepLoss:
        """No loss; every image is a hit."""
        part = part_of(self, step.module, NearestNeighbour)
        if int(step.randomness(_count)[0]) != len(step.x):
            raise UsageError("the recipe 'memorize' stores images in one process; train on one device")
        parts = [each for each in step.module.children() if each is not part]
        with torch.no_grad():
            x = step.x
            for each in parts:
                x = each(x)
            part.store(x, step.labels)
        logits = one_hot(step.labels, part.num_classes).float()
        return StepLoss(0.0 * part.scale, logits, step.labels)


def _count(images: int, generator: Generator) -> Tensor:
    return torch.full((images,), images)
