"""The MNIST network of adversarial training. Source: Madry, Makelov, Schmidt, Tsipras & Vladu 2018, "Towards Deep
Learning Models Resistant to Adversarial Attacks", section 5; kernels as in its program for MNIST."""

from __future__ import annotations

from torch import nn

from holdfast.models.architectures.base import Shape, architecture, image_size


@architecture("madry-cnn")
def madry_cnn(shape: Shape, num_classes: int) -> nn.Module:
    """Two convolutions of 5 x 5 (32, 64 channels), each followed by max pooling, and 1,024 fully connected units.

    Raises:
        UsageError: `shape` is not an image's of at least 4 x 4 pixels.
    """
    channels, height, width = image_size("madry-cnn", shape, smallest=4)
    return nn.Sequential(
        nn.Conv2d(channels, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * (height // 4) * (width // 4), 1024),
        nn.ReLU(),
        nn.Linear(1024, num_classes),
    )
