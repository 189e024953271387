"""How often certificates are false where an adversary holds the clock: never more often than alpha.

The classifier votes with a known probability p. The adversary sees every vote and stops the clock wherever the
certificate would be false. Each test allows as many failures as a Binomial(certificates, alpha) exceeds with
probability 1e-6 only: that is the failure rate of the test itself.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, norm

import holdfast as hf
from holdfast.estimators import Looks, TopTwo, scale_of
from holdfast.sampling.procedure import Certify, Until, certify_votes
from holdfast.sampling.rng import Stream
from holdfast.stats.binomial import lower_bound
from holdfast.types import Counts

TRIALS, TEST_FAILS = 4_000, 1e-6
N, SIGMA = 1_000, 0.5


def allowed(alpha: float, trials: int = TRIALS) -> int:
    return int(binom.isf(TEST_FAILS, trials, alpha))


def looks(alpha: float, method: str = "cohen") -> Looks:
    return Looks(N, alpha, (), 1e-12, method=method, scale=scale_of(hf.Gaussian(SIGMA), None, (1,)))


def votes_at(sizes: tuple[int, ...], p: float, rng: np.random.Generator) -> np.ndarray:
    """Votes for class 1 at each of the sizes: `(TRIALS, sizes)`."""
    steps = np.diff([0, *sizes])
    return np.cumsum(rng.binomial(steps, p, size=(TRIALS, len(sizes))), axis=1)


@pytest.mark.parametrize("method", ["cohen", "split"])
@pytest.mark.parametrize("alpha", [0.05, 0.2])
@pytest.mark.parametrize("p", [0.55, 0.75, 0.95])
def test_a_clock_that_stops_at_the_worst_look_fails_at_most_alpha_of_the_time(
    p: float, alpha: float, method: str
) -> None:
    rule = looks(alpha, method)
    sizes = rule.schedule.looks
    false = 0
    for row in votes_at(sizes, p, np.random.default_rng(round(100 * p))):
        bounds = (rule.bounds(1, Counts((size - int(hits), int(hits)))) for size, hits in zip(sizes, row, strict=True))
        false += any(each.p_lower > p or each.p_upper < 1.0 - p for each in bounds)
    assert false <= allowed(alpha)
    # The adversary does find false ones: a test in which nothing ever failed would prove nothing.
    assert false > 0


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_a_bound_for_a_fixed_number_fails_more_often_under_such_a_clock(alpha: float) -> None:
    """What a deadline without looks would do: the bound at alpha for however many votes there are."""
    p, sizes = 0.75, tuple(range(30, N + 1, 10))
    known: dict[tuple[int, int], float] = {}
    false = 0
    for row in votes_at(sizes, p, np.random.default_rng(1)):
        for size, hits in zip(sizes, row.tolist(), strict=True):
            if hits <= p * size:
                continue
            if (size, hits) not in known:
                known[size, hits] = lower_bound(hits, size, alpha)
            if known[size, hits] > p:
                false += 1
                break
    assert false > 2 * allowed(alpha)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_answers_are_wrong_at_most_alpha_of_the_time_under_such_a_clock(alpha: float) -> None:
    rule = TopTwo(N, alpha)
    sizes = rule.schedule.looks
    wrong = 0
    for row in votes_at(sizes, 0.5, np.random.default_rng(2)):
        answers = (
            rule.prediction(Counts((size - int(hits), int(hits)))).label for size, hits in zip(sizes, row, strict=True)
        )
        wrong += any(label == 0 for label in answers)
    assert wrong <= allowed(alpha)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_certificates_of_the_loop_under_an_adversarial_clock(alpha: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the whole path: the clock of each input's call stops once its votes so far look better than the truth."""
    p, trials = 0.7, 500
    threshold = SIGMA * norm.isf(p)
    f = hf.SmoothedClassifier(
        lambda z: (z[:, 0] > threshold).long(), hf.Gaussian(SIGMA), 2, input_range=(-1.0, 1.0), batch_size=4096
    )
    rule, state = looks(alpha, "split"), {"over": False}

    def spying(self: Until, votes):
        """The adversary reads the votes when the loop asks for more."""
        selection, estimation = certify_votes(votes)
        if estimation.total and selection.top == 1:
            state["over"] |= rule.bounds(1, Counts(estimation.votes)).p_lower > p
        return self.whole.next_draws(votes)

    monkeypatch.setattr(Until, "next_draws", spying)
    monkeypatch.setattr(Until, "seconds_left", lambda self: 0.0 if state["over"] else 1.0)
    monkeypatch.setattr("holdfast.sampling.counts.MonteCarlo._room", lambda self, left: 4096)
    false = cut = 0
    x = np.zeros((1, 1), np.float32)
    for seed in range(trials):
        state["over"] = False
        (found,) = f.certify(x, n0=16, n=N, alpha=alpha, seed=seed, deadline=1.0)
        truth = {1: p, 0: 1.0 - p}
        false += found.label is not None and found.bounds.p_lower > truth[found.label]
        cut += found.cut
    assert false <= allowed(alpha, trials)
    assert false > 0
    assert cut > 0


def test_an_input_that_is_cut_before_its_first_look_claims_nothing() -> None:
    whole = Certify(16, looks(0.05))
    until = Until(whole, -math.inf)
    assert until.seconds_left() == -math.inf
    assert until.cut({})
    assert until.cut({Stream.SELECTION: Counts((1, 15))})
    assert not until.cut({Stream.SELECTION: Counts((1, 15)), Stream.ESTIMATION: Counts((100, 900))})
