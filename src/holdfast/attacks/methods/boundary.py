"""The boundary attack. Source: Brendel, Rauber & Bethge 2018, "Decision-Based Adversarial Attacks"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from holdfast.attacks.base import check_whole
from holdfast.attacks.foolbox import FoolboxAttack
from holdfast.attacks.target import Access
from holdfast.types import Norm

if TYPE_CHECKING:
    from types import ModuleType


@dataclass(frozen=True)
class Boundary(FoolboxAttack):
    """A walk along the decision boundary toward the input, using only decisions.

    Args:
        steps: most steps; each takes one query, every tenth takes two.
    """

    name: ClassVar[str] = "boundary"
    needs = Access.DECISIONS
    norms = (Norm.L2,)
    minimizes = True
    source = "Brendel et al. 2018; foolbox"
    steps: int = 5000

    def __post_init__(self) -> None:
        check_whole("steps", self.steps)

    def made(self, attacks: ModuleType) -> Any:
        """Make the attack; it starts from blended uniform noise."""
        return attacks.BoundaryAttack(steps=self.steps)
