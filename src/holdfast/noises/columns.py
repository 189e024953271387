"""Bands of columns, against patches: Levine & Feizi 2020, derandomized. Derivation: docs/guarantees.md, "Patches"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from holdfast.noises.base import Shape, guarantee
from holdfast.noises.windows import Windows, check_size, image_size, largest_side
from holdfast.types import Norm

if TYPE_CHECKING:
    from holdfast.types import ClassBounds


@dataclass(frozen=True)
class Columns(Windows):
    """Keep a band of adjacent columns of an image, in any of W positions, and replace all other pixels by NULL.

    A band that reaches beyond the right edge goes on at the left one. To certify, each band is classified once: as many
    passes as an image has columns, and no randomness.

    Args:
        width: columns of the band, at least 1 and at most those of an image; s, the band size, in the paper.
        null: how NULL is encoded, "multichannel", "normalized" or "mean" (`MaskingNoise`).
        fill: for "mean" and "normalized", numbers for each channel that training takes from the training set.

    Raises:
        UsageError: a parameter is out of range.
    """

    name: ClassVar[str] = "columns"
    example: ClassVar[str] = "columns:width=4"
    width: int
    null: str = "multichannel"
    fill: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_size("the width of a band", self.width)
        super().__post_init__()

    def window(self, shape: Shape) -> tuple[int, int]:
        """The whole height, and the width of the band."""
        return image_size(shape, self.name)[0], self.width

    def positions(self, shape: Shape) -> tuple[int, int]:
        """One, times every column."""
        return 1, image_size(shape, self.name)[1]


@guarantee(Columns, norm=Norm.PATCH, cite="Levine & Feizi 2020 (patches), band smoothing")
def columns(noise: Columns, bounds: ClassBounds, shape: Shape) -> float | None:
    """Half of the top class's lead in bands, rounded down, less width - 1: the side of a square patch in pixels.

    A patch over m columns is in m + width - 1 bands. With all votes known, the largest m with
    v_A >= v_c + [c < A] + 2 (m + width - 1) for every class c; 0 if there is none.
    """
    return largest_side(noise, bounds, shape)
