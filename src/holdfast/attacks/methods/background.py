"""Another background behind the same object. Source: Hajri 2021 (lecture), "Key takeaways", which names backgrounds as
the example of a semantic attack; the search is our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from holdfast.attacks.base import Attack, check_share, check_whole
from holdfast.attacks.methods.patch import check_images
from holdfast.attacks.target import Access
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.attacks.base import Problem
    from holdfast.attacks.target import Target

_BATCH = 64


@dataclass(frozen=True)
class Background(Attack):
    """Give the background one other colour: all colours of a grid are tried, the nearest first.

    The background is every pixel whose channels all are near the median colour of the image's border. The rest of the
    image is unchanged. The magnitude is the largest change of a value.

    Args:
        colours: most colours to try, each channel evenly over its range: 256 greys, or 6 values of each of 3 channels.
        near: how near to the border's colour, as a share of the range, in (0, 1).
    """

    name: ClassVar[str] = "background"
    needs = Access.DECISIONS
    norms = (Norm.LINF,)
    minimizes = True
    randomized = False
    source = "Hajri 2021; own code"
    colours: int = 256
    near: float = 0.1

    def __post_init__(self) -> None:
        check_whole("colours", self.colours, 2)
        check_share("near", self.near)

    def check(self, target: Target) -> None:
        """Also raise UsageError unless inputs are images."""
        super().check(target)
        check_images(self.name, target)

    def search(self, problem: Problem) -> Tensor | None:
        """The nearest colour that changes the answer."""
        x, target = problem.x[0], problem.target
        behind = background(x, self.near * (target.high - target.low))
        colours = self._colours(x, target.low, target.high)
        candidates = torch.where(behind, colours[:, :, None, None], x)
        sizes = (candidates - x).abs().flatten(1).amax(dim=1)
        order = sizes.argsort(stable=True)
        order = order[(sizes[order] > 0) & (sizes[order] <= problem.budget)]
        for first in range(0, len(order), _BATCH):
            some = candidates[order[first : first + _BATCH]]
            succeeds = problem.succeeds(some)
            if bool(succeeds.any()):
                found: Tensor = some[int(succeeds.to(torch.int64).argmax())]
                return found
        return None

    def _colours(self, x: Tensor, low: float, high: float) -> Tensor:
        """All colours of the grid, `(number, channels)`."""
        channels, levels = x.shape[0], 2
        while (levels + 1) ** channels <= self.colours:
            levels += 1
        values = torch.linspace(low, high, levels, device=x.device, dtype=x.dtype).clamp(low, high)
        return torch.cartesian_prod(*[values] * channels).view(-1, channels)


def background(x: Tensor, near: float) -> Tensor:
    """The pixels of an image `(channels, height, width)` near the median colour of its border, `(height, width)`."""
    border = torch.cat([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]], dim=1)
    colour = border.median(dim=1).values
    return ((x - colour[:, None, None]).abs() <= near).all(dim=0)
