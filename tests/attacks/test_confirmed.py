"""What confirms an adversarial is a classifier that still answers as before."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import holdfast as hf
from holdfast.attacks import SmoothedTarget
from holdfast.attacks.target import PlainTarget
from holdfast.errors import ClassifierError
from holdfast.sampling.classifier import VotingClassifier

SHAPE = (1, 4, 4)


class Turns:
    """Another answer to the same input from some call on."""

    def __init__(self) -> None:
        self.turned = False

    def __call__(self, z: Tensor) -> Tensor:
        score = z.flatten(1).mean(1) - 0.5
        return torch.stack([score, -score] if self.turned else [-score, score], 1)


def test_answers_of_a_plain_classifier_that_changed_are_refused() -> None:
    function = Turns()
    target = PlainTarget(function, 2, SHAPE)
    x = torch.full(SHAPE, 0.6)
    assert target.answers(x, 1, 0).classes == (1,)
    function.turned = True
    with pytest.raises(ClassifierError, match="answers differently"):
        target.answers(x, 1, 0)


def test_answers_of_all_realizations_are_confirmed() -> None:
    function = Turns()
    target = SmoothedTarget(VotingClassifier(function, 2), hf.Partition(4), SHAPE, 100, 0.01, batch_size=16)
    assert target.deterministic
    x = torch.full(SHAPE, 0.6)
    target.answers(x, 1, 0)
    function.turned = True
    with pytest.raises(ClassifierError, match="answers differently"):
        target.answers(x, 1, 0)
