"""The first layer of every base classifier: inputs come in input units, networks want them normalized."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class Normalization(nn.Module):
    """Subtract a mean and divide by a standard deviation for each channel; the identity without them."""

    def __init__(self, mean: Sequence[float] | None, std: Sequence[float] | None, dimensions: int) -> None:
        super().__init__()
        self.active = mean is not None and std is not None
        shape = (-1, *[1] * (dimensions - 1))
        # The bundle's header holds the values; they are not weights.
        self.register_buffer("mean", torch.tensor(mean or (0.0,)).view(shape), persistent=False)
        self.register_buffer("std", torch.tensor(std or (1.0,)).view(shape), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channels, ...)` to the same shape, in the precision of the weights that follow."""
        x = x.to(self.get_buffer("mean").dtype)
        return (x - self.get_buffer("mean")) / self.get_buffer("std") if self.active else x
