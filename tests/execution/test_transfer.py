"""What is counted when adversarials of one model are shown to others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from attack_cases import attack_manifest
from helpers import CLASSES, SHAPE, examples
from torch import Tensor

from holdfast.analysis.attacks import transfer_matrix
from holdfast.attacks import PlainTarget, attack_from_dict
from holdfast.errors import RunError
from holdfast.execution.attack import attack_run
from holdfast.execution.transfer import transfer
from holdfast.store.attack import AttackRun, read_attack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = 12
TRUE = [example.label for example in examples(range(SIZE))]
KNOWN = torch.stack([torch.from_numpy(example.x) for example in examples(range(SIZE))]).flatten(1)


def knowing(x: Tensor) -> Tensor:
    """A perfect model of unchanged inputs: the class of the nearest one."""
    nearest = torch.cdist(x.flatten(1), KNOWN).argmin(dim=1)
    return torch.nn.functional.one_hot(torch.tensor(TRUE)[nearest], CLASSES).float()


def scored(x: Tensor) -> Tensor:
    """A model of a few pixels, that is right of some inputs only."""
    return x.flatten(1)[:, :CLASSES]


def attacked(folder: Path, model: Callable[[Tensor], Tensor], **changes: object) -> AttackRun:
    # It needs no more than some adversarial of each input.
    short = attack_from_dict({"name": "boundary", "steps": 300}).to_dict()
    promised = replace(attack_manifest(SIZE, attack="boundary", budgets=(), **changes), attack=short)
    attack_run(folder, promised, PlainTarget(model, CLASSES, SHAPE), examples)
    return read_attack(folder)


def test_only_adversarials_of_inputs_that_their_model_has_right_are_shown(tmp_path: Path) -> None:
    """Of an input that the weak model has wrong, an adversarial that the perfect model has right is no success."""
    runs = {"weak": attacked(tmp_path / "weak", scored)}
    right = [each for each in runs["weak"].records if each.reference == each.label]
    assert 0 < len(right) < SIZE, "some are wrong unchanged"
    targets = {"weak": PlainTarget(scored, CLASSES, SHAPE), "perfect": PlainTarget(knowing, CLASSES, SHAPE)}
    found = transfer(runs, targets, seed=1)
    assert found.labels == {"weak": [each.label for each in right]}
    row = transfer_matrix(found.answers, found.labels)["weak"]
    assert row["weak"] is not None
    assert row["perfect"] is not None
    assert row["weak"].value == 1.0
    wrong = sum(
        answer != label for answer, label in zip(found.answers["weak"]["perfect"], found.labels["weak"], strict=True)
    )
    assert row["perfect"].value == wrong / len(right)


def test_attacks_on_other_data_are_refused(tmp_path: Path) -> None:
    one = attacked(tmp_path / "one", scored)
    other = replace(one, manifest=replace(one.manifest, data=replace(one.manifest.data, sha256="1" * 64)))
    target = PlainTarget(scored, CLASSES, SHAPE)
    with pytest.raises(RunError, match="were made on different data sets"):
        transfer({"one": one, "other": other}, {"one": target, "other": target}, seed=1)


def test_every_answer_has_noise_of_its_own(tmp_path: Path) -> None:
    """Rows of the matrix once shared theirs: an example of two attacks was shown under the same noise."""
    runs = {name: attacked(tmp_path / name, knowing) for name in ("one", "two")}
    asked: list[int] = []

    class Listening(PlainTarget):
        def _renew(self, seed: int, level: int) -> None:
            super()._renew(seed, level)
            asked.append(seed)

    targets = {name: Listening(scored, CLASSES, SHAPE) for name in runs}
    found = transfer(runs, targets, seed=1)
    assert len(asked) == 2 * sum(map(len, found.labels.values())) > 2 * SIZE
    assert len(set(asked)) == len(asked)
