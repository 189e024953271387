"""The training set on the device: all of it if it fits, so that a step moves no images."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch

from holdfast.training.augment import resized

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from holdfast.data.base import DataSet
    from holdfast.data.crops import ResizedCrop

# Largest data set to hold on a CPU, whose free memory says little; and on a GPU, as a share of its free memory.
_MOST_BYTES = 4 * 2**30
_SHARE_OF_GPU = 0.25
_AT_ONCE = 4096


class Inputs:
    """A data set as tensors on a device, in input units.

    Args:
        data: the data set.
        device: the device.
        most_bytes: a larger data set is not held on the device; each minibatch is loaded and moved.
    """

    def __init__(self, data: DataSet, device: torch.device, most_bytes: int | None = None) -> None:
        self.data = data
        self.device = device
        self.labels = torch.from_numpy(data.labels.copy()).to(device)
        limit = _room(device) if most_bytes is None else most_bytes
        self.held: Tensor | None = None
        if 4 * len(data) * math.prod(data.shape) <= limit:
            self.held = torch.empty((len(data), *data.shape), device=device)
            for first in range(0, len(data), _AT_ONCE):
                end = min(first + _AT_ONCE, len(data))
                self.held[first:end] = torch.from_numpy(data.batch(np.arange(first, end)))

    def cropped(self, indices: Tensor, crop: ResizedCrop, uniforms: Tensor) -> tuple[Tensor, Tensor]:
        """Like `batch`, but a random rectangle of each image, resized: of the whole image where inputs are a part.

        Args:
            indices: positions, an int64 tensor on the CPU.
            crop: how the rectangle is chosen.
            uniforms: `(num, UNIFORMS)` random numbers in [0, 1).
        """
        numbers = uniforms.cpu().numpy()
        if not self.data.crops_whole_images:
            x, labels = self.batch(indices)
            return resized(x, crop.boxes(numbers, *x.shape[2:])), labels
        x = torch.from_numpy(self._decoded(indices.numpy(), crop, numbers)).to(self.device)
        return x, self.labels[indices.to(self.device)]

    def _decoded(
        self, indices: NDArray[np.int64], crop: ResizedCrop, uniforms: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Rectangles of whole images, decoded by as many threads as torch computes with; these change no value."""
        threads = min(torch.get_num_threads(), len(indices))
        if threads == 1:
            return self.data.cropped(indices, crop, uniforms)
        with ThreadPoolExecutor(threads) as pool:
            parts = (np.array_split(values, threads) for values in (indices, uniforms))
            return np.concatenate(list(pool.map(lambda rows, numbers: self.data.cropped(rows, crop, numbers), *parts)))

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs `(num, *shape)` and labels `(num,)` at these positions, an int64 tensor on the CPU."""
        where = indices.to(self.device)
        if self.held is not None:
            return self.held[where], self.labels[where]
        return torch.from_numpy(self.data.batch(indices.numpy())).to(self.device), self.labels[where]


def _room(device: torch.device) -> int:
    if device.type == "cuda":
        return int(_SHARE_OF_GPU * torch.cuda.mem_get_info(device)[0])
    return _MOST_BYTES
