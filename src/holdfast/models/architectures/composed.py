"""Base classifiers that are made of others: an ensemble of them, and one behind a denoiser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture, build_normalized, image_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self


class Ensemble(nn.Module):
    """The mean of its members' logits. Source: Horvath, Mueller, Fischer & Vechev 2022, "Boosting Randomized Smoothing
    with Variance Reduced Classifiers".

    Args:
        members: modules from noisy inputs to logits.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, *noisy event)` to logits `(batch, classes)`."""
        return torch.stack([member(x) for member in self.members]).mean(dim=0)


@architecture("ensemble")
def ensemble(shape: Shape, num_classes: int, *, members: Sequence[Mapping[str, Any]]) -> nn.Module:
    """The mean of the logits of `members`, each described by its architecture, arguments and normalization.

    Raises:
        UsageError: there are none.
    """
    if not members:
        raise UsageError("an ensemble has at least one member, got none")
    return Ensemble([build_normalized(member, shape, num_classes) for member in members])


class Denoised(nn.Module):
    """A classifier that was trained without noise, behind a denoiser: the two can be smoothed together. Source: Salman,
    Sun, Yang, Kapoor & Kolter 2020, "Denoised Smoothing".

    The classifier keeps its weights and statistics: it stays in eval mode, and nothing in it is trained.

    Args:
        denoiser: module from noisy images to images of the same shape.
        classifier: module from images to logits.
    """

    def __init__(self, denoiser: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.classifier = classifier.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Noisy images `(batch, channels, height, width)` to logits `(batch, classes)`."""
        logits: Tensor = self.classifier(self.denoiser(x))
        return logits

    def train(self, mode: bool = True) -> Self:
        """Training mode for the denoiser alone."""
        super().train(mode)
        self.classifier.eval()
        return self


class _Residual(nn.Module):
    """Layers that predict the noise, which is then taken off."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.noise = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        cleaned: Tensor = x - self.noise(x)
        return cleaned


@architecture("denoised")
def denoised(
    shape: Shape, num_classes: int, *, classifier: Mapping[str, Any], depth: int = 17, width: int = 64
) -> nn.Module:
    """A classifier behind a denoising network. Source of the latter: Zhang, Zuo, Chen, Meng & Zhang 2017, "Beyond a
    Gaussian Denoiser" (DnCNN).

    `classifier` is described by its architecture, arguments and normalization; the denoiser has `depth` convolutions of
    3 x 3 with `width` channels between them.

    Raises:
        UsageError: `shape` is not an image's, or depth or width cannot be.
    """
    channels = image_size("denoised", shape)[0]
    if type(depth) is not int or type(width) is not int or depth < 2 or width < 1:
        raise UsageError(f"a denoiser has depth at least 2 and width at least 1, got {depth!r} and {width!r}")
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
    for _ in range(depth - 2):
        layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    layers.append(nn.Conv2d(width, channels, 3, padding=1))
    return Denoised(_Residual(*layers), build_normalized(classifier, shape, num_classes))
