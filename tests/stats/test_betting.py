"""Bets whose stakes follow earlier votes: oracles, validity, and what unlucky earlier votes cost."""

import math
from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from flint import arb
from scipy.stats import binom

from holdfast.errors import UsageError
from holdfast.stats.betting import Stakes, truncated_capital
from holdfast.verification.bets import Stakes as Enclosed
from holdfast.verification.intervals import end

SHARES = (0.0, 0.5, 0.8)
# Hits among the votes known beforehand: as likely, lucky, unlucky, none known.
KNOWN = ((95, 100), (100, 100), (10, 100), (0, 50), (7, 9), (0, 0))


@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize(("hits", "n", "p0"), [(95, 100, 0.84), (3, 4, 0.5), (0, 1, 0.3), (700, 1000, 0.68)])
def test_capital_is_that_of_both_mixtures(known: tuple[int, int], hits: int, n: int, p0: float) -> None:
    """The likelihood ratio, integrated over p > p0 under each prior restricted to it, to 20 digits."""
    weight = min(known[1], 30) / max(known[1], 1)

    def of(a: float, b: float) -> mpmath.mpf:
        def stake(p: mpmath.mpf) -> mpmath.mpf:
            return p ** (a - 1) * (1 - p) ** (b - 1)

        def ratio(p: mpmath.mpf) -> mpmath.mpf:
            return stake(p) * (p / p0) ** hits * ((1 - p) / (1 - mpmath.mpf(p0))) ** (n - hits)

        ends = [p0, p0 + (1 - p0) / 8, p0 + (1 - p0) / 3, 1]
        return mpmath.quad(ratio, ends) / mpmath.quad(stake, ends)

    with mpmath.workdps(30):
        told, plain = of(1 + weight * known[0], 1 + weight * (known[1] - known[0])), of(1, mpmath.mpf("0.5"))
        for share in SHARES:
            expected = float(mpmath.log(share * told + (1 - share) * plain))
            assert Stakes(*known, share).capital(hits, n, p0) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("known", KNOWN)
def test_capital_is_a_supermartingale_at_and_below_the_hypothesis(known: tuple[int, int]) -> None:
    """E[capital after one more vote] <= capital, for every p <= p0: exactly, by both outcomes; it starts with 1."""
    p0, stakes = 0.8, Stakes(*known, 0.8)
    for p in (0.5, 0.7, p0):
        assert p * math.exp(stakes.capital(1, 1, p0)) + (1 - p) * math.exp(stakes.capital(0, 1, p0)) <= 1 + 1e-9
        for n in (1, 5, 40):
            for hits in range(n + 1):
                up, down = (math.exp(stakes.capital(hits + more, n + 1, p0)) for more in (1, 0))
                assert p * up + (1 - p) * down <= math.exp(stakes.capital(hits, n, p0)) * (1 + 1e-9)


def test_a_stake_on_alternatives_below_the_hypothesis_would_not_be_one() -> None:
    """Without the truncation, capital grows in the mean at p = 0.5 although the hypothesis "at most 0.8" is true."""

    def untruncated(hits: int, n: int) -> float:
        return float(mpmath.beta(hits + 1, n - hits + 1)) / 0.8**hits / 0.2 ** (n - hits)

    assert 0.5 * untruncated(1, 1) + 0.5 * untruncated(0, 1) > 1.5


@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize("share", SHARES)
def test_capital_falls_as_the_hypothesis_grows(known: tuple[int, int], share: float) -> None:
    """On (0, hits/n], where a bound is looked for: the lemma of docs/guarantees.md."""
    stakes = Stakes(*known, share)
    for hits, n in ((1, 1), (1, 30), (20, 30), (30, 30), (2, 1000), (900, 1000), (999, 1000), (1000, 1000)):
        grid = [hits / n * step / 400 for step in range(1, 400)]
        capital = [stakes.capital(hits, n, p0) for p0 in grid]
        assert all(later <= earlier + 1e-9 for earlier, later in pairwise(capital))
        assert stakes.capital(hits, n, min(hits / n, 1 - 1e-12)) <= 1e-9


@pytest.mark.parametrize("alpha", [0.3, 1e-3, 1e-9])
@pytest.mark.parametrize("n", [1, 30, 1000, 100_000])
def test_bounds_lie_just_below_the_enclosure_of_the_second_path(n: int, alpha: float) -> None:
    """At most the exact bound, and less by no more than the capital's margin for rounding explains."""
    rng = np.random.default_rng(n)
    for hits in {1, n // 2, n - 1, n, int(rng.integers(1, n + 1))}:
        for known in ((100, 100), (round(100 * hits / n), 100)):
            found = Stakes(*known, 0.8).lower_bound(hits, n, alpha)
            exact = Enclosed(*known, Fraction(0.8)).lower_bound(hits, n, Fraction(alpha), 64).p
            assert Fraction(found) <= end(exact, upper=False) or found == 0.0
            missed = end(exact, upper=True) - Fraction(found)
            slack = 1e-9 + n * 2.0**-48
            looser = Enclosed(*known, Fraction(0.8)).lower_bound(hits, n, Fraction(alpha) * Fraction(1 - 3 * slack), 64)
            assert missed <= end(exact, upper=True) - end(looser.p, upper=False) + Fraction(2) ** -44


@pytest.mark.parametrize(
    ("hits", "n", "known", "alpha"),
    [(25, 30, (90, 100), "0.001"), (400, 1000, (0, 7), "0.05"), (1000, 1000, (1, 1), "1e-6")],
)
def test_the_second_path_encloses_where_the_bet_is_just_won(
    hits: int, n: int, known: tuple[int, int], alpha: str
) -> None:
    """The capital by 40 digits lies on both sides of 1/alpha at the ends of the interval."""
    share = Enclosed(*known, Fraction(4, 5)).lower_bound(hits, n, Fraction(alpha), 64)
    assert min(share.p.rel_accuracy_bits(), share.q.rel_accuracy_bits()) > 50
    with mpmath.workdps(40):
        weight = mpmath.mpf(min(known[1], 30)) / known[1]
        priors = (
            (mpmath.mpf("0.8"), 1 + weight * known[0], 1 + weight * (known[1] - known[0])),
            (mpmath.mpf("0.2"), 1, mpmath.mpf("0.5")),
        )

        def log_capital(p: Fraction) -> mpmath.mpf:
            rest = mpmath.mpf((1 - p).numerator) / (1 - p).denominator
            total = sum(
                part * mpmath.betainc(n - hits + b, hits + a, 0, rest) / mpmath.betainc(b, a, 0, rest)
                for part, a, b in priors
            )
            return mpmath.log(total) - hits * mpmath.log(1 - rest) - (n - hits) * mpmath.log(rest)

        needed = -mpmath.log(mpmath.mpf(alpha))
        wide = Fraction(1, 2**50) * end(share.p.min(share.q), upper=True)
        assert log_capital(end(share.p, upper=False) - wide) > needed > log_capital(end(share.p, upper=True) + wide)


def test_unlucky_votes_beforehand_cost_a_constant_factor_at_most() -> None:
    for hits, n, p0 in ((95, 100, 0.84), (990, 1000, 0.95), (60, 100, 0.5)):
        plain = truncated_capital(hits, n, p0, 1.0, 0.5)
        for known in KNOWN:
            assert Stakes(*known, 0.8).capital(hits, n, p0) >= plain + math.log(0.2) - 1e-12
    lucky, none = (Stakes(*known, 0.8).capital(970, 1000, 0.95) for known in ((97, 100), (0, 100)))
    assert lucky > none + 0.5


@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("p", [0.5, 0.75, 0.95])
def test_bounds_watched_after_every_few_votes_fail_at_most_alpha_of_the_time(p: float, alpha: float) -> None:
    """With votes beforehand from the same probability. A correct bound fails this test with probability 1e-6."""
    rng, trials, sizes = np.random.default_rng(7), 3_000, [*range(10, 200, 10), *range(200, 2_001, 100)]
    failed = 0
    for _ in range(trials):
        stakes = Stakes(int(rng.binomial(20, p)), 20, 0.8)
        steps = rng.binomial(np.diff([0, *sizes]), p).cumsum().tolist()
        # The bound is above p exactly if the bet against p is won.
        failed += any(
            hits / n > p and stakes.capital(hits, n, p) >= -math.log(alpha)
            for hits, n in zip(steps, sizes, strict=True)
        )
    assert failed <= binom.isf(1e-6, trials, alpha)
    if alpha == 0.05:
        assert failed > 0, "a test in which nothing ever failed would prove nothing"


@pytest.mark.parametrize("share", [-0.1, 1.0, math.nan, "0.5"])
def test_a_share_of_a_stake_leaves_something(share) -> None:
    with pytest.raises(UsageError, match="from 0 to below 1"):
        Stakes(1, 2, share)


def test_no_more_hits_than_trials() -> None:
    with pytest.raises(UsageError, match="got 3 hits among 2 trials"):
        Stakes(3, 2, 0.5)
    assert Stakes(0, 0, 0.8).lower_bound(0, 10, 0.05) == 0.0
    assert Enclosed(0, 0, Fraction(1, 2)).lower_bound(0, 10, Fraction(1, 20), 64).p == arb(0)
