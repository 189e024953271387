"""HopSkipJump. Source: Chen, Jordan & Wainwright 2020, "HopSkipJumpAttack: A Query-Efficient Decision-Based Attack"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from holdfast.attacks.base import check_norm, check_whole
from holdfast.attacks.foolbox import FoolboxAttack
from holdfast.attacks.target import Access
from holdfast.types import Norm

if TYPE_CHECKING:
    from types import ModuleType


@dataclass(frozen=True)
class HopSkipJump(FoolboxAttack):
    """Gradients at the decision boundary, estimated from decisions, and bisection toward the input.

    Args:
        norm: "l2" or "linf".
        steps: of the outer loop.
        estimates: queries for the first gradient; later gradients take more.
    """

    name: ClassVar[str] = "hop-skip-jump"
    needs = Access.DECISIONS
    norms = (Norm.L2, Norm.LINF)
    minimizes = True
    source = "Chen et al. 2020; foolbox"
    norm: str = "l2"
    steps: int = 30
    estimates: int = 100

    def __post_init__(self) -> None:
        check_norm(self, self.norm)
        check_whole("steps", self.steps)
        check_whole("estimates", self.estimates)

    def made(self, attacks: ModuleType) -> Any:
        """Make the attack; it starts from blended uniform noise."""
        return attacks.HopSkipJumpAttack(
            constraint=self.norm, steps=self.steps, initial_gradient_eval_steps=self.estimates
        )
