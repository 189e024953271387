"""A small attack for the tests of its store: a cheap classifier, examples made from their index."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from helpers import CLASSES, SHAPE, examples, made_up_data
from torch import Tensor

from holdfast.attacks import PlainTarget, attack_from_dict
from holdfast.execution.attack import attack_run
from holdfast.store.attack_manifest import AttackManifest, Budgets

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.execution.adversary import Certified


def score(x: Tensor) -> Tensor:
    """Logits from a few pixels."""
    return x.flatten(1)[:, :CLASSES]


def attack_manifest(
    size: int = 12, attack: str = "pgd", budgets: tuple[float, ...] = (0.2,), **changes: object
) -> AttackManifest:
    """What an attack on `size` made-up examples promises."""
    chosen = attack_from_dict({"name": attack})
    made = AttackManifest(
        attack=chosen.to_dict(),
        norm=chosen.measure.value,
        budgets=Budgets(budgets),
        wanted=None,
        restarts=1,
        repeats=50,
        confidence=0.999,
        noise=None,
        n=0,
        alpha=0.0,
        search_alpha=0.0,
        soft_samples=0,
        data=made_up_data(size),
        model={"sha256": "1" * 64},
        certification=None,
        seed=9,
        precision="float32",
        device="cpu",
        versions={"holdfast": "0.1.0"},
    )
    return replace(made, **changes)


def target() -> PlainTarget:
    """The classifier."""
    return PlainTarget(score, CLASSES, SHAPE)


def attack(folder: Path, promised: AttackManifest, certified: dict[int, Certified] | None = None) -> None:
    """Start or resume the attack."""
    torch.set_num_threads(1)
    attack_run(folder, promised, target(), examples, certified)
