"""The convolutional networks that the attacks of Carlini & Wagner were measured on. Source: Carlini & Wagner 2017,
"Towards Evaluating the Robustness of Neural Networks", Table I."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture, image_size, widths_of

if TYPE_CHECKING:
    from collections.abc import Sequence


@architecture("carlini-cnn")
def carlini_cnn(
    shape: Shape, num_classes: int, *, widths: Sequence[float] = (32, 64), hidden: int = 200, dropout: float = 0.5
) -> nn.Module:
    """Two stages of two 3 x 3 convolutions and a 2 x 2 max pooling, then two fully connected layers.

    Args:
        shape: of an input.
        num_classes: number of classes.
        widths: channels of the convolutions of each stage; (32, 64) for MNIST, (64, 128) for CIFAR-10.
        hidden: units of each fully connected layer; 200 for MNIST, 256 for CIFAR-10.
        dropout: share of the first layer's units dropped in training, in [0, 1).

    Raises:
        UsageError: `shape` is not an image's of at least 16 x 16 pixels, or an argument is out of range.
    """
    channels, height, width = image_size("carlini-cnn", shape, smallest=16)
    channels_of = widths_of("carlini-cnn", widths)
    if len(channels_of) != 2 or type(hidden) is not int or hidden < 1:
        raise UsageError(f"widths are two whole numbers above 0, and hidden is one; got {widths!r} and {hidden!r}")
    if not 0.0 <= dropout < 1.0:
        raise UsageError(f"dropout is a share from 0 to below 1, got {dropout!r}")
    first, second = channels_of
    # No padding, so each convolution takes a pixel from every side.
    rows, columns = (((side - 4) // 2 - 4) // 2 for side in (height, width))
    return nn.Sequential(
        *(nn.Conv2d(channels, first, 3), nn.ReLU(), nn.Conv2d(first, first, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(first, second, 3), nn.ReLU(), nn.Conv2d(second, second, 3), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        *(nn.Linear(second * rows * columns, hidden), nn.ReLU(), nn.Dropout(dropout)),
        *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, num_classes)),
    )
