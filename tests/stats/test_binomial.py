"""Clopper-Pearson bounds and the top-two test against exact arithmetic."""

from collections.abc import Callable
from fractions import Fraction
from math import comb

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from holdfast.errors import UsageError
from holdfast.stats import binomial
from holdfast.stats.binomial import (
    lower_bound,
    top_two_p_value,
    upper_bound,
)


def exact_upper_tail(hits: int, n: int, p: float) -> Fraction:
    """P(Binomial(n, p) >= hits) for the float p, in rational arithmetic."""
    q = Fraction(p)
    return sum((comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(hits, n + 1)), Fraction(0))


def precise_upper_tail(hits: int, n: int, p: mpmath.mpf) -> mpmath.mpf:
    """The same for large n: terms from `hits` on, which decrease since p < hits/n, until they are negligible."""
    coefficient = mpmath.loggamma(n + 1) - mpmath.loggamma(hits + 1) - mpmath.loggamma(n - hits + 1)
    term = mpmath.exp(coefficient + hits * mpmath.log(p) + (n - hits) * mpmath.log1p(-p))
    total = mpmath.mpf(0)
    for i in range(hits, n + 1):
        total += term
        term *= mpmath.mpf(n - i) / (i + 1) * p / (1 - p)
        if term < total * mpmath.mpf(10) ** -35:
            break
    return total


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_lower_bound_is_sound_and_tight_in_exact_arithmetic(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 60))
    hits = data.draw(st.integers(1, n))
    alpha = data.draw(st.sampled_from([0.5, 0.05, 0.001, 1e-9]))
    p = lower_bound(hits, n, alpha)
    assert exact_upper_tail(hits, n, p) <= Fraction(alpha)
    assert exact_upper_tail(hits, n, p * (1 + 1e-8)) > Fraction(alpha)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_upper_bound_mirrors_the_lower_bound(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 60))
    hits = data.draw(st.integers(0, n - 1))
    alpha = data.draw(st.sampled_from([0.3, 0.05, 0.001]))
    p = upper_bound(hits, n, alpha)
    assert 1 - exact_upper_tail(hits + 1, n, p) <= Fraction(alpha)
    assert p == pytest.approx(1 - lower_bound(n - hits, n, alpha), rel=1e-9)


@pytest.mark.parametrize("n", [100, 10_000, 1_000_000])
@pytest.mark.parametrize("share", [0.3, 0.51, 0.9, 0.999])
@pytest.mark.parametrize("alpha", [0.05, 0.001, 1e-8])
def test_lower_bound_against_high_precision(n: int, share: float, alpha: float) -> None:
    hits = round(share * n)
    p = lower_bound(hits, n, alpha)
    with mpmath.workdps(40):
        assert precise_upper_tail(hits, n, mpmath.mpf(p)) <= alpha
        assert precise_upper_tail(hits, n, mpmath.mpf(p) * (1 + mpmath.mpf(10) ** -9)) > alpha


def test_all_hits_give_the_root_of_alpha_rounded_down() -> None:
    p = lower_bound(1000, 1000, 0.001)
    assert p <= mpmath.mpf("0.001") ** (mpmath.mpf(1) / 1000)
    assert p == pytest.approx(0.001 ** (1 / 1000), rel=1e-10)


def test_no_hits_is_zero_and_not_nan() -> None:
    """scipy's beta.ppf is NaN at 0 hits, and NaN < 0.5 is False: the abstention test would pass."""
    assert lower_bound(0, 100, 0.001) == 0.0
    assert upper_bound(100, 100, 0.001) == 1.0


@pytest.mark.parametrize(
    ("hits", "n"), [(0, 0), (-1, 10), (11, 10), (3.0, 10), (3, 10.0), (float("nan"), 10), (True, 10)]
)
def test_counts_out_of_range_are_refused(hits: int, n: int) -> None:
    for bound in (lower_bound, upper_bound):
        with pytest.raises(UsageError, match=r"hits"):
            bound(hits, n, 0.05)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, float("nan")])
def test_alpha_out_of_range_is_refused(alpha: float) -> None:
    with pytest.raises(UsageError, match="alpha is a failure probability"):
        lower_bound(5, 10, alpha)


def test_certify_is_one_sided_at_alpha_and_not_two_sided() -> None:
    """A two-sided test would spend alpha/2 and give a smaller bound."""
    one_sided = lower_bound(990, 1000, 0.001)
    two_sided = binomtest(990, 1000).proportion_ci(1 - 0.001, "exact").low
    assert one_sided > two_sided
    assert one_sided == pytest.approx(binomtest(990, 1000).proportion_ci(1 - 0.002, "exact").low, rel=1e-8)


def test_predict_uses_the_two_sided_test_of_the_top_two() -> None:
    assert 0.05688793364098078 <= top_two_p_value(60, 40) <= 0.05688793364098078 * (1 + 1e-8)
    assert top_two_p_value(60, 40) == pytest.approx(2 * float(exact_upper_tail(60, 100, 0.5)), rel=1e-9)
    assert top_two_p_value(0, 0) == 1.0
    with pytest.raises(UsageError, match="most votes"):
        top_two_p_value(3, 4)


def test_failure_rate_of_the_lower_bound_is_at_most_alpha() -> None:
    """P(bound > p) computed exactly over all outcomes, at probabilities just below where a bound jumps."""
    n, alpha = 40, 0.05
    bounds = [lower_bound(hits, n, alpha) for hits in range(n + 1)]
    for p in [np.nextafter(bound, 0) for bound in bounds[1:]]:
        failing = min(hits for hits in range(n + 1) if bounds[hits] > p)
        assert exact_upper_tail(failing, n, float(p)) <= Fraction(alpha)


@pytest.mark.parametrize("wrong", [float("nan"), -0.01, 1.01])
@pytest.mark.parametrize(("bound", "quantile"), [(lower_bound, "betaincinv"), (upper_bound, "betainccinv")])
def test_a_quantile_that_is_no_probability_is_an_error(
    bound: Callable[..., float], quantile: str, wrong: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binomial, quantile, lambda *_: wrong)
    with pytest.raises(ArithmeticError, match=r"no (upper )?quantile of Beta"):
        bound(5, 10, 0.05)
