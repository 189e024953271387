"""Show adversarials that were made against one model to others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from holdfast.attacks.randomness import derived
from holdfast.attacks.target import ABSTAINS
from holdfast.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from holdfast.attacks import Target
    from holdfast.store.attack import AttackRun

# Behind row, column and index in what a seed is derived from: what attacks derive from the same seed has fewer parts.
_SHOWN = 1


@dataclass(frozen=True)
class Transfer:
    """The answers of models to each other's adversarials.

    Attributes:
        answers: attack -> model that was asked, by the name of its attack -> its answers, None for none.
        labels: attack -> the true class of each of its adversarials.
    """

    answers: dict[str, dict[str, list[int | None]]]
    labels: dict[str, list[int]]


def transfer(
    attacks: Mapping[str, AttackRun],
    targets: Mapping[str, Target],
    seed: int,
    on_answer: Callable[[int, int], None] | None = None,
) -> Transfer:
    """Ask each target about the adversarials of each attack, with fresh noise.

    Left out are adversarials of inputs that their own model gets wrong unchanged: they lead away from a wrong class,
    and another model that answers the true one would seem to be fooled by them.

    Args:
        attacks: by name, all on inputs of one data set.
        targets: the classifiers that they were made against, under the same names.
        seed: seed of the noise; each answer has noise of its own.
        on_answer: called after each answer with the number of answers so far and of all.

    Raises:
        RunError: the attacks are on different data.
    """
    data = {(each.manifest.data.sha256, each.manifest.data.shape) for each in attacks.values()}
    if len(data) > 1:
        raise RunError(
            "these attacks were made on different data sets, so one's adversarials show nothing about another"
        )
    made = {
        name: [each for each in run.records if each.adversarial is not None and each.reference == each.label]
        for name, run in attacks.items()
    }
    total, done = len(targets) * sum(map(len, made.values())), 0
    answers: dict[str, dict[str, list[int | None]]] = {name: {} for name in attacks}
    for row, (name, run) in enumerate(attacks.items()):
        inputs: Sequence[torch.Tensor] = [
            torch.from_numpy(values) for values in map(run.adversarial, made[name]) if values is not None
        ]
        for number, (column, target) in enumerate(targets.items()):
            found: list[int | None] = []
            for record, x in zip(made[name], inputs, strict=True):
                own = derived(seed, row, number, record.index, _SHOWN)
                (answer,) = target.answers(x.to(target.device), 1, own).classes
                found.append(None if answer == ABSTAINS else answer)
                done += 1
                if on_answer:
                    on_answer(done, total)
            answers[name][column] = found
    return Transfer(answers, {name: [record.label for record in records] for name, records in made.items()})
