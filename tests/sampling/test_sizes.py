"""Base classifiers that accept only some batch sizes, and torch.export programs."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from torch import nn

import holdfast as hf
from holdfast.attacks import PlainTarget, attack_from_dict
from holdfast.attacks.smoothed import SmoothedTarget
from holdfast.errors import ClassifierError
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.sizes import check_sizes, votes_of

X = torch.full((1, 1, 4, 4), 0.5)
SAID = "takes a batch of {}, and fails for a batch of {} .*batches of any size, 1 included"


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval()


def exported(batch: int, dynamic: bool = False) -> Any:
    shapes = ({0: torch.export.Dim("batch", min=2)},) if dynamic else None
    return torch.export.export(network(), (torch.zeros(batch, 1, 4, 4),), dynamic_shapes=shapes)


def normalized_by_batch() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16, track_running_stats=False), nn.Linear(16, 2)).eval()


def certify(f: Any, batch_size: int = 64, **changed: Any) -> list[hf.Certificate]:
    smoothed = hf.SmoothedClassifier(f, hf.Gaussian(0.5), 2, batch_size=batch_size, **changed)
    return smoothed.certify(X, n=100, alpha=0.1, seed=1)


def dynamic_program() -> Any:
    return exported(4, dynamic=True)


def test_a_program_of_torch_export_is_taken_as_the_module_that_it_holds() -> None:
    expected = certify(network())
    assert certify(dynamic_program()) == certify(dynamic_program().module()) == expected
    factory = hf.FunctionFactory(dynamic_program, 2)
    assert certify(factory) == expected
    assert certify(dynamic_program(), layout="channels-first") == expected
    assert PlainTarget(dynamic_program(), 2, (1, 4, 4)).decide(X).tolist() == network()(X).argmax(1).tolist()


@pytest.mark.parametrize(
    ("batch", "failed", "whole"), [(8, 1, True), (8, 1, False), (64, 1, False), (37, 1, False), (1, 16, False)]
)
def test_a_program_for_one_batch_size_is_refused_with_the_reason(batch: int, failed: int, whole: bool) -> None:
    program = exported(batch) if whole else exported(batch).module()
    with pytest.raises(ClassifierError, match=SAID.format(batch, failed)) as caught:
        certify(program)
    assert isinstance(caught.value.__cause__, (AssertionError, RuntimeError))
    assert ("Or give batch_size=1" in str(caught.value)) == (batch == 1)


def test_a_program_for_single_inputs_works_with_batches_of_one() -> None:
    assert certify(exported(1), batch_size=1) == certify(network())


@pytest.mark.parametrize(
    ("f", "cause"),
    [
        (normalized_by_batch(), ValueError),
        (lambda z: network()(z).squeeze(), ClassifierError),
        (lambda z: network()(z.reshape(64, 1, 4, 4)), RuntimeError),
    ],
    ids=["batch statistics", "squeezed", "reshaped"],
)
def test_what_fails_for_one_input_is_refused_with_the_reason(f: Any, cause: type[Exception]) -> None:
    with pytest.raises(ClassifierError, match=SAID.format("64|16", 1)) as caught:
        certify(f)
    assert isinstance(caught.value.__cause__, cause)


def test_attacks_say_so_too() -> None:
    with pytest.raises(ClassifierError, match=SAID.format(8, 1)):
        PlainTarget(exported(8), 2, (1, 4, 4))
    # It is tried with four inputs.
    target = PlainTarget(exported(4), 2, (1, 4, 4))
    with pytest.raises(ClassifierError, match="batches of any size, 1 included"):
        attack_from_dict({"name": "fgsm"}).run(target, X[0], 0, 0.1)
    masked = SmoothedTarget(
        VotingClassifier(exported(8).module(), 2), hf.Ablation(3, null="mean", fill=(0.5,)), (1, 4, 4), 64, 0.1
    )
    with pytest.raises(ClassifierError, match="batches of any size, 1 included"):
        masked.decide(X)


def test_what_has_nothing_to_do_with_sizes_comes_through() -> None:
    def lost(z: torch.Tensor) -> torch.Tensor:
        raise KeyError("no such layer")

    def touchy(z: torch.Tensor) -> torch.Tensor:
        if z.flatten(1)[:, 0].max() > 1.0:
            raise ValueError("too bright")
        return z.flatten(1)[:, :2]

    with pytest.raises(KeyError, match="no such layer"):
        certify(lost)
    with pytest.raises(ValueError, match="too bright"):
        certify(touchy)
    with pytest.raises(RuntimeError, match="channels"):
        certify(nn.Conv2d(3, 2, 3).eval())
    with pytest.raises(ClassifierError, match="Is num_classes=2 right"):
        certify(lambda z: z.flatten(1)[:, :3])


def test_a_slow_classifier_that_always_fails_is_not_asked_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    from holdfast.sampling import sizes

    monkeypatch.setattr(sizes, "_MOST_SECONDS", 0.2)
    asked = []

    def slow(z: torch.Tensor) -> torch.Tensor:
        asked.append(len(z))
        time.sleep(0.05)
        raise RuntimeError("no such shape")

    with pytest.raises(RuntimeError, match="no such shape"):
        votes_of(VotingClassifier(slow, 2), torch.zeros(64, 1, 4, 4))
    assert len(asked) < 12
    # An output of another shape is reported at once.
    asked.clear()
    wrong = VotingClassifier(lambda z: asked.append(len(z)) or torch.zeros(len(z), 3), 2)  # type: ignore[func-returns-value]
    with pytest.raises(ClassifierError, match="num_classes"):
        votes_of(wrong, torch.zeros(64, 4))
    assert sorted(asked) == [1, 16, 64, 64]


def test_large_batches_are_not_tried() -> None:
    """A batch of 1024 inputs of 4 MiB would fill the memory."""
    asked = []

    def f(z: torch.Tensor) -> torch.Tensor:
        asked.append(len(z))
        raise RuntimeError("no such shape")

    row = torch.zeros(1, 2**20)
    check_sizes(VotingClassifier(f, 2), row, RuntimeError("no such shape"))
    assert max(asked) == 16
