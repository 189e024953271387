"""DeepFool. Source: Moosavi-Dezfooli, Fawzi & Frossard 2016, "DeepFool: a simple and accurate method to fool deep
neural networks"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from holdfast.attacks.base import check_above_zero, check_norm, check_whole
from holdfast.attacks.foolbox import FoolboxAttack
from holdfast.attacks.target import Access
from holdfast.types import Norm

if TYPE_CHECKING:
    from types import ModuleType


@dataclass(frozen=True)
class DeepFool(FoolboxAttack):
    """Steps to the nearest boundary of the classifier's linear approximation.

    Args:
        norm: "l2" or "linf".
        steps: most steps.
        overshoot: how far to go beyond the boundary, as a share of the way; 0.02 in the authors' code.
    """

    name: ClassVar[str] = "deepfool"
    needs = Access.GRADIENTS
    norms = (Norm.L2, Norm.LINF)
    minimizes = True
    randomized = False
    targeted = False
    source = "Moosavi-Dezfooli et al. 2016; foolbox"
    norm: str = "l2"
    steps: int = 50
    overshoot: float = 0.02

    def __post_init__(self) -> None:
        check_norm(self, self.norm)
        check_whole("steps", self.steps)
        check_above_zero("overshoot", self.overshoot)

    def made(self, attacks: ModuleType) -> Any:
        """Make the attack for the norm."""
        kind = attacks.L2DeepFoolAttack if self.norm == "l2" else attacks.LinfDeepFoolAttack
        return kind(steps=self.steps, overshoot=self.overshoot)
