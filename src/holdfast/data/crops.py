"""Random resized crops: which rectangle of an image is resized to the whole, as a function of random numbers.

Source: Szegedy et al. 2015, "Going Deeper with Convolutions", section 6; the rule for rectangles that do not fit is
that of torchvision's RandomResizedCrop, which trainings on ImageNet commonly use.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Smallest and largest ratio of width to height.
USUAL_RATIO = (3 / 4, 4 / 3)
# A rectangle that does not fit into the image is drawn again, this often in all.
ATTEMPTS = 10
# Uniform random numbers that a rectangle takes: area and ratio of each attempt, row and column of the corner.
UNIFORMS = 2 * ATTEMPTS + 2


@dataclass(frozen=True)
class ResizedCrop:
    """How rectangles are chosen.

    Attributes:
        share: smallest and largest share of an image's area; the share is uniform between them.
        ratio: smallest and largest ratio of width to height; its logarithm is uniform between theirs.
    """

    share: tuple[float, float]
    ratio: tuple[float, float] = USUAL_RATIO

    def boxes(self, uniforms: NDArray[np.float64], height: int, width: int) -> NDArray[np.int64]:
        """A rectangle for each row of random numbers, in images of one size.

        The first attempt that fits into the image counts, at a uniformly chosen place. If none does, it is the largest
        centred rectangle whose ratio is allowed.

        Args:
            uniforms: `(num, UNIFORMS)` independent numbers, uniform in [0, 1).
            height: of the images, in pixels.
            width: likewise.

        Returns:
            `(num, 4)`: left, top, and the first column and row beyond the rectangle.
        """
        areas, ratios = uniforms[:, :ATTEMPTS], uniforms[:, ATTEMPTS : 2 * ATTEMPTS]
        area = height * width * (self.share[0] + areas * (self.share[1] - self.share[0]))
        low, high = map(math.log, self.ratio)
        ratio = np.exp(low + ratios * (high - low))
        widths, heights = np.rint(np.sqrt(area * ratio)), np.rint(np.sqrt(area / ratio))
        fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
        rows, first = np.arange(len(uniforms)), fits.argmax(axis=1)
        across, down = (sizes[rows, first].astype(np.int64) for sizes in (widths, heights))
        # A number just below 1 times a large count can round up to the count.
        top = np.minimum((uniforms[:, -2] * (height - down + 1)).astype(np.int64), height - down)
        left = np.minimum((uniforms[:, -1] * (width - across + 1)).astype(np.int64), width - across)
        found = np.stack([left, top, left + across, top + down], axis=1)
        return np.where(np.any(fits, axis=1, keepdims=True), found, self._centred(height, width))

    def _centred(self, height: int, width: int) -> NDArray[np.int64]:
        across, down = width, height
        if width / height < self.ratio[0]:
            down = max(1, round(width / self.ratio[0]))
        elif width / height > self.ratio[1]:
            across = max(1, round(height * self.ratio[1]))
        left, top = (width - across) // 2, (height - down) // 2
        return np.array([left, top, left + across, top + down], dtype=np.int64)
