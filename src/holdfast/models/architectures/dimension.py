"""Rejecting inputs by the local intrinsic dimension of their activations. It is no certified defence.

Source: Ma, Li, Wang, Erfani, Wijewickrema, Schoenebeck, Song, Houle & Bailey 2018, "Characterizing Adversarial
Subspaces Using Local Intrinsic Dimensionality". Broken by Athalye, Carlini & Wagner 2018: the detector does not notice
adversarial inputs of high confidence.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture, build
from holdfast.models.architectures.layers import activations, learned
from holdfast.models.architectures.rejecting import Rejecting
from holdfast.models.architectures.seeded import check_count

# Distances are at least this share of the largest one among the neighbours.
_LEAST = 1e-6


class DimensionDetector(Rejecting):
    """Estimates, for the activations of each layer, how many dimensions they have room in among those of reference
    images; a logistic regression on the estimates says whether an input is adversarial.

    The recipe `dimension` trains the classifier and then sets references, regression and threshold; until then nothing
    is rejected.

    Args:
        classifier: module from inputs to logits.
        shape: of an input.
        references: reference images.
        neighbours: nearest references that an estimate uses.
    """

    images: Tensor
    weights: Tensor
    bias: Tensor

    def __init__(self, classifier: nn.Module, shape: Shape, references: int, neighbours: int) -> None:
        super().__init__()
        self.classifier = classifier
        self.neighbours = neighbours
        self.register_buffer("images", torch.zeros((references, *shape)))
        # One weight for what goes into each layer but the first, and one for the logits.
        self.register_buffer("weights", torch.zeros(len(learned(classifier))))
        self.register_buffer("bias", torch.tensor(-1.0))

    def classified(self, x: Tensor) -> Tensor:
        """The classifier's logits."""
        logits: Tensor = self.classifier(x)
        return logits

    def dimensions(self, x: Tensor) -> Tensor:
        """The estimates `(batch, layers)` of inputs."""
        known = activations(self.classifier, self.images.to(x.dtype))
        own = activations(self.classifier, x)
        return torch.stack(
            [dimension(values, others, self.neighbours) for values, others in zip(own, known, strict=True)], dim=1
        )

    def suspicion(self, x: Tensor) -> Tensor:
        """The regression's log-odds above the threshold."""
        return self.dimensions(x) @ self.weights.to(x.dtype) + self.bias.to(x.dtype)


def dimension(values: Tensor, others: Tensor, neighbours: int) -> Tensor:
    """The maximum likelihood estimate of the local intrinsic dimension at points `(batch, values)`, `(batch,)`.

    With the distances r_1 <= ... <= r_k to the nearest k of the other points, it is -1 / mean of log(r_i / r_k).
    Source: Amsaleg et al. 2015, "Estimating Local Intrinsic Dimensionality".

    Args:
        values: the points.
        others: the points around them, `(num, values)`.
        neighbours: k, at least 2 and at most their number.
    """
    near = torch.cdist(values, others, compute_mode="donot_use_mm_for_euclid_dist")
    near = near.topk(neighbours, dim=1, largest=False).values
    farthest = near[:, -1:].clamp_min(torch.finfo(near.dtype).tiny)
    mean = (near / farthest).clamp_min(_LEAST).log().mean(dim=1)
    # Where all distances are equal, the estimate is infinite: a bound keeps it finite.
    return -1.0 / mean.clamp_max(-1.0 / _most(neighbours))


def _most(neighbours: int) -> float:
    return 100.0 * math.sqrt(neighbours)


@architecture("dimension-detector", raw=True)
def dimension_detector(
    shape: Shape, num_classes: int, *, references: int = 100, neighbours: int = 20, classifier: str = "wong-small"
) -> nn.Module:
    """A classifier that rejects inputs by the local intrinsic dimension of their activations. Recipe: `dimension`.

    Estimates use the nearest `neighbours` of `references` training images.

    Raises:
        UsageError: numbers that are not whole, fewer than 2 neighbours, or more than references.
    """
    check_count("dimension-detector", "references", references)
    check_count("dimension-detector", "neighbours", neighbours)
    if not 2 <= neighbours <= references:
        raise UsageError(
            f"argument neighbours of dimension-detector is at least 2 and at most the number of references, "
            f"{references}; got {neighbours}"
        )
    return DimensionDetector(build(classifier, shape, num_classes), shape, references, neighbours)
