"""The common part of noises that keep some pixels of an input and replace all others by NULL."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast, final

import numpy as np

from holdfast.errors import UsageError
from holdfast.limits import MOST_SET_BITS, set_bits
from holdfast.noises.base import Noise, Shape, grey_or_rgb
from holdfast.plain import is_real, plain

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor
    from typing_extensions import Self

    from holdfast.noises.draws import Draws

# NULL pixels in pictures: a colour that grey images do not have and photographs rarely do.
NULL_COLOUR = np.array([38, 166, 154], dtype=np.uint8)


class MaskingNoise(Noise):
    """Keeps some pixels and replaces all others by NULL; the channels of a pixel are kept or replaced together.

    A subclass is a dataclass with the fields `null` and `fill` besides its own. It draws the positions of the kept
    pixels, int64 `(num, places)` in 0..pixels - 1; a position may occur several times.

    Attributes:
        null: how NULL is encoded. "multichannel": a value s becomes the pair (s, 1 - s) and NULL (0, 0), which doubles
            the channels: (red, green, blue, 1 - red, 1 - green, 1 - blue). "normalized": the same, but each channel is
            first normalized to mean 0 and deviation 1, t = (s - mean) / deviation, and becomes (t, 1 - t): as for
            ImageNet in Levine & Feizi 2020, footnote 1. "mean": NULL is the mean value `fill` of each channel.
        fill: in input units, from the training set (`fitted`). For "mean", the mean of each channel; for "normalized",
            the mean of each channel, then the standard deviation of each.
    """

    draws_places: ClassVar[bool] = True
    null: str
    fill: tuple[float, ...] | None

    def __post_init__(self) -> None:
        if self.null not in ("multichannel", "normalized", "mean"):
            raise UsageError(f"null is 'multichannel', 'normalized' or 'mean', got {self.null!r}")
        if self.null == "multichannel" and self.fill is not None:
            raise UsageError("fill belongs to null='mean' and null='normalized'; leave it out with null='multichannel'")
        if is_real(self.fill):
            object.__setattr__(self, "fill", (self.fill,))
        if not (self.fill is None or (isinstance(self.fill, tuple | list) and all(map(is_real, self.fill)))):
            raise UsageError(f"fill is one finite number for each channel, in input units, got {self.fill!r}")

    def apply(self, x: Tensor, draws: Tensor) -> Tensor:
        """Masked inputs, encoded: the input's shape for "mean", `(batch, 2 x channels, ...)` for the others."""
        noisy = x.new_empty((max(len(x), len(draws)), *self.noisy_shape(tuple(x.shape[1:]))))
        self._encode(noisy, x, draws)
        return noisy

    @final
    def sample_into(self, noisy: Tensor, x: Tensor, draws: Draws) -> None:
        """Write NULL everywhere, then the kept pixels."""
        self._encode(noisy, x.unsqueeze(0), self.draw(x, draws))

    def _encode(self, noisy: Tensor, x: Tensor, places: Tensor) -> None:
        # One feature is one pixel with one channel: (batch, features) is treated as (batch, 1, features).
        channels = channel_count(tuple(x.shape[1:]))
        values = x.reshape(len(x), channels, -1)
        encoded = noisy.view(len(noisy), -1, values.shape[2])
        where = places.unsqueeze(1).expand(len(noisy), channels, -1)
        kept = values.expand(len(noisy), -1, -1).gather(2, where)
        if self.null == "mean":
            # Number by number: a tensor of them would have to be copied to the device, which waits.
            for channel, value in enumerate(self._fill_of(channels)):
                encoded[:, channel].fill_(value)
            encoded.scatter_(2, where, kept)
            return
        if self.null == "normalized":
            # By tensors: some devices would replace division by a number with multiplication by its reciprocal.
            constants = x.new_empty((2, channels, 1))
            for place, value in zip(constants.view(-1).unbind(), self._fill_of(channels), strict=True):
                place.fill_(value)
            kept = (kept - constants[0]) / constants[1]
        encoded.zero_()
        encoded[:, :channels].scatter_(2, where, kept)
        encoded[:, channels:].scatter_(2, where, 1.0 - kept)

    def noisy_shape(self, shape: Shape) -> Shape:
        """Twice the channels, but for "mean"; features `(d,)` become `(2, d)`."""
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
        if self.null != "multichannel":
            self._fill_of(channel_count(shape))

    def fitted(self, mean: tuple[float, ...], deviation: tuple[float, ...] = ()) -> Self:
        """With no `fill`: the training set's mean of each channel, and for "normalized" its deviation."""
        if self.null == "multichannel" or self.fill is not None:
            return self
        return cast("Self", replace(cast("Any", self), fill=mean if self.null == "mean" else (*mean, *deviation)))

    def render(self, noisy: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The kept pixels on a background in the NULL colour; with the mean as NULL, the image itself."""
        if self.null == "mean":
            return grey_or_rgb(noisy)
        channels = len(noisy) // 2
        shown = noisy[:channels]
        if self.null == "normalized":
            mean, deviation = np.array(self._fill_of(channels), dtype=np.float32).reshape(2, -1, 1, 1)
            shown = (shown * deviation + mean).clip(0.0, 1.0)
        picture = grey_or_rgb(shown)
        picture[(noisy == 0).all(axis=0)] = NULL_COLOUR
        return picture

    @property
    def legend(self) -> str:
        """The NULL colour, if there is one."""
        return "" if self.null == "mean" else "teal pixels were taken away"

    def _fill_of(self, channels: int) -> tuple[float, ...]:
        wanted, count = "one fill value", channels
        if self.null == "normalized":
            wanted, count = "a mean and then a deviation above 0 as fill", 2 * channels
        fill = self.fill or ()
        if len(fill) != count or (self.null == "normalized" and min(fill[channels:]) <= 0.0):
            raise UsageError(
                f"null={self.null!r} needs {wanted} for each of the {channels} channels, got {self.fill}; "
                "training takes them from the training set"
            )
        return fill


def check_sets(d: int, k: int) -> None:
    """Raise UsageError if the number of sets of k of d pixels is too large for exact arithmetic."""
    if set_bits(d, k) > MOST_SET_BITS:
        raise UsageError(
            f"k = {k:,} of {d:,} pixels make sets whose number has more than {MOST_SET_BITS:,} bits, and each "
            "certificate counts them; take a smaller k, or smaller images"
        )


def check_k(k: int) -> None:
    """Raise UsageError unless `k` is a whole number of pixels, at least 1."""
    if type(plain(k)) is not int or k < 1:
        raise UsageError(f"the retention constant k is a whole number of pixels, at least 1, got {k!r}")


def check_kept(k: int, pixels: int, shape: Shape) -> None:
    """Raise UsageError if inputs have fewer than k pixels."""
    if k > pixels:
        raise UsageError(f"k = {k} pixels cannot be kept of the {pixels} that inputs of shape {shape} have")


def channel_count(shape: Shape) -> int:
    """Channels of a pixel; 1 for features."""
    return shape[0] if len(shape) > 1 else 1
