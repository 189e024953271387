"""Batch sizes: searched for during the work and remembered; results never depend on them."""

from __future__ import annotations

import gc
import pickle

import numpy as np
import pytest
import torch
from engine_cases import CLASSES, NOISE, PROCEDURE, collected, drawn, examples, expected, slow_vote, vote

import holdfast as hf
from holdfast.sampling.batches import _FOUND, BatchSize, found_for
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.engines.processes import ProcessesEngine
from holdfast.types import Example

# What the base classifier is looked at with, apart from the samples: a batch that is remembered, rows alone; and at the
# end that batch again, a row of the last batch alone, and others in another batch.
LOOK = 16 + 1 + 16
PROBES = 16 + 3 + LOOK


class Counting:
    """A base classifier that counts its passes."""

    def __init__(self) -> None:
        self.rows = 0
        self.largest = 0

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        self.rows += len(z)
        self.largest = max(self.largest, len(z))
        return vote(z)


def image(count: int = 1) -> np.ndarray:
    return np.random.default_rng(0).random((count, 1, 6, 6), dtype=np.float32)


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_no_passes_are_thrown_away_to_measure(classes: int) -> None:
    """certify of one input with n0 = 50 and n = 200 took 954 to 12,346 passes."""
    f = Counting()
    smoothed = hf.SmoothedClassifier(f, NOISE, CLASSES)
    smoothed.certify(image(), n0=50, n=200, alpha=0.01, seed=classes)
    assert 250 <= f.rows <= 250 + PROBES
    before = f.rows
    for seed in range(3):
        smoothed.certify(image(), n0=50, n=200, alpha=0.01, seed=seed)
    # Near ties are computed again alone; this classifier has next to none.
    assert f.rows - before <= 3 * (250 + LOOK + 2)


def test_larger_calls_pass_no_more_than_was_asked_for() -> None:
    f = Counting()
    hf.SmoothedClassifier(f, NOISE, CLASSES).certify(image(5), n0=100, n=20_000, alpha=0.01, seed=1)
    assert f.rows <= 5 * 20_100 * 1.01 + PROBES


def test_attacks_measure_nothing_beforehand() -> None:
    from holdfast.attacks.smoothed import SmoothedTarget

    f = Counting()
    target = SmoothedTarget(VotingClassifier(f, CLASSES), NOISE, (1, 6, 6), 100, 0.1)
    assert f.rows == 0
    target.votes(torch.from_numpy(image()))
    assert f.rows <= 100 + PROBES


def test_results_do_not_depend_on_the_search() -> None:
    searching = VotingClassifier(vote, CLASSES)
    for _ in range(4):
        assert collected(drawn(LocalEngine(), searching)) == expected()


def speeds(times: dict[int, float], start: int = 256) -> tuple[BatchSize, set[int]]:
    """A finished search where a copy takes the given microseconds in a batch of the given size."""
    batches, tried = BatchSize(start, settled=False), set()
    for _ in range(100_000):
        if batches.settled:
            return batches, tried
        tried.add(batches.size)
        batches.record(batches.size, 1e-6 * batches.size * times[batches.size])
    raise AssertionError("the search has no end")


@pytest.mark.parametrize("best", [64, 128, 256, 512, 1024, 8192])
def test_the_fastest_size_is_found(best: int) -> None:
    times = {2**power: 1.0 + 0.3 * abs(power - best.bit_length() + 1) for power in range(14)}
    batches, tried = speeds(times)
    assert batches.size == best
    assert tried <= {2**power for power in range(6, 14)}
    assert 0.9e6 < batches.speed < 1.1e6


def test_of_equal_sizes_the_largest_is_taken_that_is_no_long_batch() -> None:
    assert speeds({2**power: 1.0 for power in range(14)})[0].size == 8192
    # 256 copies in 0.2 s: twice as many would take longer than a batch may.
    slow, tried = speeds({2**power: 800.0 for power in range(14)})
    assert slow.size == 256
    assert max(tried) == 256
    # 256 copies in a second: no other size is tried.
    assert speeds({2**power: 4000.0 for power in range(14)})[1] == {256}


def test_interference_on_the_machine_decides_nothing() -> None:
    """Every third round is ten times slower, for whichever size."""
    batches, rng = BatchSize(256, settled=False), np.random.default_rng(0)
    while not batches.settled:
        slowed = 10.0 if rng.random() < 0.2 else 1.0
        batches.record(batches.size, slowed * 1e-6 * batches.size * (1.0 if batches.size >= 512 else 2.0))
    assert batches.size >= 512


def test_only_whole_batches_count() -> None:
    batches = BatchSize(256, settled=False)
    for rows in (1, 50, 255):
        for _ in range(1000):
            batches.record(rows, 1e-3)
    assert (batches.size, batches.settled, batches.speed) == (256, False, 0.0)


def test_large_inputs_begin_with_small_batches() -> None:
    assert BatchSize.search(4 * 64).size == 256
    assert BatchSize.search(4 * 3 * 224 * 224).size == 32
    assert BatchSize.search(4 * 3 * 1024 * 1024).size == 2
    assert BatchSize.search(2**40).size == 1


def test_sizes_that_fail_are_left() -> None:
    batches = BatchSize(256, settled=False)
    assert batches.failed(256)
    assert (batches.size, batches.most, batches.settled) == (128, 128, False)
    assert batches.failed(100)
    assert batches.size == 32
    fixed = BatchSize(256, settled=True)
    assert not fixed.failed(200)
    assert (fixed.size, fixed.settled) == (100, True)


def test_what_was_found_is_remembered_as_long_as_the_classifier_lives() -> None:
    classifier = VotingClassifier(Counting(), CLASSES)
    engine = LocalEngine()
    one = engine.batches(classifier, NOISE, (1, 6, 6))
    assert engine.batches(classifier, NOISE, (1, 6, 6)) is one
    others = [
        engine.batches(classifier, NOISE, (1, 8, 8)),
        engine.batches(classifier, hf.Gaussian(0.125), (1, 6, 6)),
        LocalEngine(threads=2).batches(classifier, NOISE, (1, 6, 6)),
        engine.batches(VotingClassifier(Counting(), CLASSES), NOISE, (1, 6, 6)),
    ]
    assert all(other is not one for other in others)
    assert LocalEngine(batch_size=7).batches(classifier, NOISE, (1, 6, 6)).size == 7
    number = id(classifier)
    assert number in _FOUND
    del classifier
    gc.collect()
    assert number not in _FOUND


def test_the_search_goes_on_where_the_last_call_left_it() -> None:
    smoothed = hf.SmoothedClassifier(vote, NOISE, CLASSES)
    for seed in range(200):
        smoothed.certify(image(2), n0=100, n=5000, alpha=0.01, seed=seed)
        (found,) = found_for(smoothed._classifier).values()
        if found.settled:
            break
    assert found.settled
    assert found.speed > 0


def test_workers_tell_what_they_found_and_begin_with_it() -> None:
    # 10 ms per batch, so that the larger of two sizes is always faster.
    classifier = VotingClassifier(slow_vote, CLASSES)
    engine = ProcessesEngine(1)
    assert len(collected(engine.run(classifier, NOISE, PROCEDURE, 9, examples(range(800))))) == 800
    (found,) = found_for(classifier).values()
    assert found.settled
    assert pickle.loads(pickle.dumps(found)).size == found.size
    # The same key as in this process, so that the local engine finds it, too.
    assert LocalEngine().batches(classifier, NOISE, (1, 6, 6)) is found
    assert collected(drawn(engine, classifier)) == expected()


def test_a_measurement_beforehand_is_remembered_for_the_work() -> None:
    f = Counting()
    classifier, engine = VotingClassifier(f, CLASSES), LocalEngine()
    size, speed = engine.fastest_batch(classifier, NOISE, Example(0, image()[0], 0))
    assert speed > 0
    before = f.rows
    assert engine.fastest_batch(classifier, NOISE, Example(0, image()[0], 0)) == (size, speed)
    assert f.rows == before
    assert engine.loop(classifier, NOISE, PROCEDURE, 1, Example(0, image()[0], 0)).batches.size == size
