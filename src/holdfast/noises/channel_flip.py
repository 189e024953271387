"""Flips of single channels for L0: Lee et al. 2019. Derivation: docs/guarantees.md, "Flips of channels"."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, ClassVar

from holdfast.errors import UsageError
from holdfast.noises.base import Shape, guarantee, pixel_count
from holdfast.noises.grid import GridNoise
from holdfast.noises.masking import channel_count
from holdfast.noises.uniform_flip import MOST_FLIPS, UniformFlip, random_steps, surviving
from holdfast.types import ClassBounds, Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.noises.draws import Draws


@dataclass(frozen=True)
class ChannelFlip(GridNoise):
    """Keep each channel of each pixel with probability kappa; otherwise give it another value, each equally likely.

    As `UniformFlip`, but the channels of a pixel are kept or replaced apart. For one channel the two are the same.
    Inputs lie on the grid 0, 1/(levels - 1), ..., 1.

    Args:
        kappa: probability of keeping a channel, in (0, 1), above that of any other single value.
        levels: number of values of a channel; 256 for 8-bit images.

    Raises:
        UsageError: a parameter is out of range.
    """

    name: ClassVar[str] = "channel-flip"
    example: ClassVar[str] = "channel-flip:kappa=0.8"
    subject: ClassVar[str] = "flips of channels are"
    kappa: float
    levels: int = 256

    def __post_init__(self) -> None:
        # The same parameters in the same ranges.
        UniformFlip(self.kappa, self.levels)

    def draw(self, x: Tensor, draws: Draws) -> Tensor:
        """Steps `(len(draws), values)`: 0 keeps a value, s moves it s values further in the cyclic order of all."""
        return random_steps(x, draws, prod(x.shape), self.others(), self.kappa)

    def apply_unchecked(self, x: Tensor, draws: Tensor) -> Tensor:
        """Flipped inputs, on the grid, of the input's shape."""
        steps = draws.view(draws.shape[0], *x.shape[1:])
        return ((self.nearest_steps(x).long() + steps) % self.levels).to(x.dtype) / (self.levels - 1)

    def check_inputs(self, shape: Shape, low: float, high: float) -> None:
        """Raise UsageError unless inputs lie in [0, 1] and keeping a value is likelier than each other one."""
        self.others()
        super().check_inputs(shape, low, high)

    def information(self, shape: Shape, levels: int = 256) -> float:
        """As for flips of pixels, with each channel as a pixel (Levine & Feizi 2020, equation 21)."""
        return UniformFlip(self.kappa, self.levels).information((pixel_count(shape) * channel_count(shape),), levels)

    def others(self) -> int:
        """K, the number of other values of a channel.

        Raises:
            UsageError: kappa is not above (1 - kappa)/K, which the theorem assumes.
        """
        count = self.levels - 1
        if not Fraction(self.kappa) * count > 1 - Fraction(self.kappa):
            raise UsageError(f"kappa = {self.kappa} keeps a channel less often than it becomes one given other value")
        return count


def channel_radius(noise: ChannelFlip, bounds: ClassBounds, values: int) -> int | None:
    """The largest number of changed channels for which the top class stays ahead, 64 at most; None if there is none.

    Args:
        noise: the noise.
        bounds: of the classes.
        values: number of values of an input.
    """
    p_lower, p_not_rival = Fraction(bounds.p_lower), 1 - Fraction(bounds.p_upper)
    if not p_lower + p_not_rival > 1:
        return None
    kappa, others = Fraction(noise.kappa), noise.others()
    most = min(MOST_FLIPS, values)

    def keeps(r: int) -> bool:
        return surviving(kappa, others, r, p_lower) + surviving(kappa, others, r, p_not_rival) > 1

    # What is kept falls with r.
    return bisect_left(range(1, most + 1), True, key=lambda r: not keeps(r))


@guarantee(ChannelFlip, norm=Norm.L0, cite="Lee et al. 2019, section 4")
def lee_channels(noise: ChannelFlip, bounds: ClassBounds, shape: Shape) -> float | None:
    """The largest number of pixels whose channels are all within `channel_radius`: a changed pixel may change each."""
    channels = channel_count(shape)
    found = channel_radius(noise, bounds, pixel_count(shape) * channels)
    return None if found is None else float(found // channels)
