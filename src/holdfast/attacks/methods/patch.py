"""A patch or sticker: a square of any content, anywhere in an image. Source: Brown, Mane, Roy, Abadi & Gilmer 2017,
"Adversarial Patch", for the expectation over places; here for one image at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import torch

from holdfast.attacks.base import Attack, check_above_zero, check_norm, check_whole
from holdfast.attacks.descent import descend
from holdfast.attacks.target import Access
from holdfast.errors import UsageError
from holdfast.types import Norm

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from holdfast.attacks.base import Problem
    from holdfast.attacks.target import Target

_DIMENSIONS = 3


@dataclass(frozen=True)
class Patch(Attack):
    """Optimize the content of a square at random places, put it where it does most, and optimize it there.

    In L0 the budget is the area of the square in pixels: 25 allows a side of 5, the whole part of its root. With
    `norm=patch` it is the side. The side is at most that of the image. The square lies within the image.

    Args:
        steps: steps of Adam at random places, and at each place after that.
        step_size: of Adam, as a share of the range of a value.
        samples: random places in each step.
        places: most places at which the square is tried, on an even grid.
        tries: of these, the best ones at which it is optimized again, one after the other.
        norm: "l0" or "patch".
    """

    name: ClassVar[str] = "patch"
    needs = Access.GRADIENTS
    norms = (Norm.L0, Norm.PATCH)
    minimizes = False
    source = "Brown et al. 2017; own code"
    steps: int = 50
    step_size: float = 0.1
    samples: int = 16
    places: int = 256
    tries: int = 4
    norm: str = "l0"

    def __post_init__(self) -> None:
        check_norm(self, self.norm)
        for name in ("steps", "samples", "places", "tries"):
            check_whole(name, getattr(self, name))
        check_above_zero("step_size", self.step_size)

    def check(self, target: Target) -> None:
        """Also raise UsageError unless inputs are images."""
        super().check(target)
        check_images(self.name, target)

    def search(self, problem: Problem) -> Tensor | None:
        """Optimize everywhere, then at the best places."""
        budget = int(problem.budget)
        side = min(budget if problem.norm is Norm.PATCH else math.isqrt(budget), *problem.x.shape[-2:])
        generator = problem.generator()
        content = torch.rand((1, problem.x.shape[1], side, side), generator=generator, device=problem.x.device)
        content = problem.target.low + content * (problem.target.high - problem.target.low)
        content = self._optimized(problem, content, lambda: _drawn(problem.x, side, self.samples, generator))
        spots = _grid(problem.x, side, self.places)
        with torch.no_grad():
            margins = torch.cat([self._margin(problem, content, spots[i : i + 64]) for i in range(0, len(spots), 64)])
        for place in spots[margins.argsort(descending=True)[: self.tries]]:
            moved = self._optimized(problem, content, partial(place.unsqueeze, 0))
            found = put(problem.x, moved, place.unsqueeze(0))
            if bool(problem.succeeds(found)[0]):
                return found[0]
        return None

    def _optimized(self, problem: Problem, content: Tensor, places: Callable[[], Tensor]) -> Tensor:
        """The content after the steps, each at the places that `places` gives."""
        width = problem.target.high - problem.target.low

        def loss(moved: Tensor) -> Tensor:
            # Beyond the boundary nothing more is needed, and other places count the more.
            return -self._margin(problem, moved, places()).clamp(max=1.0).mean()

        bounds = problem.target.low, problem.target.high
        return descend(loss, content, bounds, self.steps, self.step_size * width)

    def _margin(self, problem: Problem, content: Tensor, places: Tensor) -> Tensor:
        return problem.margin(problem.target.logits(put(problem.x, content, places)))


def check_images(name: str, target: Target) -> None:
    """Raise UsageError unless inputs are images `(channels, height, width)`."""
    if len(target.shape) != _DIMENSIONS:
        raise UsageError(f"{name} is for images (channels, height, width), got inputs of shape {target.shape}")


def put(x: Tensor, content: Tensor, places: Tensor) -> Tensor:
    """Images `(batch, channels, height, width)`, each with the square at one place.

    Args:
        x: one image, `(1, channels, height, width)`.
        content: of the square, `(1, channels, side, side)`.
        places: top row and left column of each square, `(batch, 2)`.
    """
    side = content.shape[-1]
    rows = torch.arange(x.shape[-2], device=x.device).view(1, -1, 1) - places[:, :1].unsqueeze(2)
    columns = torch.arange(x.shape[-1], device=x.device).view(1, 1, -1) - places[:, 1:].unsqueeze(2)
    inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    index = rows.clamp(0, side - 1) * side + columns.clamp(0, side - 1)
    shifted = content.flatten(2)[0][:, index.flatten()].view(x.shape[1], *index.shape).transpose(0, 1)
    return torch.where(inside.unsqueeze(1), shifted, x)


def _drawn(x: Tensor, side: int, number: int, generator: torch.Generator) -> Tensor:
    """Random places, `(number, 2)`."""
    room = [size - side + 1 for size in x.shape[-2:]]
    drawn = [torch.randint(most, (number,), generator=generator, device=x.device) for most in room]
    return torch.stack(drawn, dim=1)


def _grid(x: Tensor, side: int, most: int) -> Tensor:
    """All places, or at most `most` of them on an even grid, `(number, 2)`."""
    room = [size - side + 1 for size in x.shape[-2:]]
    each = max(1, math.isqrt(most))
    axes = [
        torch.linspace(0, size - 1, min(size, each), device=x.device).round().to(torch.int64)
        if size > 1
        else torch.zeros(1, dtype=torch.int64, device=x.device)
        for size in room
    ]
    return torch.cartesian_prod(*axes)
