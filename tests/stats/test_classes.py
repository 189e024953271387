"""Balanced and worst accuracy over classes: oracles, exact coverage and simulation."""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import beta, binom

from holdfast.errors import UsageError
from holdfast.stats.classes import balanced_proportion, worst_proportion
from holdfast.stats.datasets import certified_proportion


def relative_entropy(q, p):
    return sum(a * math.log(a / b) for a, b in ((q, p), (1.0 - q, 1.0 - p)) if a > 0.0)


def primal(hits, sizes):
    """The same lower end as a convex program: the least mean from which the shares are improbable enough."""
    sizes, count = np.array(sizes, dtype=float), len(sizes)
    observed = float(np.mean(np.array(hits) / sizes))

    def exponent(v):
        pairs = zip(v[:count], v[count:], strict=True)
        return sum(m * relative_entropy(q, p) for m, (p, q) in zip(sizes, pairs, strict=True))

    start = np.concatenate([np.clip(np.array(hits) / sizes - 0.02, 0.02, 0.98), np.clip(hits / sizes, 0.02, 0.98)])
    found = minimize(
        lambda v: float(np.mean(v[:count])),
        start,
        method="SLSQP",
        bounds=[(1e-6, 1.0 - 1e-6)] * (2 * count),
        constraints=[
            {"type": "ineq", "fun": lambda v: math.log(1 / 0.025) - exponent(v)},
            {"type": "ineq", "fun": lambda v: float(np.mean(v[count:])) - observed},
        ],
        options={"maxiter": 500, "ftol": 1e-12},
    )
    assert found.success, found.message
    return float(found.fun)


@pytest.mark.parametrize(
    ("hits", "sizes"),
    [
        ((45, 40, 30), (50, 50, 50)),
        ((45, 20, 9), (50, 45, 10)),
        ((5, 30), (10, 100)),
        ((12, 8, 30, 44), (40, 9, 60, 51)),
    ],
)
def test_the_lower_end_of_the_mean_is_that_of_the_convex_program(hits, sizes):
    assert balanced_proportion(hits, sizes, 0.0).lower == pytest.approx(primal(hits, sizes), abs=2e-5)


@pytest.mark.parametrize("sizes", [(4, 4), (3, 6), (1, 8), (2, 3, 3)])
def test_both_ends_of_the_mean_hold_for_all_probabilities_of_a_grid(sizes):
    outcomes = list(itertools.product(*(range(size + 1) for size in sizes)))
    found = [balanced_proportion(each, sizes, 0.0) for each in outcomes]
    for p in itertools.product((0.0, 0.02, 0.1, 0.3, 0.5, 0.8, 0.95, 1.0), repeat=len(sizes)):
        true = sum(p) / len(p)
        chances = [
            math.prod(float(TABLE[size, each][hit]) for hit, size, each in zip(outcome, sizes, p, strict=True))
            for outcome in outcomes
        ]
        below = sum(chance for chance, each in zip(chances, found, strict=True) if each.lower > true)
        above = sum(chance for chance, each in zip(chances, found, strict=True) if each.upper < true)
        assert max(below, above) <= 0.025 + 1e-12


TABLE = {
    (size, p): binom.pmf(np.arange(size + 1), size, p)
    for size in range(1, 9)
    for p in (0.0, 0.02, 0.1, 0.3, 0.5, 0.8, 0.95, 1.0)
}


def test_with_one_class_all_right_the_mean_has_the_bound_of_a_share():
    for hits, size in ((20, 20), (0, 20)):
        ours, share = balanced_proportion([hits], [size], 0.0), certified_proportion(hits, size, 0.0)
        assert (ours.lower, ours.upper) == (pytest.approx(share.lower, abs=1e-7), pytest.approx(share.upper, abs=1e-7))
    # Everywhere else Chernoff's bound is wider than the exact one.
    ours, share = balanced_proportion([15], [20], 0.0), certified_proportion(15, 20, 0.0)
    assert ours.lower < share.lower
    assert ours.upper > share.upper


@pytest.mark.parametrize("alpha", [0.0, 0.05])
def test_intervals_hold_in_simulation_with_certificates_that_fail_as_often_as_they_may(alpha):
    random = np.random.default_rng(3)
    sizes, true = np.array([60, 45, 50, 20]), np.array([0.9, 0.7, 0.55, 0.55])
    certified = true + alpha * (1.0 - true)
    mean_failures = worst_failures = upper_failures = 0
    for _ in range(300):
        hits = random.binomial(sizes, certified).tolist()
        balanced, worst = (
            balanced_proportion(hits, sizes.tolist(), alpha),
            worst_proportion(hits, sizes.tolist(), alpha),
        )
        mean_failures += balanced.lower > true.mean()
        worst_failures += worst.lower > true.min()
        upper_failures += worst.upper < certified.min()
    # A failure rate of 0.025 gives more than 18 of 300 with probability 3e-4.
    assert max(mean_failures, worst_failures, upper_failures) <= 18


def test_the_smallest_observed_share_alone_would_fail_more_often():
    # Twenty classes that are all alike: the interval of the one that looks worst is not one for the worst.
    random = np.random.default_rng(5)
    naive = ours = 0
    for _ in range(1000):
        hits = random.binomial(50, 0.7, size=20).tolist()
        naive += certified_proportion(min(hits), 50, 0.0).upper < 0.7
        ours += worst_proportion(hits, [50] * 20, 0.0).upper < 0.7
    assert naive > 200
    # 0.025 of 1,000, and 4 standard deviations.
    assert ours <= 45


def test_the_worst_class_by_hand():
    found = worst_proportion([9, 30], [10, 100], 0.001)
    assert found.value == 0.3
    assert found.lower == pytest.approx((beta.ppf(0.025, 30, 71) - 0.001) / 0.999, rel=1e-6)
    assert found.upper == pytest.approx(beta.ppf(1.0 - 0.0125, 31, 70), rel=1e-6)
    # A class with few examples may be the worst of the population, however well it looks.
    assert worst_proportion([1, 90], [1, 100], 0.0).lower == pytest.approx(0.025)


@pytest.mark.parametrize("function", [balanced_proportion, worst_proportion])
def test_what_are_no_classes(function):
    with pytest.raises(UsageError, match="at least one class"):
        function([], [], 0.0)
    with pytest.raises(UsageError, match="at least 1 example of a class, got 3 of 2"):
        function([3], [2], 0.0)
    with pytest.raises(UsageError, match="alpha"):
        function([1], [2], 1.0)
    with pytest.raises(UsageError, match="confidence"):
        function([1], [2], 0.0, 2.0)
