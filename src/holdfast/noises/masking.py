"""What the noises share that keep some pixels of an input and replace all others by NULL."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from holdfast.errors import UsageError
from holdfast.noises.base import Noise, Shape, grey_or_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Generator, Tensor
    from typing_extensions import Self

# NULL pixels in pictures: a colour that grey images do not have and photographs rarely do.
_NULL_COLOUR = np.array([38, 166, 154], dtype=np.uint8)


class MaskingNoise(Noise):
    """Noise that keeps some pixels and replaces all others by NULL; all channels of a pixel are kept or not together.

    A subclass is a dataclass with the fields `null` and `fill` besides its own. It draws masks `(num, pixels)`, True
    where a pixel is kept.

    Attributes:
        null: how NULL is encoded. "multichannel": a value s becomes the pair (s, 1 - s) and NULL (0, 0), which doubles
            the channels: (red, green, blue, 1 - red, 1 - green, 1 - blue). "mean": NULL is the mean value `fill`
            of each channel.
        fill: for "mean", one value for each channel, in input units; `fitted` takes it from the training set.
    """

    null: str
    fill: tuple[float, ...] | None

    def __post_init__(self) -> None:
        if self.null not in ("multichannel", "mean"):
            raise UsageError(f"null is 'multichannel' or 'mean', got {self.null!r}")
        if self.null == "multichannel" and self.fill is not None:
            raise UsageError("fill belongs to null='mean'; leave it out with null='multichannel'")
        if isinstance(self.fill, float):
            object.__setattr__(self, "fill", (self.fill,))

    def apply(self, x: Tensor, draws: Tensor) -> Tensor:
        """Masked inputs, encoded: `(batch, 2 x channels, ...)` for "multichannel", the input's shape for "mean"."""
        # One feature is one pixel with one channel: (batch, features) is treated as (batch, 1, features).
        image = x if x.ndim == 4 else x.unsqueeze(1)
        mask = draws.view(draws.shape[0], 1, *image.shape[2:])
        if self.null == "multichannel":
            batch, channels = max(len(image), len(mask)), image.shape[1]
            noisy = image.new_empty((batch, 2 * channels, *image.shape[2:]))
            noisy[:, :channels] = image * mask
            noisy[:, channels:] = (1.0 - image) * mask
            return noisy
        noisy = image.where(mask, image.new_tensor(self._fill_of(image.shape[1])).view(1, -1, *[1] * (image.ndim - 2)))
        return noisy if x.ndim == 4 else noisy.squeeze(1)

    def noisy_shape(self, shape: Shape) -> Shape:
        """Twice the channels for "multichannel"; features `(d,)` become `(2, d)`."""
        if self.null == "mean":
            return shape
        return (2, shape[0]) if len(shape) == 1 else (2 * shape[0], *shape[1:])

    def check_inputs(self, shape: Shape, low: float, high: float) -> None:
        """Raise UsageError if the encoding does not fit the range or the channels."""
        super().check_inputs(shape, low, high)
        if self.null == "multichannel" and not (low == 0.0 and high == 1.0):
            raise UsageError(
                f"null='multichannel' encodes s as (s, 1 - s), so inputs must lie in [0, 1]; theirs is [{low}, {high}]"
            )
        if self.null == "mean":
            self._fill_of(channel_count(shape))

    def fitted(self, mean: tuple[float, ...]) -> Self:
        """With null="mean" and no `fill`: the training set's mean of each channel."""
        if self.null != "mean" or self.fill is not None:
            return self
        return cast("Self", replace(cast("Any", self), fill=mean))

    def render(self, noisy: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The kept pixels on a ground of the NULL colour (multichannel); the image itself (mean)."""
        if self.null == "mean":
            return grey_or_rgb(noisy)
        channels = len(noisy) // 2
        picture = grey_or_rgb(noisy[:channels])
        picture[noisy.sum(axis=0) == 0] = _NULL_COLOUR
        return picture

    @property
    def legend(self) -> str:
        """The NULL colour, where there is one."""
        return "teal pixels were taken away" if self.null == "multichannel" else ""

    def _fill_of(self, channels: int) -> tuple[float, ...]:
        if self.fill is None or len(self.fill) != channels:
            raise UsageError(
                f"null='mean' needs one fill value for each of the {channels} channels, got {self.fill}; "
                "training takes them from the training set"
            )
        return self.fill


def check_k(k: int) -> None:
    """Raise UsageError unless `k` is a whole number of pixels, at least 1."""
    if type(k) is not int or k < 1:
        raise UsageError(f"the retention constant k is a whole number of pixels, at least 1, got {k!r}")


def check_kept(k: int, pixels: int, shape: Shape) -> None:
    """Raise UsageError if inputs have fewer pixels than are to be kept."""
    if k > pixels:
        raise UsageError(f"k = {k} pixels cannot be kept of the {pixels} that inputs of shape {shape} have")


def channel_count(shape: Shape) -> int:
    """Channels of a pixel; 1 for features."""
    return shape[0] if len(shape) == 3 else 1


def random_subsets(x: Tensor, num: int, size: int, k: int, generator: Generator) -> Tensor:
    """Masks `(num, size)`, True at exactly k places of each, every such set equally likely.

    The k places with the smallest of independent uniform keys. Keys are floats and can be equal; a mask in which a tie
    reaches the k-th key is drawn anew, which keeps the choice exactly uniform (docs/guarantees.md).
    """
    if k >= size:
        return x.new_ones((num, size)) > 0
    keys = x.new_empty((num, size)).uniform_(generator=generator)
    while True:
        smallest = keys.topk(k + 1, dim=1, largest=False, sorted=True).values
        last = smallest[:, k - 1]
        tied = last == smallest[:, k]
        if not bool(tied.any()):
            return keys <= last.unsqueeze(1)
        keys[tied] = keys[tied].uniform_(generator=generator)
