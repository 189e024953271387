"""The fast gradient method. Source: Goodfellow, Shlens & Szegedy 2015, "Explaining and Harnessing Adversarial
Examples"; for L2 the gradient is divided by its length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from holdfast.attacks.base import check_norm
from holdfast.attacks.foolbox import FoolboxAttack
from holdfast.attacks.target import Access
from holdfast.types import Norm

if TYPE_CHECKING:
    from types import ModuleType


@dataclass(frozen=True)
class FGSM(FoolboxAttack):
    """One step of the size of the budget along the gradient of the cross-entropy.

    Args:
        norm: "linf" or "l2".
    """

    name: ClassVar[str] = "fgsm"
    needs = Access.GRADIENTS
    norms = (Norm.LINF, Norm.L2)
    minimizes = False
    randomized = False
    # A limit of foolbox.
    targeted = False
    source = "Goodfellow et al. 2015; foolbox"
    norm: str = "linf"

    def __post_init__(self) -> None:
        check_norm(self, self.norm)

    def made(self, attacks: ModuleType) -> Any:
        """Make the attack for the norm."""
        return attacks.LinfFastGradientAttack() if self.norm == "linf" else attacks.L2FastGradientAttack()
