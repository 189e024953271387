"""ResNet-50 for ImageNet, from torchvision; the ImageNet network of Cohen et al. 2019 and Levine & Feizi 2020."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import MissingExtraError
from holdfast.models.architectures.base import Shape, architecture, image_size

if TYPE_CHECKING:
    from torch import nn

# Its layers divide height and width by 32.
_SMALLEST = 32


@architecture("resnet50")
def resnet50(shape: Shape, num_classes: int) -> nn.Module:
    """50 layers, 25.6 million parameters; the first convolution is replaced where there are not 3 channels.

    Raises:
        UsageError: `shape` is not an image's of at least 32 x 32 pixels.
        MissingExtraError: torchvision is not installed.
    """
    channels, _, _ = image_size("resnet50", shape, smallest=_SMALLEST)
    try:
        from torchvision import models
    except ImportError as error:
        raise MissingExtraError("torchvision", "torchvision", "The architecture 'resnet50'") from error
    from torch import nn

    network: nn.Module = models.resnet50(weights=None, num_classes=num_classes)
    if channels != 3:
        network.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    return network
