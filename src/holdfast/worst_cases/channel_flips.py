"""The worst case of flips of channels: that of uniform flips, where each channel is a pixel. Exact."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from holdfast.noises.base import pixel_count
from holdfast.noises.channel_flip import ChannelFlip
from holdfast.noises.masking import channel_count
from holdfast.noises.uniform_flip import MOST_FLIPS, UniformFlip
from holdfast.worst_cases.base import TOP, Enclosed, WorstCase, worst_case
from holdfast.worst_cases.flips import Flips, exact_bounds, why_not_tight
from holdfast.worst_cases.pixels import pixel_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.noises.base import Guarantee


@dataclass(frozen=True)
class ChannelFlips(WorstCase):
    """A changed pixel changes all of its channels.

    Attributes:
        flat: the worst case on the values of the input as pixels of one channel, in the order of the changed pixels.
    """

    flat: Flips
    step: ClassVar[float | None] = 1.0

    @property
    def _channels(self) -> int:
        return channel_count(self.x.shape)

    def probabilities(self, size: float) -> tuple[Enclosed, Enclosed]:
        """Exact."""
        return self.flat.probabilities(self._channels * round(size))

    def changed(self, size: float) -> NDArray[np.float64]:
        """The first pixels of the order, moved to the other end of the grid in every channel."""
        return self.flat.changed(self._channels * round(size)).reshape(self.x.shape)

    def classify(self, noisy: NDArray[np.floating]) -> NDArray[np.int64]:
        """As the worst case on the values."""
        return self.flat.classify(noisy.reshape(len(noisy), -1))

    @property
    def turning(self) -> float:
        """The number of changed pixels from which on the top class no longer leads."""
        most = self.flat.m // self._channels
        return float(next((r for r in range(most + 1) if self.answer(float(r)) != TOP), math.inf))


@worst_case(ChannelFlip, "lee_channels")
def channel_flips(
    noise: ChannelFlip,
    theorem: Guarantee,
    x: NDArray[np.float64],
    direction: NDArray[np.float64] | None,
    p_top: float,
    p_rival: float,
) -> ChannelFlips:
    """Any pixels, one more than the theorem's radius, with all of their channels."""
    top, rival, bounds = exact_bounds(p_top, p_rival)
    channels, pixels = channel_count(x.shape), pixel_count(x.shape)
    radius = theorem.radius(noise, bounds, x.shape) or 0.0
    most = min(MOST_FLIPS // channels, pixels)
    why = why_not_tight(radius, most)
    # The channels of a pixel lie side by side in the order, a picture apart in the input.
    places = (pixel_order(x, direction)[:, None] + pixels * np.arange(channels)).ravel()
    m = channels * min(int(radius) + 1, most)
    like = UniformFlip(noise.kappa, noise.levels)
    flat = Flips(like, theorem, x.ravel(), bounds, not why, why, places, m, top, rival)
    return ChannelFlips(noise, theorem, x, bounds, not why, why, flat)
