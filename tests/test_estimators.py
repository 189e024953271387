"""From votes to certificates and predictions."""

import pytest

from holdfast.errors import UsageError
from holdfast.estimators import (
    Exact,
    FixedSize,
    best_radius,
    certificate,
    estimator_from_dict,
    fitting_alpha,
    prediction,
    scale_of,
)
from holdfast.noises.ablation import Ablation
from holdfast.noises.gaussian import Gaussian
from holdfast.stats.binomial import lower_bound
from holdfast.types import ClassBounds, Counts, Norm

SHAPE = (1, 8, 8)
RULE = FixedSize(1000, 0.001, "cohen")
SCALE = scale_of(Gaussian(0.5), "cohen", SHAPE)


def test_the_class_comes_from_the_selection_and_the_bound_from_the_estimation() -> None:
    selected = certificate(Gaussian(1.0), RULE, SHAPE, Counts((60, 40)), Counts((10, 990)))
    assert selected.label is None
    assert selected.bounds.top == 0
    certified = certificate(Gaussian(1.0), RULE, SHAPE, Counts((40, 60)), Counts((10, 990)))
    assert certified.label == 1
    assert certified.bounds == ClassBounds(1, lower_bound(990, 1000, 0.001), certified.bounds.p_upper)
    assert certified.radius == pytest.approx(1.978009, abs=1e-6)


def test_a_bound_of_one_half_or_less_is_an_abstention_with_radius_zero() -> None:
    """Guess == label with p_lower <= 1/2 is not a certificate of radius 0."""
    even = certificate(Gaussian(1.0), RULE, SHAPE, Counts((100, 0)), Counts((549, 451)))
    assert even.bounds.p_lower < 0.5
    assert (even.label, even.radius) == (None, 0.0)
    just = certificate(Gaussian(1.0), RULE, SHAPE, Counts((100, 0)), Counts((550, 450)))
    assert just.bounds.p_lower > 0.5
    assert just.label == 0
    assert 0.0 <= just.radius < 0.01


def test_no_votes_for_the_selected_class_is_an_abstention() -> None:
    assert certificate(Gaussian(1.0), RULE, SHAPE, Counts((1, 0)), Counts((0, 1000))).label is None


def test_ablation_certificates_are_in_pixels() -> None:
    proved = certificate(Ablation(16), RULE, SHAPE, Counts((100, 0)), Counts((995, 5)))
    assert (proved.norm, proved.radius) == (Norm.L0, 2.0)


@pytest.mark.parametrize("votes", [(999, 0), (999, 2), (0, 0)])
def test_the_bound_is_for_exactly_n_votes(votes: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="exactly n = 1000 estimation votes"):
        RULE.bounds(0, Counts(votes))


def test_fixed_size_asks_for_what_is_missing() -> None:
    assert RULE.draws_wanted(0, Counts((0, 0))) == 1000
    assert RULE.draws_wanted(0, Counts((600, 100))) == 300
    assert RULE.draws_wanted(0, Counts((600, 400))) == 0


def test_estimators_survive_the_manifest() -> None:
    assert estimator_from_dict(RULE.to_dict(), SCALE) == RULE
    with pytest.raises(UsageError, match="unknown estimator 'adaptive'; known are bets, eprocess, exact, fixed, looks"):
        estimator_from_dict({"name": "adaptive"}, SCALE)


@pytest.mark.parametrize(
    ("n", "alpha", "certifiable"), [(10, 0.001, True), (9, 0.001, False), (4, 0.05, False), (5, 0.05, True)]
)
def test_what_too_few_samples_can_certify(n: int, alpha: float, certifiable: bool) -> None:
    """n = 9 at alpha = 0.001 abstains on everything: 0.001^(1/9) < 1/2."""
    assert (best_radius(Gaussian(1.0), FixedSize(n, alpha, "cohen"), SHAPE, 2)[0] is not None) == certifiable


def test_the_alpha_that_fits_a_radius() -> None:
    """The published CIFAR-10 logs reach 3.91 sigma at n = 100,000: alpha = 0.01, not 0.001."""
    assert fitting_alpha(Gaussian(0.25), 100_000, 3.91 * 0.25, (3, 32, 32)) == 0.01
    assert fitting_alpha(Gaussian(0.25), 100_000, 3.81 * 0.25, (3, 32, 32)) == 0.001
    assert fitting_alpha(Gaussian(0.25), 10, 5.0, (3, 32, 32)) is None


def test_exact_shares_count_ties_for_the_lower_class() -> None:
    rule = Exact(4)
    assert rule.alpha == 0.0
    assert rule.chosen(Counts((0, 0, 0)), Counts((1, 2, 1))) == 1
    bounds = rule.bounds(1, Counts((1, 2, 1)))
    # Class 0 wins ties against class 1: its vote counts as two.
    assert (bounds.p_lower, bounds.p_upper, bounds.wins_ties) == (0.5, 0.5, True)
    assert rule.bounds(0, Counts((2, 1, 1))).p_upper == 0.25
    assert rule.answer(0, Counts((2, 2, 0))) == 0
    assert rule.draws_wanted(0, Counts((1, 0, 0))) == 3
    with pytest.raises(UsageError, match="known from all n = 4 realizations, got 3 votes"):
        rule.bounds(0, Counts((1, 1, 1)))
    assert estimator_from_dict(rule.to_dict(), SCALE) == rule


def test_prediction_is_the_top_class_or_abstention() -> None:
    assert prediction(Counts((70, 30, 0)), 0.001).label == 0
    assert prediction(Counts((30, 0, 70)), 0.001).label == 2
    assert prediction(Counts((60, 40, 0)), 0.001).label is None
    assert prediction(Counts((50, 50, 0)), 0.999).label is None
    assert prediction(Counts((0, 0)), 0.05).label is None


@pytest.mark.parametrize("votes", [(-1, 2), (1.0, 2), (True, 2)])
def test_counts_are_non_negative_integers(votes: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="non-negative integers"):
        Counts(votes)


def test_counts_of_floats_with_a_fraction_are_refused() -> None:
    assert Counts.of([3.0, 2.0]) == Counts((3, 2))
    with pytest.raises(UsageError, match="counts must be integers"):
        Counts.of([2.9999, 1.0])


@pytest.mark.parametrize("bounds", [(float("nan"), 0.5), (0.5, float("nan")), (1.1, 0.0), (0.5, -0.1)])
def test_class_bounds_are_probabilities(bounds: tuple[float, float]) -> None:
    """A NaN anywhere is an error: NaN < 0.5 is false, so it would pass an abstention test."""
    with pytest.raises(UsageError, match="probabilities"):
        ClassBounds(0, *bounds)
