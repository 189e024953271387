"""Randomized ablation for L0: Levine & Feizi 2020. Derivation: docs/guarantees.md, "Randomized ablation"."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from holdfast.errors import UsageError
from holdfast.noises.base import Noise, Shape, grey_or_rgb, guarantee, pixel_count
from holdfast.types import ClassBounds, Norm

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Generator, Tensor

# NULL pixels in pictures: a colour that grey images do not have and photographs rarely do.
_NULL_COLOUR = np.array([38, 166, 154], dtype=np.uint8)


@dataclass(frozen=True)
class Ablation(Noise):
    """Keep k pixels, chosen uniformly without replacement, and replace all others by NULL.

    All channels of a pixel are kept or ablated together.

    Args:
        k: retention constant, the number of pixels kept; at least 1, at most the number of pixels.
        null: how NULL is encoded. "multichannel": a value s becomes the pair (s, 1 - s) and NULL (0, 0), which doubles
            the channels: (red, green, blue, 1 - red, 1 - green, 1 - blue). "mean": NULL is the mean value `fill`
            of each channel.
        fill: for "mean", one value for each channel, in input units; `fitted` takes it from the training set.

    Raises:
        UsageError: a parameter is out of range.
    """

    name: ClassVar[str] = "ablation"
    k: int
    null: str = "multichannel"
    fill: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if type(self.k) is not int or self.k < 1:
            raise UsageError(f"the retention constant k is a whole number of pixels, at least 1, got {self.k!r}")
        if self.null not in ("multichannel", "mean"):
            raise UsageError(f"null is 'multichannel' or 'mean', got {self.null!r}")
        if self.null == "multichannel" and self.fill is not None:
            raise UsageError("fill belongs to null='mean'; leave it out with null='multichannel'")
        if isinstance(self.fill, float):
            object.__setattr__(self, "fill", (self.fill,))

    def draw(self, x: Tensor, num: int, generator: Generator) -> Tensor:
        """Masks `(num, pixels)`, True where a pixel is kept: exactly k in each, every such set equally likely.

        The k pixels with the smallest of independent uniform keys. Keys are floats and can be equal; a mask in which
        a tie reaches the k-th key is drawn anew, which keeps the choice exactly uniform (docs/guarantees.md).
        """
        pixels = pixel_count(tuple(x.shape))
        if self.k >= pixels:
            return x.new_ones((num, pixels)) > 0
        keys = x.new_empty((num, pixels)).uniform_(generator=generator)
        while True:
            smallest = keys.topk(self.k + 1, dim=1, largest=False, sorted=True).values
            last = smallest[:, self.k - 1]
            tied = last == smallest[:, self.k]
            if not bool(tied.any()):
                return keys <= last.unsqueeze(1)
            keys[tied] = keys[tied].uniform_(generator=generator)

    def apply(self, x: Tensor, draws: Tensor) -> Tensor:
        """Ablated inputs, encoded: `(batch, 2 x channels, ...)` for "multichannel", the input's shape for "mean"."""
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
        """Raise UsageError if k exceeds the pixels, or the encoding does not fit the range or the channels."""
        pixels = pixel_count(shape)
        if self.k > pixels:
            raise UsageError(f"k = {self.k} pixels cannot be kept of the {pixels} that inputs of shape {shape} have")
        if self.null == "multichannel" and not (low == 0.0 and high == 1.0):
            raise UsageError(
                f"null='multichannel' encodes s as (s, 1 - s), so inputs must lie in [0, 1]; theirs is [{low}, {high}]"
            )
        if self.null == "mean":
            self._fill_of(shape[0] if len(shape) == 3 else 1)

    def information(self, shape: Shape, levels: int = 256) -> float:
        """All bits of the k pixels kept (Levine & Feizi 2020, equation 20)."""
        channels = shape[0] if len(shape) == 3 else 1
        return self.k * channels * math.log2(levels)

    def fitted(self, mean: tuple[float, ...]) -> Ablation:
        """With null="mean" and no `fill`: the training set's mean of each channel."""
        return replace(self, fill=mean) if self.null == "mean" and self.fill is None else self

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


def delta(d: int, k: int, rho: int) -> Fraction:
    """1 - C(d - rho, k) / C(d, k): the probability that a kept set of k of d pixels meets rho given ones.

    Exact. Source: Levine & Feizi 2020, Theorem 1, equation 4.

    Raises:
        UsageError: not 1 <= k <= d, or not 0 <= rho <= d.
    """
    if not (1 <= k <= d and 0 <= rho <= d):
        raise UsageError(f"Delta needs 1 <= k <= d and 0 <= rho <= d, got d={d}, k={k}, rho={rho}")
    untouched = Fraction(1)
    for changed in range(rho):
        untouched *= Fraction(max(0, d - k - changed), d - changed)
    return 1 - untouched


@guarantee(Ablation, norm=Norm.L0, cite="Levine & Feizi 2020, Theorem 1 and Corollary 2")
def levine(noise: Ablation, bounds: ClassBounds, shape: Shape) -> float | None:
    """The largest rho with p_lower - Delta(rho) > p_upper + Delta(rho), in pixels; None where there is none.

    With p_upper = 1 - p_lower this is Corollary 1, p_lower - Delta > 1/2. Exact integers throughout.
    """
    d = pixel_count(shape)
    margin = (Fraction(bounds.p_lower) - Fraction(bounds.p_upper)) / 2
    if not margin > 0:
        return None
    # C(d - rho, k) / C(d, k) = numerator / denominator, updated by one factor a step;
    # margin > Delta(rho) is compared after multiplying out, in integers.
    numerator = denominator = 1
    need = margin.denominator - margin.numerator
    rho = 0
    while rho < d:
        numerator *= max(0, d - noise.k - rho)
        denominator *= d - rho
        if not numerator * margin.denominator > need * denominator:
            break
        rho += 1
    return float(rho)
