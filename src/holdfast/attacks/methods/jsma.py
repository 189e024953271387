"""The attack by saliency maps (JSMA). Source: Papernot, McDaniel, Jha, Fredrikson, Celik & Swami 2016, "The Limitations
of Deep Learning in Adversarial Settings", its algorithm for pairs of features; by pixels, as Levine & Feizi 2020 count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from holdfast.attacks.base import Attack, check_whole
from holdfast.attacks.distances import changed_pixels
from holdfast.attacks.target import Access
from holdfast.errors import UsageError
from holdfast.plain import is_real, plain
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.attacks.base import Problem

_OUTPUTS = ("logits", "softmax")
# Of more pixels, pairs are made of those alone that are strongest in one of the two slopes.
_MOST_IN_PAIRS = 1024


@dataclass(frozen=True)
class SaliencyMap(Attack):
    """Change two pixels at a time, those that raise the wanted class most while they lower the others.

    The saliency of a pair is the slope of the wanted class times the slope of all others together, where the first is
    above 0 and the second below. A pixel whose values are at the end of the range is not changed again, and the attack
    ends where no pair is left. Without a wanted class it goes toward several classes side by side, and the first change
    of the answer counts. All channels of a pixel change together.

    Args:
        theta: change of a value in each step, as a share of its range; 1 for the largest change, below 0 to lower
            values instead of raising them.
        outputs: "logits", or "softmax" for the probabilities, as against distilled networks.
        targets: most classes to go toward if none is wanted, the likeliest first.
    """

    name: ClassVar[str] = "jsma"
    needs = Access.GRADIENTS
    norms = (Norm.L0,)
    minimizes = True
    randomized = False
    source = "Papernot et al. 2016; own code"
    theta: float = 1.0
    outputs: str = "logits"
    targets: int = 10

    def __post_init__(self) -> None:
        if not (is_real(plain(self.theta)) and 0.0 < abs(self.theta) <= 1.0):
            raise UsageError(f"theta must be a share of the range from -1 to 1, and not 0; got {self.theta!r}")
        if self.outputs not in _OUTPUTS:
            raise UsageError(f"outputs must be {' or '.join(_OUTPUTS)}, got {self.outputs!r}")
        check_whole("targets", self.targets)

    def search(self, problem: Problem) -> Tensor | None:
        """Change pairs until the answer changes, the budget is spent, or no pair is left."""
        aims = self._aims(problem)
        moved = problem.x.repeat(len(aims), *[1] * (problem.x.ndim - 1))
        while len(aims):
            logits, wanted, others = self._slopes(problem, moved, aims)
            found = _first(problem, moved[problem.margin(logits) > 0.0])
            if found is not None:
                return found
            going = []
            for row in range(len(aims)):
                pair = self._pair(wanted[row], others[row], self._free(problem, moved[row]))
                if pair is None:
                    continue
                self._change(problem, moved[row], pair)
                if int(changed_pixels(problem.x[0], moved[row]).sum()) <= problem.budget:
                    going.append(row)
            moved, aims = moved[going], aims[going]
        return None

    def _aims(self, problem: Problem) -> Tensor:
        """The classes to go toward."""
        if problem.target_class is not None:
            return torch.tensor([problem.target_class], device=problem.x.device)
        with torch.no_grad():
            ranked = problem.target.scores(problem.x)[0].argsort(descending=True)
        return ranked[ranked != problem.label][: self.targets]

    def _slopes(self, problem: Problem, moved: Tensor, aims: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits `(batch, classes)`, and the slope of the wanted class and of all others, `(batch, pixels)`."""
        x = moved.clone().requires_grad_()
        logits = problem.target.logits(x)
        outputs = logits.softmax(dim=1) if self.outputs == "softmax" else logits
        wanted = outputs.gather(1, aims.unsqueeze(1)).sum()
        (of_wanted,) = torch.autograd.grad(wanted, x, retain_graph=True)
        (of_all,) = torch.autograd.grad(outputs.sum(), x)
        return logits.detach(), _by_pixels(of_wanted), _by_pixels(of_all - of_wanted)

    def _free(self, problem: Problem, x: Tensor) -> Tensor:
        """Which pixels have a value that can still change, `(pixels,)`."""
        able = x < problem.target.high if self.theta > 0 else x > problem.target.low
        return (able.any(dim=0) if x.ndim > 1 else able).flatten()

    def _pair(self, wanted: Tensor, others: Tensor, free: Tensor) -> tuple[int, int] | None:
        """The pair of free pixels with the largest saliency; None if there is none above 0."""
        sign = 1.0 if self.theta > 0 else -1.0
        places = _strongest(sign * wanted, sign * others, free.nonzero().squeeze(1))
        up, down = sign * wanted[places], sign * others[places]
        rise, fall = up.unsqueeze(0) + up.unsqueeze(1), down.unsqueeze(0) + down.unsqueeze(1)
        saliency = torch.where((rise > 0) & (fall < 0), -rise * fall, torch.zeros_like(rise)).triu(diagonal=1)
        if not saliency.numel() or float(saliency.max()) <= 0.0:
            return None
        first, second = divmod(int(saliency.argmax()), len(places))
        return int(places[first]), int(places[second])

    def _change(self, problem: Problem, x: Tensor, pair: tuple[int, int]) -> None:
        """Move all channels of two pixels of `x` in place, within the range."""
        low, high = problem.target.low, problem.target.high
        flat = x.view(x.shape[0], -1) if x.ndim > 1 else x.view(1, -1)
        for place in pair:
            flat[:, place] = (flat[:, place] + self.theta * (high - low)).clamp(low, high)


def _by_pixels(gradient: Tensor) -> Tensor:
    """The sum over channels, `(batch, pixels)`: what changing all channels alike does."""
    return (gradient.sum(dim=1) if gradient.ndim > 2 else gradient).flatten(1)


def _strongest(up: Tensor, down: Tensor, places: Tensor) -> Tensor:
    """Of too many places, those with the largest `up` and those with the smallest `down`."""
    if len(places) <= _MOST_IN_PAIRS:
        return places
    half = _MOST_IN_PAIRS // 2
    chosen = torch.cat([up[places].topk(half).indices, (-down[places]).topk(half).indices])
    distinct: Tensor = torch.unique(chosen)
    return places[distinct]


def _first(problem: Problem, candidates: Tensor) -> Tensor | None:
    """The adversarial candidate with the fewest changed pixels; None if none is adversarial."""
    if not len(candidates):
        return None
    succeeds = candidates[problem.succeeds(candidates)]
    sizes = [int(changed_pixels(problem.x[0], each).sum()) for each in succeeds]
    return succeeds[sizes.index(min(sizes))] if sizes else None
