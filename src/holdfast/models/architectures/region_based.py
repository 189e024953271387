"""Region-based classification: the majority among random points of a cube around an input. It is no certified defence.

Source: Cao & Gong 2017, "Mitigating Evasion Attacks to Deep Neural Networks via Region-based Classification". Cohen et
al. 2019 name it, with the random self-ensemble, as a heuristic forerunner of randomized smoothing. Smoothing with the
noise `uniform` is the same vote with enough points for a certificate, for L1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from holdfast.models.architectures.base import Shape, architecture, build
from holdfast.models.architectures.seeded import STILL, Seeded, check_count, check_deviation, uniform


class RegionBased(Seeded):
    """Votes of a classifier at uniform points within `radius` of an input in Linf, and not beyond [0, 1].

    The classifier is trained without noise, as in the paper.

    Args:
        classifier: module from inputs to logits.
        radius: half the side of the cube, in input units.
        copies: points.
    """

    def __init__(self, classifier: nn.Module, radius: float, copies: int) -> None:
        super().__init__(classifier, copies)
        self.radius = radius

    def once(self, x: Tensor, seeds: Tensor) -> Tensor:
        """Logits at one point of each cube."""
        shift = (2.0 * uniform(seeds, 0, x[0].numel()) - 1.0).masked_fill((seeds == STILL).unsqueeze(1), 0.0)
        moved = x + self.radius * shift.view_as(x).to(x.dtype)
        logits: Tensor = self.classifier(moved.clamp(0.0, 1.0))
        return logits

    def answer(self, passes: Tensor) -> Tensor:
        """The number of votes of each class; the lowest class among equals is the answer."""
        votes = torch.zeros_like(passes[:, 0])
        return votes.scatter_add(1, passes.argmax(dim=2), torch.ones_like(passes[:, :, 0]))


@architecture("region-based", raw=True)
def region_based(
    shape: Shape, num_classes: int, *, radius: float = 0.3, copies: int = 100, classifier: str = "wong-small"
) -> nn.Module:
    """The majority of a classifier at `copies` random points within `radius` of an image in [0, 1], in Linf.

    Raises:
        UsageError: a negative radius, or no copies.
    """
    check_deviation("region-based", "radius", radius)
    check_count("region-based", "copies", copies)
    return RegionBased(build(classifier, shape, num_classes), float(radius), copies)
