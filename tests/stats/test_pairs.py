"""Differences of paired shares: coverage by enumeration, and the exact sign test as an oracle."""

import itertools

import numpy as np
import pytest
from scipy.stats import binomtest, multinomial

from holdfast.errors import UsageError
from holdfast.stats.pairs import paired_difference

SIZE = 14
OUTCOMES = [(a, b) for a in range(SIZE + 1) for b in range(SIZE + 1 - a)]
INTERVALS = [paired_difference(a, b, SIZE) for a, b in OUTCOMES]
GRID = [0.0, 0.01, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 0.99, 1.0]


@pytest.mark.parametrize(
    ("q", "r"), [(q, r) for q, r in itertools.product(GRID, GRID) if q + r <= 1.0], ids=lambda value: str(value)
)
def test_each_end_fails_at_most_half_of_the_time_allowed(q, r):
    # All outcomes of 14 pairs are enumerated: no simulation, no rounding of the coverage.
    chances = multinomial.pmf([(a, b, SIZE - a - b) for a, b in OUTCOMES], SIZE, [q, r, max(0.0, 1.0 - q - r)])
    assert chances.sum() == pytest.approx(1.0)
    below = sum(chance for chance, found in zip(chances, INTERVALS, strict=True) if found.lower > q - r)
    above = sum(chance for chance, found in zip(chances, INTERVALS, strict=True) if found.upper < q - r)
    assert below <= 0.025 + 1e-12
    assert above <= 0.025 + 1e-12


@pytest.mark.parametrize(("q", "r", "size"), [(0.04, 0.02, 500), (0.1, 0.1, 500), (0.3, 0.25, 200), (0.02, 0.0, 500)])
def test_intervals_hold_in_simulation_and_are_of_use(q, r, size):
    random = np.random.default_rng(7)
    drawn = random.multinomial(size, [q, r, 1.0 - q - r], size=3000)
    found = [paired_difference(int(a), int(b), size) for a, b, _ in drawn]
    covered = sum(each.lower <= q - r <= each.upper for each in found)
    # A share of 0.95 falls below 0.936 of 3,000 with probability 2e-4.
    assert covered >= 0.936 * 3000
    spread = np.std([each.value for each in found])
    width = np.mean([each.upper - each.lower for each in found])
    assert width < 7.5 * spread


def test_an_interval_without_zero_is_a_significant_sign_test():
    for a, b in [(20, 3), (12, 5), (9, 0), (6, 0), (40, 30), (15, 1), (5, 30)]:
        found = paired_difference(a, b, 500)
        p = binomtest(a, a + b, 0.5, alternative="greater").pvalue
        assert (found.lower > 0.0) == (p <= 0.9 * 0.025)
        assert found.lower <= found.value <= found.upper


def test_the_ends_are_mirrored_and_hold_for_the_extremes():
    one, other = paired_difference(20, 5, 300), paired_difference(5, 20, 300)
    assert (one.lower, one.upper) == (-other.upper, -other.lower)
    same = paired_difference(0, 0, 500)
    assert same.value == 0.0
    # As for a share of 0 of 500 at 0.0025.
    assert same.upper == -same.lower == pytest.approx(1.0 - 0.0025 ** (1 / 500), rel=1e-6)
    assert paired_difference(7, 0, 7).upper == 1.0


@pytest.mark.parametrize("wrong", [(1, 1, 1), (-1, 0, 5), (0, 0, 0)])
def test_what_is_no_pair_of_shares(wrong):
    with pytest.raises(UsageError, match="part of at least 1 example"):
        paired_difference(*wrong)
    with pytest.raises(UsageError, match="confidence"):
        paired_difference(1, 1, 5, confidence=1.0)
