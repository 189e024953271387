"""Projected gradient descent from a random start. Source: Madry, Makelov, Schmidt, Tsipras & Vladu 2018, "Towards Deep
Learning Models Resistant to Adversarial Attacks"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from holdfast.attacks.base import check_norm, check_whole
from holdfast.attacks.foolbox import FoolboxAttack
from holdfast.attacks.target import Access
from holdfast.types import Norm

if TYPE_CHECKING:
    from types import ModuleType

# Step size times number of steps, in units of the budget.
_REACH = 2.5


@dataclass(frozen=True)
class PGD(FoolboxAttack):
    """Steps along the gradient of the cross-entropy, each projected back to the budget.

    Args:
        norm: "linf" or "l2".
        steps: gradient steps.
    """

    name: ClassVar[str] = "pgd"
    needs = Access.GRADIENTS
    norms = (Norm.LINF, Norm.L2)
    minimizes = False
    source = "Madry et al. 2018; foolbox"
    norm: str = "linf"
    steps: int = 40

    def __post_init__(self) -> None:
        check_norm(self, self.norm)
        check_whole("steps", self.steps)

    def made(self, attacks: ModuleType) -> Any:
        """Make the attack for the norm."""
        kind = (
            attacks.LinfProjectedGradientDescentAttack
            if self.norm == "linf"
            else attacks.L2ProjectedGradientDescentAttack
        )
        return kind(rel_stepsize=_REACH / self.steps, steps=self.steps, random_start=True)
