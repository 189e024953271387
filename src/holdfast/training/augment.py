"""Standard augmentation of a minibatch of images, on its device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from holdfast.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Generator, Tensor

    from holdfast.training.config import TrainConfig


def check_augmentation(config: TrainConfig, shape: tuple[int, ...], grid: int | None = None) -> None:
    """Raise UsageError if `config` asks for augmentation that these inputs do not allow.

    Args:
        config: the settings.
        shape: of an input.
        grid: number of values that an input value can have; None for any value.
    """
    if (config.crop or config.flip or config.resized_crop) and len(shape) != 3:
        raise UsageError(
            f"crop and flip are for images (channels, height, width), and so is resized_crop; got inputs of shape "
            f"{shape}"
        )
    if config.resized_crop and grid is not None:
        raise UsageError(
            f"resized_crop makes values between the {grid} that this noise is for; leave it out, or take crop"
        )


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


def resized(x: Tensor, boxes: NDArray[np.int64]) -> Tensor:
    """A rectangle of each image, resized to the whole: bilinear and antialiased, as Pillow does it.

    Args:
        x: `(batch, channels, height, width)`.
        boxes: `(batch, 4)`: left, top, and the first column and row beyond the rectangle.
    """
    left, top, right, bottom = torch.from_numpy(boxes).to(x.device).unbind(1)
    rows, columns = _weights(top, bottom, x.shape[2], x.dtype), _weights(left, right, x.shape[3], x.dtype)
    found = rows.unsqueeze(1) @ x @ columns.transpose(1, 2).unsqueeze(1)
    # Rounding may leave the range of the values.
    return found.clamp(x.min(), x.max())


def _weights(first: Tensor, end: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """For each image `(size, size)`: how much of each old row (or column), from `first` to `end`, a new one has.

    A triangle around the place of the new row, as wide as a new row or an old one, whichever is wider.
    """
    places = torch.arange(size, device=first.device, dtype=torch.float64) + 0.5
    start, step = first.double().view(-1, 1, 1), ((end - first).double() / size).view(-1, 1, 1)
    far = (places.view(1, 1, -1) - (start + places.view(1, -1, 1) * step)).abs()
    inside = (places > first.view(-1, 1)) & (places < end.view(-1, 1))
    weights = (1.0 - far / step.clamp(min=1.0)).clamp(min=0.0) * inside.unsqueeze(1)
    return (weights / weights.sum(dim=2, keepdim=True)).to(dtype)
