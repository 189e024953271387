"""The pointwise attack. Source: Schott, Rauber, Bethge & Brendel 2019, "Towards the first adversarially robust neural
network model on MNIST"; as Levine & Feizi 2020 use it, by pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from holdfast.attacks.base import check_whole
from holdfast.attacks.distances import changed_pixels
from holdfast.attacks.foolbox import FoolboxAttack
from holdfast.attacks.target import Access
from holdfast.types import Norm

if TYPE_CHECKING:
    from types import ModuleType

    from holdfast.attacks.base import Problem
    from holdfast.attacks.foolbox import Cube


@dataclass(frozen=True)
class Pointwise(FoolboxAttack):
    """Start from salt-and-pepper noise and put pixels back one by one while the input stays adversarial.

    foolbox puts back channels, but the threat model counts pixels. So foolbox gets one switch for each changed pixel
    instead of the values, and all channels of a pixel change together.

    Args:
        steps: number of amounts of salt-and-pepper noise to try for the start.
    """

    name: ClassVar[str] = "pointwise"
    needs = Access.DECISIONS
    norms = (Norm.L0,)
    minimizes = True
    source = "Schott et al. 2019; foolbox"
    steps: int = 30

    def __post_init__(self) -> None:
        check_whole("steps", self.steps)

    def made(self, attacks: ModuleType) -> Any:
        """Make the attack that finds the start."""
        return attacks.SaltAndPepperNoiseAttack(steps=self.steps)

    def _run(self, foolbox: Any, model: Any, cube: Cube, problem: Problem, by_gradients: bool) -> Tensor | None:
        start = super()._run(foolbox, model, cube, problem, by_gradients)
        if start is None or not bool(problem.succeeds(cube.back(start))[0]):
            return None
        changed = changed_pixels(cube.start[0], start[0])
        switches = _Switches(model, cube.start, start, changed).eval()
        switched = foolbox.PyTorchModel(switches, bounds=(0.0, 1.0), device=problem.target.device)
        on = torch.ones((1, int(changed.sum())), device=start.device)
        criterion = foolbox.criteria.Misclassification(torch.zeros(1, dtype=torch.int64, device=start.device))
        attack = foolbox.attacks.PointwiseAttack(l2_binary_search=False)
        try:
            left: Tensor = attack.run(switched, torch.zeros_like(on), criterion, starting_points=on)
        except AssertionError:
            # foolbox queries its start again, and raises if it is not adversarial.
            return None
        return switches.points(left)


class _Switches(nn.Module):
    """Decisions for settings `(batch, switches)`: 0 puts a changed pixel back, other values keep it changed."""

    def __init__(self, decisions: Any, x: Tensor, start: Tensor, changed: Tensor) -> None:
        super().__init__()
        self.decisions = decisions
        self.x = x
        self.start = start
        self.changed = changed

    def points(self, settings: Tensor) -> Tensor:
        """The inputs for these settings."""
        left = self.changed.new_zeros((len(settings), *self.changed.shape))
        left[:, self.changed] = settings != 0.0
        # In images, the channel axis comes before the pixels.
        return torch.where(left.unsqueeze(1) if self.x.ndim == 4 else left, self.start, self.x)

    def forward(self, settings: Tensor) -> Tensor:
        """`(batch, switches) -> (batch, 2)`."""
        decisions: Tensor = self.decisions(self.points(settings))
        return decisions
