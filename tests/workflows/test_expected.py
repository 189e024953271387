"""Expected numbers of samples: by simulation as by exact recursion; a pilot has noise that no run has."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom

from holdfast.errors import UsageError
from holdfast.estimators import (
    Assumed,
    Bets,
    EProcess,
    Estimator,
    FixedSize,
    Looks,
    beta_quantiles,
    expected,
    scale_of,
)
from holdfast.noises.draws import Draws
from holdfast.noises.gaussian import Gaussian
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.procedure import Certify, Pilot, Procedure
from holdfast.sampling.rng import Stream
from holdfast.types import Counts, Example

SCALE = scale_of(Gaussian(1.0), None, (1, 2, 2))
N, N0, RADIUS = 400, 10, 0.5


def _mean_by_recursion(rule: Estimator, p: float) -> float:
    """The expected number of votes for class 0 or 1, exactly: over all selections and all votes so far."""
    whole = 0.0
    for chosen in range(N0 + 1):
        selection = Counts((chosen, N0 - chosen))
        informed, top = rule.informed(selection), selection.top
        going = {(0, 0): 1.0}
        mean = 0.0
        while going:
            after: dict[tuple[int, int], float] = {}
            for votes, mass in going.items():
                draws = informed.draws_wanted(top, Counts(votes))
                if draws == 0:
                    mean += mass * sum(votes)
                    continue
                for hits, share in enumerate(binom.pmf(np.arange(draws + 1), draws, p)):
                    key = votes[0] + hits, votes[1] + draws - hits
                    after[key] = after.get(key, 0.0) + mass * float(share)
            # What is left out is far below the error of the simulation.
            going = {votes: mass for votes, mass in after.items() if mass > 1e-7}
        whole += float(binom.pmf(chosen, N0, p)) * mean
    return whole


@pytest.mark.parametrize(
    "rule",
    [
        Looks(N, 0.05, (RADIUS,), scale=SCALE),
        EProcess(N, 0.05, RADIUS, scale=SCALE),
        Bets(N, 0.05, (RADIUS,), scale=SCALE),
    ],
    ids=lambda rule: rule.name,
)
@pytest.mark.parametrize("p", [0.75, 0.95])
def test_simulation_agrees_with_exact_recursion(rule: Estimator, p: float) -> None:
    exact = _mean_by_recursion(rule, p)
    found = expected(rule, N0, (RADIUS,), SCALE, Assumed.of_top((p,), 2, 400), 1)
    # Five standard errors: wrong once in a million.
    assert abs(found.samples - exact) <= 5.0 * found.error + 0.5
    assert 0.0 < found.error < 0.1 * N
    assert found.seconds > 0.0


def test_a_fixed_number_has_no_error_and_what_is_certified_is_binomial() -> None:
    rule = FixedSize(100, 0.05)
    found = expected(rule, 10, (RADIUS,), SCALE, Assumed.of_top((0.8,), 2, 2000), 3)
    assert (found.samples, found.error) == (100.0, 0.0)
    enough = [hits for hits in range(101) if (SCALE(rule.bounds(0, Counts((hits, 100 - hits)))) or 0.0) >= RADIUS]
    exact = float(binom.pmf(enough, 100, 0.8).sum())
    # The selection votes name class 0 but for three in a hundred.
    assert found.certified[0] == pytest.approx(exact * float(binom.sf(4, 10, 0.8)), abs=0.05)


def test_the_error_of_a_pilot_has_the_choice_of_its_examples() -> None:
    """Of inputs with one vote in doubt, and others without, a pilot of a few says little; a list says all."""
    rule = Looks(1000, 0.05, (RADIUS,), scale=SCALE)
    votes = [Counts((200, 0)), Counts((140, 60))] * 4
    of_pilot = expected(rule, N0, (RADIUS,), SCALE, Assumed.of_votes(votes, 400, 0), 2)
    of_list = expected(rule, N0, (RADIUS,), SCALE, Assumed.of_top((0.995, 0.7) * 4, 2, 400), 2)
    assert of_pilot.error > 3.0 * of_list.error


def test_assumed_probabilities() -> None:
    assumed = Assumed.of_votes([Counts((198, 1, 1)), Counts((0, 0, 200))], 10_000, 0)
    assert assumed.kinds.shape == (2, 5000, 3)
    assert assumed.kinds.sum(axis=2) == pytest.approx(np.ones((2, 5000)))
    prior = 1 / 3
    assert assumed.kinds[0].mean(axis=0) == pytest.approx((np.array([198, 1, 1]) + prior) / 201, abs=1e-3)
    quantiles = beta_quantiles(8.0, 1.0)
    assert len(quantiles) == 100
    assert quantiles[49] == pytest.approx(0.495 ** (1 / 8))
    assert np.mean(quantiles) == pytest.approx(8 / 9, abs=1e-3)
    for wrong in ((), (1.5,), (-0.1,), (math.nan,)):
        with pytest.raises(UsageError, match="probabilities of the top class"):
            Assumed.of_top(wrong, 2, 100)
    with pytest.raises(UsageError, match="two examples at least"):
        Assumed.of_votes([Counts((1, 1))], 10, 0)
    with pytest.raises(UsageError, match="parameters of a beta distribution"):
        beta_quantiles(0.0, 1.0)
    with pytest.raises(UsageError, match="n0 is a whole number"):
        expected(FixedSize(10, 0.1), 0, (), SCALE, Assumed.of_top((0.5,), 2, 2), 0)


class _Seen:
    """A base classifier that keeps each noisy copy that it is shown."""

    def __init__(self) -> None:
        self.copies: set[bytes] = set()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.copies |= {each.numpy().tobytes() for each in x}
        return (x.sum(dim=(1, 2, 3)) > 0).long()


def _copies(procedure: Procedure, seed: int) -> set[bytes]:
    seen = _Seen()
    classifier = VotingClassifier(seen, 2)
    examples = [Example(index, np.zeros((1, 2, 2), dtype=np.float32), 0) for index in range(3)]
    votes = list(LocalEngine(batch_size=64).run(classifier, Gaussian(1.0), procedure, seed, examples))
    assert len(votes) == 3
    return seen.copies


def test_a_pilot_has_no_noisy_copy_of_a_run_with_its_own_seed() -> None:
    run, pilot = _copies(Certify(200, FixedSize(2000, 0.1)), 0), _copies(Pilot(200), 0)
    # By which the loop checks the classifier: fixed inputs, whose answers are no votes.
    probes = _copies(Pilot(2), 1) & _copies(Pilot(2), 2)
    assert len(probes) < 20
    run, pilot = run - probes, pilot - probes
    assert (len(run), len(pilot)) == (3 * 2200, 3 * 200)
    assert not run & pilot
    # The comparison would see it: the same stream shows the same copies again.
    assert pilot <= _copies(Pilot(300), 0)


def test_the_words_of_a_pilot_are_those_of_no_other_stream() -> None:
    words = {stream: set(Draws(5, 3, stream, 500).words64(torch.zeros(1), 4).flatten().tolist()) for stream in Stream}
    for stream in set(Stream) - {Stream.PILOT}:
        assert not words[Stream.PILOT] & words[stream]
