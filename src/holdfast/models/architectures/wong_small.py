"""The small convolutional network of provable training. Source: Wong & Kolter 2018, "Provable Defenses against
Adversarial Examples via the Convex Outer Adversarial Polytope"; sizes as in convex_adversarial's example for MNIST."""

from __future__ import annotations

from torch import nn

from holdfast.models.architectures.base import Shape, architecture, image_size


@architecture("wong-small")
def wong_small(shape: Shape, num_classes: int) -> nn.Module:
    """Two convolutions of 4 x 4 with stride 2 (16, 32 channels) and two fully connected layers (100 units).

    Raises:
        UsageError: `shape` is not an image's of at least 4 x 4 pixels.
    """
    channels, height, width = image_size("wong-small", shape, smallest=4)
    return nn.Sequential(
        nn.Conv2d(channels, 16, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * (height // 4) * (width // 4), 100),
        nn.ReLU(),
        nn.Linear(100, num_classes),
    )
