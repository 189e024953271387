"""The noisy copies of a study: pictures of a few test images with noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from holdfast.errors import UsageError
from holdfast.noises.base import grey_or_rgb, is_picture
from holdfast.store.samples import chosen
from holdfast.workflows.specs import parse_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.data.base import DataSet
    from holdfast.noises.base import Noise
    from holdfast.reproductions.plans import Noising
    from holdfast.reproductions.results import Noised

# Pictures prove nothing: their noise may be known beforehand, and is the same on every page.
_SEED = 0


def noised(job: Noising, data: DataSet) -> tuple[Noised, ...]:
    """One noisy copy of each of a few images.

    Raises:
        UsageError: inputs are no pictures, their sides are no multiples of the squares that are averaged, or the noise
            does not keep their shape.
    """
    from holdfast.reproductions.results import Noised

    if not is_picture(data.shape):
        raise UsageError(f"{job.name} shows pictures, (1 or 3, height, width); the inputs have the shape {data.shape}")
    noise = None if job.noise is None else parse_noise(job.noise)
    made = []
    for example in data.examples(chosen(len(data), job.every, job.limit, None)):
        clean = averaged(example.x, job.before)
        noisy = averaged(clean if noise is None else _copy(noise, clean, example.index), job.after)
        change = noisy.astype(np.float64) - averaged(clean, job.after)
        made.append(
            Noised(
                index=example.index,
                label=data.class_names[example.label],
                picture=grey_or_rgb((noisy - np.float32(data.low)) / np.float32(data.high - data.low)),
                distance=float(np.sqrt((change**2).sum())),
                values=noisy.size,
                outside=int(((noisy < data.low) | (noisy > data.high)).sum()),
            )
        )
    return tuple(made)


def averaged(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """An image `(channels, height, width)` in which each square of `side` x `side` pixels is one, their mean.

    Raises:
        UsageError: its height and width are no multiples of `side`.
    """
    channels, height, width = image.shape
    if height % side or width % side:
        raise UsageError(
            f"squares of {side} x {side} pixels do not tile an image of {height} x {width}; give images of another size"
        )
    squares = image.reshape(channels, height // side, side, width // side, side)
    means: NDArray[np.float32] = squares.astype(np.float64).mean(axis=(2, 4)).astype(np.float32)
    return means


def _copy(noise: Noise, clean: NDArray[np.float32], index: int) -> NDArray[np.float32]:
    import torch

    from holdfast.noises.draws import Draws
    from holdfast.sampling.rng import Stream

    if noise.noisy_shape(clean.shape) != clean.shape:
        raise UsageError(f"{noise} changes the shape of an image, from {clean.shape}; a noise that adds keeps it")
    draws = Draws(_SEED, index, Stream.GALLERY, 1)
    copy: NDArray[np.float32] = noise.sample(torch.from_numpy(clean), draws)[0].numpy()
    return copy
