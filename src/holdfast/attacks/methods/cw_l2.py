"""Carlini & Wagner's L2 attack. Source: Carlini & Wagner 2017, "Towards Evaluating the Robustness of Neural Networks",
section VI.A."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from holdfast.attacks.base import check_above_zero, check_whole
from holdfast.attacks.foolbox import FoolboxAttack
from holdfast.attacks.target import Access
from holdfast.types import Norm

if TYPE_CHECKING:
    from types import ModuleType


@dataclass(frozen=True)
class CarliniWagnerL2(FoolboxAttack):
    """The squared length of the change plus a constant times the margin, minimized by Adam through a tanh.

    A value at an end of its range would be frozen, since the tanh has no slope there. So foolbox gets a slightly wider
    range, and results are clipped and verified.

    Args:
        steps: of Adam for each constant.
        searches: number of constants to try, by bisection.
        step_size: of Adam.
    """

    name: ClassVar[str] = "cw-l2"
    needs = Access.GRADIENTS
    norms = (Norm.L2,)
    minimizes = True
    randomized = False
    source = "Carlini & Wagner 2017; foolbox"
    room: ClassVar[float] = 0.05
    steps: int = 300
    searches: int = 6
    step_size: float = 0.05

    def __post_init__(self) -> None:
        check_whole("steps", self.steps)
        check_whole("searches", self.searches)
        check_above_zero("step_size", self.step_size)

    def made(self, attacks: ModuleType) -> Any:
        """Make the attack, with confidence 0."""
        return attacks.L2CarliniWagnerAttack(
            binary_search_steps=self.searches, steps=self.steps, stepsize=self.step_size, initial_const=1e-2
        )
