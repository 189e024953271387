"""The plain loop of published code, for comparison: one image at a time, counts on the host."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from holdfast.noises.ablation import Ablation
from holdfast.noises.base import Noise
from holdfast.noises.gaussian import Gaussian
from holdfast.types import Example


def plain_loop(
    network: Callable[[Tensor], Tensor],
    noise: Noise,
    example: Example,
    samples: int,
    batch: int,
    classes: int,
    device: str = "cpu",
) -> list[int]:
    """Votes for one image: repeat it, add noise, forward, argmax, count. The network is on `device`."""
    x, counts = torch.from_numpy(example.x).to(device), np.zeros(classes, dtype=np.int64)
    with torch.no_grad():
        for first in range(0, samples, batch):
            repeated = x.repeat((min(batch, samples - first), 1, 1, 1))
            votes = network(_noisy(noise, repeated)).argmax(1)
            counts += np.bincount(votes.cpu().numpy(), minlength=classes)
    return [int(count) for count in counts]


def _noisy(noise: Noise, x: Tensor) -> Tensor:
    """Noise as published code draws it, from torch's own generator."""
    if isinstance(noise, Gaussian):
        return x + torch.randn_like(x) * noise.sigma
    assert isinstance(noise, Ablation)
    pixels = x.shape[2] * x.shape[3]
    retained = torch.rand(len(x), pixels, device=x.device).argsort(1)[:, : noise.k]
    mask = torch.zeros(len(x), pixels, device=x.device).scatter_(1, retained, 1.0).view(len(x), 1, *x.shape[2:])
    return torch.cat([x * mask, (1 - x) * mask], dim=1)
