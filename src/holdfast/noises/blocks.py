"""Square blocks, against patches: Levine & Feizi 2020, derandomized. Derivation: docs/guarantees.md, "Patches"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from holdfast.noises.base import Shape, guarantee
from holdfast.noises.windows import Windows, check_size, image_size, largest_side
from holdfast.types import Norm

if TYPE_CHECKING:
    from holdfast.types import ClassBounds


@dataclass(frozen=True)
class Blocks(Windows):
    """Keep a square block of an image, in any of H x W positions, and replace all other pixels by NULL.

    A block that reaches beyond an edge goes on at the opposite one. To certify, each block is classified once: as many
    passes as an image has pixels, and no randomness.

    Args:
        size: side of the block in pixels, at least 1 and at most that of an image; s in the paper.
        null: how NULL is encoded, "multichannel", "normalized" or "mean" (`MaskingNoise`).
        fill: for "mean" and "normalized", numbers for each channel that training takes from the training set.

    Raises:
        UsageError: a parameter is out of range.
    """

    name: ClassVar[str] = "blocks"
    example: ClassVar[str] = "blocks:size=5"
    size: int
    null: str = "multichannel"
    fill: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_size("the size of a block", self.size)
        super().__post_init__()

    def window(self, shape: Shape) -> tuple[int, int]:
        """The size, twice."""
        return self.size, self.size

    def positions(self, shape: Shape) -> tuple[int, int]:
        """Every row, and every column."""
        return image_size(shape, self.name)


@guarantee(Blocks, norm=Norm.PATCH, cite="Levine & Feizi 2020 (patches), block smoothing")
def blocks(noise: Blocks, bounds: ClassBounds, shape: Shape) -> float | None:
    """The largest side m of a square patch, in pixels, whose (m + size - 1)^2 blocks are at most half of the lead.

    With all votes known, v_A >= v_c + [c < A] + 2 (m + size - 1)^2 for every class c; 0 if there is no such m. In an
    image that is not larger than m + size - 1, fewer blocks are counted.
    """
    return largest_side(noise, bounds, shape)
