"""Standard augmentation of a minibatch of images, on its device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from holdfast.training.config import TrainConfig


def check_augmentation(config: TrainConfig, shape: tuple[int, ...]) -> None:
    """Raise UsageError if `config` asks for augmentation that inputs of this shape do not allow."""
    if (config.crop or config.flip) and len(shape) != 3:
        raise UsageError(f"crop and flip are for images (channels, height, width), got inputs of shape {shape}")


def augment(x: Tensor, config: TrainConfig, generator: Generator) -> Tensor:
    """Move each image by up to `config.crop` pixels and, with `config.flip`, mirror it half of the time.

    Args:
        x: `(batch, channels, height, width)`; zeros fill in at the edges.
        config: the settings.
        generator: the only source of randomness, on the device of `x`.
    """
    if config.crop:
        x = _crop(x, config.crop, generator)
    if config.flip:
        mirrored = torch.rand((len(x), 1, 1, 1), device=x.device, generator=generator) < 0.5
        x = torch.where(mirrored, x.flip(3), x)
    return x


def _crop(x: Tensor, pixels: int, generator: Generator) -> Tensor:
    batch, _, height, width = x.shape
    padded = torch.nn.functional.pad(x, (pixels,) * 4)
    corners = torch.randint(0, 2 * pixels + 1, (2, batch, 1), device=x.device, generator=generator)
    rows = corners[0] + torch.arange(height, device=x.device)
    columns = corners[1] + torch.arange(width, device=x.device)
    images = torch.arange(batch, device=x.device)
    # The channels, between two indexed axes, come out last.
    return padded[images[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
