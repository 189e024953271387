"""MagNet: autoencoders in front of a classifier, which detect inputs far from the data and reform the others. No
certified defence: it is here to be broken. Source: Meng & Chen 2017, "MagNet: a Two-Pronged Defense against Adversarial
Examples"; broken by Carlini & Wagner 2017, "MagNet and Efficient Defenses Against Adversarial Attacks are Not Robust to
Adversarial Examples"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture, build, image_size
from holdfast.models.architectures.rejecting import Rejecting

if TYPE_CHECKING:
    from collections.abc import Sequence

# The exponents of the errors of the two detectors, as in the paper on MNIST.
_POWERS = (2, 1)


class MagNet(Rejecting):
    """Rejects inputs that an autoencoder changes much; classifies what the first autoencoder makes of the others.

    An adversary who does not know of the defence differentiates the classifier alone.

    Args:
        classifier: module from images to logits.
        autoencoders: modules from images to images: the first one reforms and detects, the second one detects.
    """

    thresholds: Tensor

    def __init__(self, classifier: nn.Module, autoencoders: Sequence[nn.Module]) -> None:
        super().__init__()
        self.classifier = classifier
        self.autoencoders = nn.ModuleList(autoencoders)
        # Set by the recipe after the training; until then nothing is rejected.
        self.register_buffer("thresholds", torch.full((len(autoencoders),), 1e30))

    def classified(self, x: Tensor) -> Tensor:
        """Logits `(batch, classes)` of reformed images."""
        logits: Tensor = self.classifier(self.autoencoders[0](x))
        return logits

    def errors(self, x: Tensor) -> Tensor:
        """What each autoencoder gets wrong of each image, a mean over values, `(batch, autoencoders)`."""
        return torch.stack(
            [
                (x - autoencoder(x)).abs().flatten(1).pow(power).mean(dim=1)
                for power, autoencoder in zip(_POWERS, self.autoencoders, strict=True)
            ],
            dim=1,
        )

    def suspicion(self, x: Tensor) -> Tensor:
        """The largest error above its threshold, as a share of the threshold."""
        return (self.errors(x) / self.thresholds).amax(dim=1) - 1.0

    def still(self, count: int, device: torch.device) -> Tensor:
        """What tells `under` to leave the reformer out."""
        return torch.ones((count, 1), device=device)

    def under(self, x: Tensor, draws: Tensor) -> Tensor:
        """Logits of all inputs; of unreformed ones for the draws of `still`."""
        logits: Tensor = self.classifier(x) if draws.shape[1] else self.classified(x)
        return logits


def _autoencoder(channels: int, pooled: bool, width: int) -> nn.Module:
    """The paper's for MNIST: convolutions of 3 x 3 and sigmoids, around one half of the side if `pooled`."""
    first = (nn.Conv2d(channels, width, 3, padding=1), nn.Sigmoid())
    last = (nn.Conv2d(width, channels, 3, padding=1), nn.Sigmoid())

    def between() -> tuple[nn.Module, ...]:
        return nn.Conv2d(width, width, 3, padding=1), nn.Sigmoid()

    if not pooled:
        return nn.Sequential(*first, *between(), *last)
    return nn.Sequential(
        *first, nn.AvgPool2d(2), *between(), *between(), nn.Upsample(scale_factor=2), *between(), *last
    )


@architecture("magnet", raw=True)
def magnet(shape: Shape, num_classes: int, *, classifier: str = "mnist-cnn", width: int = 3) -> nn.Module:
    """A classifier behind two autoencoders with `width` channels, which detect and reform. Recipe magnet.

    Raises:
        UsageError: no images with even sides, or the width is not a positive whole number.
    """
    channels, height, side = image_size("magnet", shape, smallest=4)
    if height % 2 or side % 2:
        raise UsageError(f"architecture 'magnet' halves images: it takes even heights and widths, got {shape}")
    if type(width) is not int or width < 1:
        raise UsageError(f"argument width of magnet is a whole number from 1 on, got {width!r}")
    autoencoders = [_autoencoder(channels, pooled, width) for pooled in (True, False)]
    return MagNet(build(classifier, shape, num_classes), autoencoders)
