"""A small network for ablated images, of which few pixels are known: our own.

Large kernels with stride 2 gather the known pixels at once; batch normalization keeps features of few and of many known
pixels alike in size, which is what training on ablated images lacks most; blocks work where the image is a quarter as
high and wide, and channels are many.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture, image_size

_FEATURES = 512


class _Block(nn.Module):
    """Two convolutions of 3 x 3 beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(x + out)


@architecture("sparse-cnn")
def sparse_cnn(shape: Shape, num_classes: int, *, width: int = 64, blocks: int = 0) -> nn.Module:
    """Two convolutions of 4 x 4 with stride 2 (`width`, 2 x `width` channels), `blocks` residual blocks, 512 features.

    Without blocks it costs what `mnist-cnn` costs.

    Raises:
        UsageError: `shape` is not an image's of at least 4 x 4 pixels, or an argument cannot be.
    """
    channels, height, width_of_image = image_size("sparse-cnn", shape, smallest=4)
    if type(width) is not int or type(blocks) is not int or width < 1 or blocks < 0:
        raise UsageError(f"sparse-cnn has width at least 1 and blocks at least 0, got {width!r} and {blocks!r}")
    wide = 2 * width
    return nn.Sequential(
        nn.Conv2d(channels, width, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, wide, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(wide),
        nn.ReLU(),
        *(_Block(wide) for _ in range(blocks)),
        nn.Flatten(),
        nn.Linear(wide * (height // 4) * (width_of_image // 4), _FEATURES, bias=False),
        nn.BatchNorm1d(_FEATURES),
        nn.ReLU(),
        nn.Linear(_FEATURES, num_classes),
    )
