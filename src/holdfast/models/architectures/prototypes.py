"""Learned prototypes as a base classifier.

Sources: Voracek & Hein 2022, "Provably Adversarially Robust Nearest Prototype Classifiers"; Saralajew, Holdijk &
Villmann 2020, "Fast Adversarial Robustness Certification of Nearest Prototype Classifiers for Arbitrary Seminorms".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from holdfast.models.architectures.base import Shape, architecture
from holdfast.models.architectures.nearest import nearest_squares
from holdfast.models.architectures.seeded import check_count


class Prototypes(nn.Module):
    """Answers the class of the prototype that is nearest in L2; the lowest class among equals.

    The logit of a class is minus the squared distance to its nearest prototype.

    Args:
        shape: shape of an input.
        num_classes: how many there are.
        per_class: prototypes of each class.
    """

    # Which class each prototype belongs to; they are sorted by class.
    labels: Tensor

    def __init__(self, shape: Shape, num_classes: int, per_class: int) -> None:
        super().__init__()
        self.num_classes, self.per_class = num_classes, per_class
        self.points = nn.Parameter(torch.rand((num_classes * per_class, math.prod(shape))))
        self.register_buffer("labels", torch.arange(num_classes).repeat_interleave(per_class), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, *shape)` to logits `(batch, classes)`."""
        return -nearest_squares(x.flatten(1), self.points.to(x.dtype), self.labels, self.num_classes)


@architecture("prototypes", raw=True)
def prototypes(shape: Shape, num_classes: int, *, per_class: int = 100) -> nn.Module:
    """The class of the nearest of `per_class` learned prototypes of each class, in L2. Recipe: `prototypes`.

    Raises:
        UsageError: `per_class` is not a whole number from 1 on.
    """
    check_count("prototypes", "per_class", per_class)
    return Prototypes(shape, num_classes, per_class)
