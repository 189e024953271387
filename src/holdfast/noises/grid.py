"""The common part of noises for inputs on a grid: 0, 1/(levels - 1), ..., 1."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from holdfast.errors import InputError, UsageError
from holdfast.noises.base import Noise, Shape

if TYPE_CHECKING:
    from torch import Tensor

# A value further than this many steps from its grid is not on it. float32 is off by at most 0.004 steps, at 65,536
# levels; values of another grid are off by far more somewhere in an image.
_OFF_GRID = 1e-2


class GridNoise(Noise):
    """Noise that is defined for values on a grid in [0, 1] and no others.

    Attributes:
        levels: number of values of an input value.
    """

    # How an error begins; empty for the name. What to do about inputs in another range, besides scaling them.
    subject: ClassVar[str] = ""
    instead: ClassVar[str] = ""
    levels: int

    @property
    def grid(self) -> int:
        """The levels."""
        return self.levels

    def apply(self, x: Tensor, randomness: Tensor) -> Tensor:
        """Noisy inputs.

        Raises:
            InputError: a value is not on the grid.
        """
        self.check_values(x)
        return self.apply_unchecked(x, randomness)

    @abstractmethod
    def apply_unchecked(self, x: Tensor, randomness: Tensor) -> Tensor:
        """As `apply`, for values on the grid."""

    def check_values(self, x: Tensor) -> None:
        """Raise InputError if a value is further from the grid than rounding explains."""
        scaled = x * (self.levels - 1)
        distances = (scaled - scaled.round()).abs()
        # Written so that a NaN fails.
        if not float(distances.max()) <= _OFF_GRID:
            worst = float(x.flatten()[distances.argmax()])
            raise InputError(
                f"values must be multiples of 1/{self.levels - 1}, got {worst:g}; scale the data, or choose other "
                "levels"
            )

    def check_inputs(self, shape: Shape, low: float, high: float) -> None:
        """Raise UsageError unless inputs lie in [0, 1]."""
        super().check_inputs(shape, low, high)
        if (low, high) != (0.0, 1.0):
            raise UsageError(
                f"{self.subject or f'{self.name} noise is'} for inputs on a grid in [0, 1]; the input space is "
                f"[{low:g}, {high:g}]. Scale the data{self.instead}"
            )

    def nearest_steps(self, x: Tensor) -> Tensor:
        """j for every value of `x` with the nearest j/(levels - 1), as whole numbers in the dtype of `x`."""
        return (x * (self.levels - 1)).round()
