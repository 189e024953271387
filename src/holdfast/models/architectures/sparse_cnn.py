"""A small network for ablated images, of which few pixels are known: our own.

Few features of large windows come first, since a window of 4 x 4 seldom holds more than one known pixel; batch
normalization keeps features of few and of many known pixels alike in size; blocks work where the image is a quarter as
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
def sparse_cnn(
    shape: Shape, num_classes: int, *, first: int = 32, kernel: int = 6, width: int = 128, blocks: int = 0
) -> nn.Module:
    """Two convolutions with stride 2 (`first` channels of `kernel` x `kernel`, then `width` of 4 x 4), `blocks`
    residual blocks, and 512 features.

    Without blocks it costs less than `mnist-cnn`; docs/measurements/training.md compares them.

    Raises:
        UsageError: `shape` is not an image's of at least 4 x 4 pixels, or an argument cannot be.
    """
    channels, height, width_of_image = image_size("sparse-cnn", shape, smallest=4)
    for name, value, least in (("first", first, 1), ("width", width, 1), ("blocks", blocks, 0)):
        if type(value) is not int or value < least:
            raise UsageError(f"sparse-cnn has {name} from {least} on, a whole number; got {value!r}")
    if type(kernel) is not int or kernel < 2 or kernel % 2:
        raise UsageError(f"sparse-cnn has an even kernel from 2 on, which halves height and width; got {kernel!r}")
    return nn.Sequential(
        nn.Conv2d(channels, first, kernel, stride=2, padding=kernel // 2 - 1, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(),
        nn.Conv2d(first, width, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        *(_Block(width) for _ in range(blocks)),
        nn.Flatten(),
        nn.Linear(width * (height // 4) * (width_of_image // 4), _FEATURES, bias=False),
        nn.BatchNorm1d(_FEATURES),
        nn.ReLU(),
        nn.Linear(_FEATURES, num_classes),
    )
