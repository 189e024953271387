"""The common part of noises that keep one window of adjacent pixels: certificates against patches, without sampling.

Source: Levine & Feizi 2020, "(De)Randomized Smoothing for Certifiable Defense against Patch Attacks". Derivation:
docs/guarantees.md, "Patches".
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.noises.base import Shape, votes_ahead, whole_numbers
from holdfast.noises.masking import MaskingNoise, channel_count
from holdfast.noises.subsets import random_places
from holdfast.plain import plain

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.noises.draws import Draws
    from holdfast.types import ClassBounds

_AXES_OF_IMAGES = 3


class Windows(MaskingNoise):
    """Keeps the pixels of one window of an image, anywhere, and replaces all others by NULL.

    A window that reaches beyond an edge goes on at the opposite one, so that every pixel is in equally many. All
    positions are equally likely, and each is classified once to certify: there is no randomness. A subclass says how
    large the window is and where it can lie.
    """

    @abstractmethod
    def window(self, shape: Shape) -> tuple[int, int]:
        """Height and width of the window in pixels, for images of a shape `(channels, height, width)`."""

    @abstractmethod
    def positions(self, shape: Shape) -> tuple[int, int]:
        """In how many rows and in how many columns the window can begin."""

    def draw(self, x: Tensor, draws: Draws) -> Tensor:
        """The pixels of random windows, `(len(draws), pixels of a window)`."""
        return self._places(x, random_places(x, draws, self.realizations(tuple(x.shape))))

    def realizations(self, shape: Shape) -> int:
        """The positions of the window."""
        return math.prod(self.positions(shape))

    def enumerate(self, x: Tensor, first: int, end: int) -> Tensor:
        """The windows number `first` to `end - 1`, row by row."""
        return self._places(x, whole_numbers(x, first, end))

    def met(self, side: int, shape: Shape) -> int:
        """The largest number of windows that show a pixel of one square patch with this side, wherever it lies.

        A patch over s rows meets the windows that begin in these rows or up to height - 1 rows above them; likewise for
        columns. There are no more than all positions.
        """
        if side == 0:
            return 0
        axes = zip(self.positions(shape), self.window(shape), strict=True)
        return math.prod(min(count, side + size - 1) for count, size in axes)

    def check_inputs(self, shape: Shape, low: float, high: float) -> None:
        """Raise UsageError if inputs are not images as large as the window, or the encoding does not fit them."""
        height, width = image_size(shape, self.name)
        rows, columns = self.window(shape)
        if rows > height or columns > width:
            raise UsageError(
                f"{self} keeps {rows} x {columns} pixels, more than the {height} x {width} of inputs of shape {shape}"
            )
        super().check_inputs(shape, low, high)

    def information(self, shape: Shape, levels: int = 256) -> float:
        """All bits of the pixels of a window; its position says nothing about the input."""
        return math.prod(self.window(shape)) * channel_count(shape) * math.log2(levels)

    def _places(self, x: Tensor, chosen: Tensor) -> Tensor:
        shape = tuple(x.shape)
        height, width = shape[1:]
        rows, columns = self.window(shape)
        begins = self.positions(shape)[1]
        down = (chosen // begins).unsqueeze(1) + whole_numbers(chosen, 0, rows)
        right = (chosen % begins).unsqueeze(1) + whole_numbers(chosen, 0, columns)
        return ((down % height * width).unsqueeze(2) + (right % width).unsqueeze(1)).flatten(1)


def largest_side(noise: Windows, bounds: ClassBounds, shape: Shape) -> float | None:
    """The side of the largest square patch that cannot change the answer, in pixels; None abstains.

    Each window that a patch meets brings a rival two votes closer at most: the side is the largest m whose windows,
    twice, are no more than the lead of the top class, one less where a rival wins the tie.
    """
    ahead = votes_ahead(bounds, noise.realizations(shape))
    return None if ahead is None else float(side_within(noise, ahead, shape))


def side_within(noise: Windows, ahead: int, shape: Shape) -> int:
    """The side of the largest square patch whose windows, twice, are no more than a lead of so many votes."""
    side, most = 0, max(image_size(shape, noise.name))
    while side < most and 2 * noise.met(side + 1, shape) <= ahead:
        side += 1
    return side


def image_size(shape: Shape, name: str) -> tuple[int, int]:
    """Height and width of images `(channels, height, width)`.

    Raises:
        UsageError: inputs of the shape are no images.
    """
    if len(shape) != _AXES_OF_IMAGES or any(size < 1 for size in shape):
        raise UsageError(f"{name} is about patches of images (channels, height, width), got inputs of shape {shape}")
    return shape[1], shape[2]


def check_size(name: str, value: int) -> None:
    """Raise UsageError unless `value` is a whole number of pixels, at least 1."""
    if type(plain(value)) is not int or value < 1:
        raise UsageError(f"{name} is a whole number of pixels, at least 1, got {value!r}")
