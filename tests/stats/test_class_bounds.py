"""Joint bounds on all classes: validity by simulation, and their gain."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from holdfast.errors import UsageError
from holdfast.stats.binomial import lower_bound, upper_bound
from holdfast.stats.class_bounds import METHODS, check_method, cohen, split


def test_cohen_bounds_the_top_class_and_leaves_the_rest_to_all_others() -> None:
    p_lower, p_upper = cohen(1, (100, 850, 50), 0.001)
    assert p_lower == lower_bound(850, 1000, 0.001)
    assert p_upper == 1 - p_lower


def test_split_spends_nine_tenths_on_the_top_class_and_bounds_the_largest_rival() -> None:
    p_lower, p_upper = split(1, (100, 600, 250, 50), 0.001)
    assert p_lower == pytest.approx(lower_bound(600, 1000, 0.0009), rel=1e-12)
    assert p_upper == pytest.approx(upper_bound(250, 1000, 0.0001 / 3), rel=1e-12)


@given(st.lists(st.integers(0, 500), min_size=2, max_size=12).filter(lambda votes: sum(votes) > 0), st.data())
@settings(max_examples=200, deadline=None)
def test_split_never_leaves_the_rivals_more_than_the_rest(votes: list[int], data: st.DataObject) -> None:
    top = data.draw(st.integers(0, len(votes) - 1))
    p_lower, p_upper = split(top, votes, 0.01)
    assert 0.0 <= p_lower <= lower_bound(votes[top], sum(votes), 0.01)
    assert p_upper <= np.nextafter(1 - p_lower, 2)


def test_split_is_cohen_for_two_classes() -> None:
    assert split(0, (900, 100), 0.001) == cohen(0, (900, 100), 0.001)


def test_a_plurality_can_be_certified_where_a_majority_is_missing() -> None:
    """45% against nine rivals of about 6% each: the papers' bound abstains."""
    votes = (4500, *[611] * 9)
    p_lower, p_upper = split(0, votes, 0.001)
    assert p_lower > p_upper
    assert cohen(0, votes, 0.001)[0] < 0.5


@pytest.mark.parametrize("name", sorted(METHODS))
@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("n", [128, 1000])
def test_failure_rate_is_at_most_alpha_at_hard_probabilities(name: str, alpha: float, n: int) -> None:
    """20,000 draws with the top class just below a jump of its bound and the rivals just above one of theirs.

    Failure rate of this test: 1e-6 for each case.
    """
    classes, trials = 5, 20_000
    each = 0.1 * alpha / (classes - 1)
    p_top = math.nextafter(lower_bound(round(0.55 * n), n, 0.9 * alpha), 0.0)
    p_rival = math.nextafter(upper_bound(round(0.2 * n), n, each), 1.0)
    rest = 1 - p_top - p_rival
    assert rest > 0
    shares = [p_top, p_rival, rest / 3, rest / 3, rest / 3]
    rng = np.random.default_rng(3)
    rows, repeats = np.unique(rng.multinomial(n, shares, size=trials), axis=0, return_counts=True)
    failures = 0
    for votes, repeat in zip(rows.tolist(), repeats.tolist(), strict=True):
        p_lower, p_upper = METHODS[name](0, votes, alpha)
        failures += repeat * (p_lower > p_top or p_upper < max(shares[1:]))
    assert failures <= binom.isf(1e-6, trials, alpha)
    if name == "split" and alpha == 0.05:
        assert failures > 0, "a test in which nothing ever failed would prove nothing"


def test_unknown_methods_are_refused() -> None:
    assert check_method("split") == "split"
    with pytest.raises(UsageError, match="the class bounds are one of cohen, split, got 'even'"):
        check_method("even")


def test_three_classes_are_bounded_one_by_one() -> None:
    """The fewest classes for which both kinds of bounds differ: each of two rivals has half of a tenth of alpha."""
    p_lower, p_upper = split(2, (300, 100, 600), 0.001)
    assert p_lower == pytest.approx(lower_bound(600, 1000, 0.0009), rel=1e-12)
    assert p_upper == pytest.approx(upper_bound(300, 1000, 0.00005), rel=1e-12)
    assert split(2, (300, 100, 600), 0.001) != cohen(2, (300, 100, 600), 0.001)
