"""No record is on the disk whose votes came after the last good look at the base classifier."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from helpers import CLASSES, examples, manifest, vote

from holdfast.errors import ClassifierError
from holdfast.execution.certify import certify_run
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.base import Engine, FunctionFactory
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.engines.processes import ProcessesEngine
from holdfast.sampling.steadiness import Steadiness
from holdfast.store.run import read_run


class Breaks:
    """Gives all votes to class 0 after some batches; slow enough that records are flushed meanwhile."""

    def __init__(self, batches: int = 60) -> None:
        self.left = batches

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        self.left -= len(z) == 100
        time.sleep(0.01 if len(z) == 100 else 0.0)
        return vote(z) if self.left > 0 else torch.eye(CLASSES)[torch.zeros(len(z), dtype=torch.long)]


def records(folder: Path) -> dict[int, object]:
    return {record.index: record for record in read_run(folder).records}


@pytest.mark.parametrize("engine", [LocalEngine(batch_size=100), ProcessesEngine(2, batch_size=100)])
def test_a_run_keeps_no_record_of_a_classifier_that_broke(engine: Engine, tmp_path: Path) -> None:
    promised = manifest(size=60)
    certify_run(tmp_path / "right", promised, VotingClassifier(vote, CLASSES), examples, LocalEngine(batch_size=100))
    with pytest.raises(ClassifierError, match="answers differently"):
        certify_run(tmp_path / "broken", promised, FunctionFactory(Breaks, CLASSES), examples, engine)
    right, kept = records(tmp_path / "right"), records(tmp_path / "broken")
    assert len(kept) < 60
    assert all(record == right[index] for index, record in kept.items())
    # And the run goes on from there.
    certify_run(tmp_path / "broken", promised, VotingClassifier(vote, CLASSES), examples, LocalEngine(batch_size=100))
    assert records(tmp_path / "broken") == right


def test_results_are_the_same_without_any_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promised = manifest(size=6)
    certify_run(tmp_path / "looked", promised, VotingClassifier(vote, CLASSES), examples, LocalEngine(batch_size=100))
    monkeypatch.setattr(Steadiness, "due", lambda self: True)
    certify_run(tmp_path / "often", promised, VotingClassifier(vote, CLASSES), examples, LocalEngine(batch_size=100))
    monkeypatch.setattr(Steadiness, "observe", lambda self, noisy, output: None)
    monkeypatch.setattr(Steadiness, "look", lambda self, *, last: None)
    certify_run(tmp_path / "never", promised, VotingClassifier(vote, CLASSES), examples, LocalEngine(batch_size=100))
    assert records(tmp_path / "looked") == records(tmp_path / "often") == records(tmp_path / "never")
