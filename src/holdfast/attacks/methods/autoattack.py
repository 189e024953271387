"""AutoAttack, the reference for Linf and L2. Source: Croce & Hein 2020, "Reliable evaluation of adversarial robustness
with an ensemble of diverse parameter-free attacks"."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from holdfast.attacks.base import Attack, check_norm, installed_version
from holdfast.attacks.foolbox import Cube, Scores, imported, quietly
from holdfast.attacks.target import Access
from holdfast.errors import UsageError
from holdfast.types import Norm

if TYPE_CHECKING:
    from holdfast.attacks.base import Problem
    from holdfast.attacks.target import Target

# Its targeted losses use the third and fourth most likely class.
_FEWEST_CLASSES = 4
_MOST_TARGETS = 9
# In L2, the first squares of Square have a fifth of the image's height.
_LOWEST = 5


@dataclass(frozen=True)
class AutoAttack(Attack):
    """Auto-PGD on two losses, FAB and Square, one after the other until one succeeds: the version "standard".

    Args:
        norm: "linf" or "l2".
    """

    name: ClassVar[str] = "autoattack"
    needs = Access.GRADIENTS
    norms = (Norm.LINF, Norm.L2)
    minimizes = False
    targeted = False
    source = "Croce & Hein 2020; pyautoattack"
    library = "pyautoattack"
    norm: str = "linf"

    def __post_init__(self) -> None:
        check_norm(self, self.norm)

    def check(self, target: Target) -> None:
        """Also raise UsageError unless inputs are images of sufficient size with enough classes."""
        super().check(target)
        if len(target.shape) != 3 or target.num_classes < _FEWEST_CLASSES:
            raise UsageError(
                f"autoattack is for images (channels, height, width) of at least {_FEWEST_CLASSES} classes, got inputs "
                f"of shape {target.shape} and {target.num_classes} classes; use pgd"
            )
        if self.measure is Norm.L2 and target.shape[1] < _LOWEST:
            raise UsageError(
                f"autoattack in l2 is for images at least {_LOWEST} pixels high (Square of pyautoattack "
                f"{installed_version(self.library)} divides the height by {_LOWEST}), got inputs of shape "
                f"{target.shape}; use pgd:norm=l2"
            )

    def search(self, problem: Problem) -> Tensor:
        """Run the attack on a batch of one."""
        package = imported("pyautoattack", "The attack 'autoattack'")
        cube = Cube(problem)
        logging.getLogger("auto-attack").setLevel(logging.ERROR)
        attack = package.AutoAttack(
            Scores(problem, cube).eval(),
            norm={"linf": "Linf", "l2": "L2"}[self.norm],
            eps=problem.budget / cube.width,
            device=problem.target.device,
            # Below 2^32, as its parts require, and never 0, which would mean no seed.
            seed=problem.seed % (2**32 - 1) + 1,
        )
        targets = min(_MOST_TARGETS, problem.target.num_classes - 1)
        attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = targets
        label = torch.tensor([problem.label], device=problem.target.device)
        points: Tensor = quietly(lambda: attack.run_standard_evaluation(cube.start, label, batch_size=1)[0])
        return cube.back(points)
