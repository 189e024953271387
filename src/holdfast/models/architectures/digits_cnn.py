"""A small convolutional network for images of 8 x 8 pixels."""

from __future__ import annotations

from torch import nn

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture

_SIDE = 8


@architecture("digits-cnn")
def digits_cnn(shape: Shape, num_classes: int) -> nn.Module:
    """Three convolutions of 3 x 3 (32, 64 with stride 2, 64 channels) and two fully connected layers.

    Raises:
        UsageError: `shape` is not (channels, 8, 8).
    """
    if shape[1:] != (_SIDE, _SIDE):
        raise UsageError(
            f"architecture 'digits-cnn' takes images (channels, {_SIDE}, {_SIDE}), got inputs of shape {shape}; "
            "mnist-cnn and the ResNets take other sizes, digits-mlp any shape"
        )
    side = _SIDE // 2
    return nn.Sequential(
        nn.Conv2d(shape[0], 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * side * side, 128),
        nn.ReLU(),
        nn.Linear(128, num_classes),
    )
