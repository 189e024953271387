"""The MNIST network of randomized ablation. Source: Levine & Feizi 2020, "Robustness Certificates for Sparse
Adversarial Attacks by Randomized Ablation", Table 9."""

from __future__ import annotations

from torch import nn

from holdfast.models.architectures.base import Shape, architecture, image_size


@architecture("mnist-cnn")
def mnist_cnn(shape: Shape, num_classes: int) -> nn.Module:
    """Two convolutions of 4 x 4 with stride 2 (64, 128 channels) and three fully connected layers.

    The paper's inputs are (2, 28, 28), which makes 6,272 features; other sizes from 4 x 4 are taken too.

    Raises:
        UsageError: `shape` is not an image's of at least 4 x 4 pixels.
    """
    channels, height, width = image_size("mnist-cnn", shape, smallest=4)
    features = 128 * (height // 4) * (width // 4)
    return nn.Sequential(
        nn.Conv2d(channels, 64, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 128, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(features, 500),
        nn.ReLU(),
        nn.Linear(500, 100),
        nn.ReLU(),
        nn.Linear(100, num_classes),
    )
