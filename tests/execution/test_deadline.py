"""A deadline: what the votes of the last look prove, marked, and in time."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch

import holdfast as hf
from holdfast.estimators import Looks, certificate, scale_of
from holdfast.sampling import procedure

X = np.random.default_rng(0).random((3, 1, 4, 4), dtype=np.float32)
N, N0, ALPHA = 2_000, 20, 0.01


class Clock:
    """A clock that stands still until the classifier has seen so many rows."""

    def __init__(self, rows: int) -> None:
        self.rows, self.seen = rows, 0

    def monotonic(self) -> float:
        return 0.0 if self.seen < self.rows else 100.0

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        self.seen += len(z)
        score = z.flatten(1).mean(1) - 0.4
        return torch.stack([-score, score], 1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """Makes a classifier whose rows are what the clock of deadlines counts."""

    def made(rows: int) -> Clock:
        found = Clock(rows)
        monkeypatch.setattr(procedure.time, "monotonic", found.monotonic)
        return found

    return made


def smoothed(f: Any, **settings: Any) -> hf.SmoothedClassifier:
    return hf.SmoothedClassifier(f, hf.Gaussian(0.5), 2, batch_size=64, **settings)


@pytest.mark.parametrize("rows", [150, 400, 1_000, 2_500, 5_000])
def test_a_cut_input_has_what_its_last_look_proves(rows: int, clock) -> None:
    """The votes are the first ones of those of a call with all the time, and their number is that of a look."""
    with pytest.warns(hf.HoldfastWarning, match=r"the deadline of 1 s cut \d of 3 inputs"):
        found = smoothed(clock(rows)).certify(X, n0=N0, n=N, alpha=ALPHA, seed=3, deadline=1.0)
    noise, shape = hf.Gaussian(0.5), X.shape[1:]
    looks = Looks(N, ALPHA, (), 1e-12, scale=scale_of(noise, None, shape))
    for each, x in zip(found, X, strict=True):
        total = each.estimation.total
        assert total in (0, *looks.schedule.looks)
        if not total:
            assert (each.label, each.radius, each.bounds.p_lower, each.bounds.p_upper) == (None, 0.0, 0.0, 1.0)
            assert each.cut
            continue
        prefix = smoothed(Clock(10**9)).certify(x[None], n0=N0, n=total, alpha=ALPHA, seed=3)[0]
        assert each.selection == prefix.selection
        assert each.estimation == prefix.estimation
        expected = certificate(noise, looks, shape, each.selection, each.estimation)
        assert (each.label, each.radius, each.bounds) == (expected.label, expected.radius, expected.bounds)
        # Its share of alpha is smaller than all of it.
        assert each.bounds.p_lower < prefix.bounds.p_lower
    assert any(each.cut for each in found)
    assert {each.alpha for each in found} == {ALPHA}


def test_the_later_a_cut_the_more_is_proved(clock) -> None:
    reached = []
    for rows in (150, 400, 1_500, 4_000):
        with pytest.warns(hf.HoldfastWarning):
            found = smoothed(clock(rows)).certify(X[:1], n0=N0, n=4 * N, alpha=ALPHA, seed=3, deadline=1.0)
        reached.append(found[0].estimation.total)
    assert reached == sorted(reached)
    assert len(set(reached)) == 4


@pytest.mark.filterwarnings("error::holdfast.errors.HoldfastWarning")
def test_with_time_to_spare_nothing_is_cut() -> None:
    found = smoothed(Clock(10**9)).certify(X, n0=N0, n=N, alpha=ALPHA, seed=3, deadline=1e6)
    assert not any(each.cut for each in found)
    assert {each.estimation.total for each in found} == {N}
    radii = [0.25, 0.5]
    early = smoothed(Clock(10**9)).certify(X, n0=N0, n=N, alpha=ALPHA, seed=3, until_radius=radii, deadline=1e6)
    assert early == smoothed(Clock(10**9)).certify(X, n0=N0, n=N, alpha=ALPHA, seed=3, until_radius=radii)


def test_a_cut_prediction_abstains(clock) -> None:
    def undecided(z: torch.Tensor) -> torch.Tensor:
        count(z)
        return (z.flatten(1).sum(1) > 0.0).long()

    count = clock(500)
    f = hf.SmoothedClassifier(undecided, hf.Gaussian(1.0), 2, batch_size=64, input_range=(-1.0, 1.0))
    with pytest.warns(hf.HoldfastWarning, match="cut 2 of 2 inputs"):
        found = f.predict(np.zeros((2, 4), np.float32), n=100_000, alpha=1e-6, seed=3, deadline=1.0)
    assert [(each.label, each.cut) for each in found] == [(None, True)] * 2
    count = clock(1)
    with pytest.warns(hf.HoldfastWarning, match="cut 1 of 1 inputs"):
        (none,) = f.predict(np.zeros((1, 4), np.float32), n=1_000, alpha=0.01, seed=3, deadline=1.0)
    assert (none.label, none.p_value, none.counts.total) == (None, None, 0)


def test_void_votes_are_an_error_even_if_they_would_be_thrown_away(clock) -> None:
    count = clock(40)

    def broken(z: torch.Tensor) -> torch.Tensor:
        return count(z) * (float("nan") if count.seen > 30 else 1.0)

    with pytest.raises(hf.ClassifierError):
        smoothed(broken).certify(X[:1], n0=N0, n=N, alpha=ALPHA, deadline=1.0)


def test_a_slow_classifier_keeps_to_its_time() -> None:
    """On a clock that the classifier moves on itself: a row takes 10 ms."""
    seconds = [0.0]

    def slow(z: torch.Tensor) -> torch.Tensor:
        seconds[0] += 0.01 * len(z)
        return z.flatten(1)[:, :2]

    with pytest.MonkeyPatch.context() as patch:
        for place in ("holdfast.sampling.procedure", "holdfast.execution.smoothed"):
            patch.setattr(f"{place}.time", FakeTime(seconds))
        patch.setattr("holdfast.sampling.counts.time", FakeTime(seconds))
        f = hf.SmoothedClassifier(slow, hf.Gaussian(0.5), 2)
        with pytest.warns(hf.HoldfastWarning, match="cut 1 of 1"):
            f.certify(X[:1], n0=N0, n=100_000, alpha=ALPHA, seed=3, deadline=5.0)
    # The last look at the classifier comes after it; a batch of 256 would have taken 2.56 s of its own.
    assert 4.0 < seconds[0] < 7.0


class FakeTime:
    def __init__(self, seconds: list[float]) -> None:
        self.seconds = seconds

    def monotonic(self) -> float:
        return self.seconds[0]

    perf_counter = monotonic


@pytest.mark.parametrize("deadline", [0, -1.0, float("nan"), float("inf"), "1", True])
def test_a_deadline_that_is_none_is_refused(deadline: Any) -> None:
    with pytest.raises(hf.UsageError, match="the deadline is a positive number of seconds"):
        smoothed(Clock(1)).certify(X, n=100, alpha=0.1, deadline=deadline)


def test_other_processes_have_clocks_of_their_own() -> None:
    f = hf.SmoothedClassifier(Clock(1), hf.Gaussian(0.5), 2, engine=hf.ProcessesEngine(2))
    with pytest.raises(hf.UsageError, match="a deadline needs an engine of this process, a LocalEngine; got Processes"):
        f.predict(X, n=100, alpha=0.1, deadline=1.0)


def test_real_seconds() -> None:
    def slow(z: torch.Tensor) -> torch.Tensor:
        time.sleep(0.001 * len(z))
        return z.flatten(1)[:, :2]

    start = time.monotonic()
    with pytest.warns(hf.HoldfastWarning):
        smoothed(slow).certify(X, n0=N0, n=1_000_000, alpha=ALPHA, seed=3, deadline=0.5)
    # All of it would take 50 minutes.
    assert time.monotonic() - start < 60
