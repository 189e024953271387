"""A classifier on the codes of an autoencoder. Source: Szegedy et al. 2014, "Intriguing properties of neural networks"
(the network AE400-10)."""

from __future__ import annotations

import math

from torch import Tensor, nn

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture


class AutoencoderClassifier(nn.Module):
    """Codes of an input, by one layer with sigmoids; a linear classifier on them, and a decoder for the training.

    Args:
        features: values of an input.
        num_classes: number of logits.
        codes: units of the code.
    """

    def __init__(self, features: int, num_classes: int, codes: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(features, codes), nn.Sigmoid())
        self.classifier = nn.Linear(codes, num_classes)
        self.decoder = nn.Linear(codes, features)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, *shape)` to logits `(batch, classes)`."""
        logits: Tensor = self.classifier(self.encoder(x))
        return logits


@architecture("autoencoder")
def autoencoder(shape: Shape, num_classes: int, *, codes: int = 400) -> nn.Module:
    """A linear classifier on `codes` units of an autoencoder; the recipe `autoencoder` trains both.

    Raises:
        UsageError: `codes` is not a positive whole number.
    """
    if type(codes) is not int or codes < 1:
        raise UsageError(f"codes is a positive whole number, got {codes!r}")
    return AutoencoderClassifier(math.prod(shape), num_classes, codes)
