"""The margin variant of Theorem 1: exact at the worst classifier, and Predict answers within it as often as it says."""

import numpy as np
import pytest
from scipy.stats import binom, norm

from holdfast.errors import UsageError
from holdfast.estimators import prediction
from holdfast.estimators.margin import probability_needed, radius_with_margin, votes_needed
from holdfast.noises.base import find_guarantee
from holdfast.noises.gaussian import Gaussian
from holdfast.types import ClassBounds, Counts
from holdfast.worst_cases import find_worst_case

PAIRS = [(0.9, 0.1), (0.99, 0.01), (0.7, 0.1), (0.5, 0.2), (0.999, 0.0001)]


@pytest.mark.parametrize(("n", "alpha"), [(20, 0.05), (100, 0.001), (1_000, 0.001), (10_000, 0.001)])
def test_so_many_votes_are_answered_however_the_others_fall(n: int, alpha: float) -> None:
    needed = votes_needed(n, alpha)
    assert needed is not None
    assert prediction(Counts((needed, n - needed)), alpha).label == 0
    assert prediction(Counts((needed - 1, n - needed + 1)), alpha).label is None
    others = n - needed
    for second in {0, 1, others // 3, others // 2}:
        assert prediction(Counts((needed, second, others - second)), alpha).label == 0


def test_too_few_samples_never_answer() -> None:
    assert votes_needed(5, 0.001) is None
    assert probability_needed(5, 0.001, 0.05) is None


@pytest.mark.parametrize("beta", [0.01, 0.05, 0.5])
def test_the_probability_needed_is_the_least_one(beta: float) -> None:
    needed, p = votes_needed(100, 0.001), probability_needed(100, 0.001, beta)
    assert needed is not None
    assert p is not None
    assert binom.sf(needed - 1, 100, p) >= 1 - beta
    assert binom.sf(needed - 1, 100, p - 1e-6) < 1 - beta


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_without_a_margin_it_is_theorem_1(first: float, second: float) -> None:
    noise, bounds = Gaussian(0.5), ClassBounds(0, first, second)
    radius = find_guarantee(noise).radius(noise, bounds, (1,))
    assert radius_with_margin(noise, bounds, 0.0) == pytest.approx(radius, rel=1e-9)
    assert radius_with_margin(noise, bounds, 0.0) <= radius


@pytest.mark.parametrize(("first", "second"), PAIRS)
@pytest.mark.parametrize("margin", [0.01, 0.1, 0.25])
def test_the_lead_is_the_margin_at_the_radius_and_no_more_for_the_worst_classifier(
    first: float, second: float, margin: float
) -> None:
    case = find_worst_case(Gaussian(0.5), np.zeros(3), first, second)
    radius = radius_with_margin(Gaussian(0.5), case.bounds, margin)
    assert radius is not None
    top, rival = case.probabilities(radius)
    assert top.lower - rival.upper == pytest.approx(margin, abs=1e-9)
    assert top.lower - rival.upper >= margin - 1e-12
    further = case.probabilities(radius + 1e-6)
    assert further[0].upper - further[1].lower < margin


def test_with_two_classes_it_is_a_difference_of_two_quantiles() -> None:
    noise, bounds = Gaussian(2.0), ClassBounds(0, 0.98, 0.02)
    expected = 2.0 * (norm.ppf(0.98) - norm.ppf(0.6))
    assert radius_with_margin(noise, bounds, 0.2) == pytest.approx(expected, rel=1e-9)


def test_an_adversary_forces_abstentions_inside_the_radius_and_not_inside_the_other_one() -> None:
    # Votes simulated for the worst classifier: just inside R Predict abstains nearly always, within the other never.
    noise, n, alpha, beta = Gaussian(0.5), 1_000, 0.001, 0.05
    case = find_worst_case(noise, np.zeros(2), 0.99)
    needed = probability_needed(n, alpha, beta)
    assert needed is not None
    margin = radius_with_margin(noise, case.bounds, 2 * needed - 1)
    assert margin is not None
    random, shares = np.random.default_rng(4), {}
    for size in (case.inside, margin):
        votes = random.binomial(n, case.probabilities(size)[0].lower, 4_000)
        answers = [prediction(Counts((int(v), n - int(v))), alpha).label for v in votes]
        shares[size] = np.mean([answer == 0 for answer in answers])
    assert shares[case.inside] <= 0.01
    assert shares[margin] == pytest.approx(1 - beta, abs=0.02)


def test_where_there_is_no_margin_there_is_no_radius() -> None:
    assert radius_with_margin(Gaussian(1.0), ClassBounds(0, 0.55, 0.45), 0.2) is None
    assert radius_with_margin(Gaussian(1.0), ClassBounds(0, 0.4, 0.6), 0.0) is None


@pytest.mark.parametrize("margin", [-0.1, 1.0, float("nan")])
def test_a_margin_that_is_none_is_refused(margin: float) -> None:
    with pytest.raises(UsageError, match="margin"):
        radius_with_margin(Gaussian(1.0), ClassBounds(0, 0.9, 0.1), margin)


@pytest.mark.parametrize(("n", "beta", "match"), [(0, 0.05, "whole number"), (10, 0.0, "beta"), (10, 1.0, "beta")])
def test_numbers_out_of_range_are_refused(n: int, beta: float, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        probability_needed(n, 0.001, beta)
