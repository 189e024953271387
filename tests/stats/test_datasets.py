"""Data-set intervals: values, edges, and coverage by simulation."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from holdfast.errors import UsageError
from holdfast.stats.datasets import Mean, certified_proportion, mean, proportion, robust_share_cohen, robust_share_exact


def test_interval_encloses_the_value_and_alpha_lowers_it() -> None:
    plain = proportion(374, 500)
    certified = certified_proportion(374, 500, alpha=0.05)
    assert plain.lower < plain.value == 0.748 < plain.upper
    assert certified.lower < plain.lower
    assert certified.upper == plain.upper
    assert certified.lower == pytest.approx((plain.lower - 0.05) / 0.95)


def test_nothing_certified_has_a_lower_end_of_zero() -> None:
    nothing = certified_proportion(0, 500, alpha=0.001)
    assert (nothing.value, nothing.lower) == (0.0, 0.0)
    assert 0.0 < nothing.upper < 0.01


def test_coverage_with_certificates_that_fail_as_often_as_they_may() -> None:
    """Population: a share T truly robust, always certified; the others certified falsely with probability alpha.

    Failure rate of this test: 2,000 repetitions of an event of probability at most 0.025; more than 0.04 of them
    has probability below 1e-4.
    """
    rng = np.random.default_rng(7)
    examples, alpha, misses = 300, 0.05, 0
    for true_share in (0.1, 0.5, 0.9):
        robust = rng.random((2000, examples)) < true_share
        certified = robust | (rng.random((2000, examples)) < alpha)
        lowers = {count: certified_proportion(count, examples, alpha).lower for count in set(certified.sum(1).tolist())}
        misses = sum(lowers[count] > true_share for count in certified.sum(1).tolist())
        assert misses / 2000 <= 0.04
    assert misses >= 0


@pytest.mark.parametrize("confidence", [0.0, 1.0, float("nan")])
def test_confidence_out_of_range_is_refused(confidence: float) -> None:
    with pytest.raises(UsageError, match="confidence"):
        proportion(1, 2, confidence)


def test_an_empty_subset_and_a_wrong_alpha_are_refused() -> None:
    with pytest.raises(UsageError, match="n at least 1"):
        certified_proportion(0, 0, 0.001)
    with pytest.raises(UsageError, match="alpha lies in"):
        certified_proportion(1, 2, 1.0)


def test_shares_of_these_examples_hold_in_simulation() -> None:
    """m examples of which R are robust, the others certified falsely with probability alpha, 20,000 times.

    Each statement may fail with probability rho = 0.01; more than 280 of 20,000 has probability below 1e-7.
    """
    rng = np.random.default_rng(1)
    examples, alpha, rho = 400, 0.05, 0.01
    for robust in (50, 200, 380):
        certified = robust + rng.binomial(examples - robust, alpha, size=20_000)
        for bound in (robust_share_exact, robust_share_cohen):
            known = {count: bound(count, examples, alpha, rho) for count in set(certified.tolist())}
            assert sum(known[count] > robust / examples for count in certified.tolist()) <= 280


def test_the_exact_share_is_tighter_than_the_formula_and_below_the_certified_one() -> None:
    for certified in (30, 200, 399):
        exact, formula = (bound(certified, 500, 0.001, 0.001) for bound in (robust_share_exact, robust_share_cohen))
        assert formula <= exact <= certified / 500
    assert robust_share_exact(300, 500, 0.0, 0.001) == 0.6
    assert robust_share_exact(0, 500, 0.05, 0.001) == robust_share_cohen(0, 500, 0.05, 0.001) == 0.0


@pytest.mark.parametrize("arguments", [(1, 0, 0.1, 0.1), (3, 2, 0.1, 0.1), (1, 2, 1.0, 0.1), (1, 2, 0.1, 0.0)])
def test_shares_out_of_range_are_refused(arguments: tuple[int, int, float, float]) -> None:
    for bound in (robust_share_exact, robust_share_cohen):
        with pytest.raises(UsageError, match=r"certified examples are|alpha lies in|rho is a failure probability"):
            bound(*arguments)


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.3])
@pytest.mark.parametrize("examples", [1, 2, 3, 7, 20, 60])
def test_the_lower_end_holds_for_the_very_examples(examples: int, alpha: float) -> None:
    """Computed, not simulated: `robust` examples are always certified, the others falsely with probability alpha."""
    lowers = [certified_proportion(count, examples, alpha).lower for count in range(examples + 1)]
    for robust in range(examples + 1):
        false = np.arange(examples - robust + 1)
        chances = binom.pmf(false, examples - robust, alpha)
        missed = sum(
            chance for more, chance in zip(false, chances, strict=True) if lowers[robust + more] > robust / examples
        )
        assert missed <= 0.025


@pytest.mark.parametrize(("alpha", "rho"), [(0.0, 0.01), (0.02, 0.05), (0.05, 0.01), (0.3, 0.2)])
@pytest.mark.parametrize("examples", [1, 2, 9, 40])
def test_the_exact_share_is_the_smallest_that_the_count_does_not_refute(
    examples: int, alpha: float, rho: float
) -> None:
    """By definition, over all shares and with another tail function."""
    for certified in range(examples + 1):
        allowed = [
            robust
            for robust in range(certified + 1)
            if binom.sf(certified - robust - 1, examples - robust, alpha) > rho
        ]
        assert robust_share_exact(certified, examples, alpha, rho) == min(allowed) / examples


@pytest.mark.parametrize(("certified", "alpha", "rho"), [(380, 0.05, 0.01), (200, 0.3, 0.001), (399, 0.0, 0.05)])
def test_the_share_by_bernstein_is_its_formula(certified: int, alpha: float, rho: float) -> None:
    room = -np.log(rho)
    loss = alpha + np.sqrt(2 * alpha * (1 - alpha) * room / 400) + room / 1200
    assert robust_share_cohen(certified, 400, alpha, rho) == pytest.approx((certified / 400 - loss) / (1 - alpha))


@pytest.mark.parametrize("confidence", [0.95, 0.9, 0.5])
def test_an_interval_is_that_of_clopper_and_pearson(confidence: float) -> None:
    """Each side may fail with half of the remaining confidence."""
    exact = binomtest(374, 500).proportion_ci(confidence, "exact")
    found = proportion(374, 500, confidence)
    assert (found.lower, found.upper) == (pytest.approx(exact.low, rel=1e-8), pytest.approx(exact.high, rel=1e-8))


def test_a_mean_has_the_interval_of_student() -> None:
    from scipy.stats import t as student

    values = [3.0, 5.0, 9.0, 11.0, 4.0]
    found = mean(values, 0.9)
    low, high = student.interval(0.9, 4, loc=np.mean(values), scale=np.std(values, ddof=1) / np.sqrt(5))
    assert (found.value, found.lower, found.upper) == pytest.approx((6.4, low, high), rel=1e-12)
    assert mean([2.0] * 3) == Mean(2.0, 2.0, 2.0)
    assert mean([7.0]) == Mean(7.0, None, None)


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says() -> None:
    """For sizes of changes as attacks find them: skewed whole numbers."""
    random = np.random.default_rng(4)
    samples = random.geometric(0.12, (2000, 100))
    covered = 0
    for sample in samples:
        found = mean(sample.tolist())
        assert found.lower is not None
        assert found.upper is not None
        covered += found.lower <= 1 / 0.12 <= found.upper
    # 95% of 2,000, four standard errors, and one percent for the skew of the values.
    assert abs(covered / 2000 - 0.95) < 0.01 + 4 * np.sqrt(0.95 * 0.05 / 2000)


@pytest.mark.parametrize("values", [[], [1.0, float("inf")], [float("nan")]])
def test_a_mean_is_of_finite_numbers(values: list[float]) -> None:
    with pytest.raises(UsageError, match="a mean is of finite numbers"):
        mean(values)
