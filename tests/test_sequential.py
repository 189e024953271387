"""Estimators that stop early: the oracles of the bet, stopping rules, and failure rates by simulation."""

import math
from dataclasses import replace

import mpmath
import numpy as np
import pytest
from scipy.stats import binom, norm

from holdfast.errors import UsageError
from holdfast.estimators import (
    Bets,
    EProcess,
    Estimator,
    FixedSize,
    Looks,
    TopTwo,
    best_radius,
    check_samples,
    estimator_from_dict,
    fitting_alpha,
    outlook,
    prediction,
    scale_of,
)
from holdfast.limits import MOST_SAMPLES
from holdfast.noises.ablation import Ablation, delta
from holdfast.noises.gaussian import Gaussian
from holdfast.stats.betting import truncated_capital
from holdfast.stats.binomial import lower_bound, top_two_p_value
from holdfast.types import Counts

SHAPE = (1, 28, 28)
SCALE = scale_of(Gaussian(1.0), None, SHAPE)


def run_to_the_end(rule: Estimator, p: float, rng: np.random.Generator, classes: int = 2) -> Counts:
    """Votes as they come from a classifier that says class 0 with probability p and shares the rest evenly."""
    shares = [p, *[(1 - p) / (classes - 1)] * (classes - 1)]
    if isinstance(rule, Bets) and rule.selection is None:
        rule = rule.informed(Counts.of(rng.multinomial(100, shares)))
    votes = np.zeros(classes, dtype=np.int64)
    while wanted := rule.draws_wanted(0, Counts.of(votes)):
        votes += rng.multinomial(wanted, shares)
    return Counts.of(votes)


def test_capital_against_the_oracles() -> None:
    p0 = float(norm.cdf(1.0))
    assert truncated_capital(95, 100, p0) == pytest.approx(4.5708, abs=5e-5)
    first = next(n for n in range(1, 100) if truncated_capital(n, n, p0) >= math.log(1000))
    assert first == 47
    assert truncated_capital(10, 1000, 0.99) == -math.inf


@pytest.mark.parametrize(("hits", "n", "p0"), [(95, 100, 0.84), (3, 4, 0.5), (0, 1, 0.3), (700, 1000, 0.7)])
def test_capital_is_that_of_the_mixture(hits: int, n: int, p0: float) -> None:
    """The likelihood ratio, integrated over p > p0 under Beta(1/2, 1/2) restricted to it, to 20 digits."""
    with mpmath.workdps(30):

        def stake(p: mpmath.mpf) -> mpmath.mpf:
            return 1 / mpmath.sqrt(p * (1 - p))

        def ratio(p: mpmath.mpf) -> mpmath.mpf:
            return stake(p) * (p / p0) ** hits * ((1 - p) / (1 - mpmath.mpf(p0))) ** (n - hits)

        ends = [p0, (1 + p0) / 2, 1]
        expected = mpmath.log(mpmath.quad(ratio, ends) / mpmath.quad(stake, ends))
    assert truncated_capital(hits, n, p0) == pytest.approx(float(expected), rel=1e-9, abs=1e-9)


def test_capital_is_a_supermartingale_at_and_below_the_hypothesis() -> None:
    """E[capital after one more vote] <= capital, for every p <= p0: exactly, by both outcomes."""
    p0 = 0.8
    for n in (1, 5, 40, 200):
        for hits in range(n + 1):
            now = math.exp(truncated_capital(hits, n, p0))
            for p in (0.5, 0.7, p0):
                up, down = (math.exp(truncated_capital(hits + more, n + 1, p0)) for more in (1, 0))
                assert p * up + (1 - p) * down <= now * (1 + 1e-9)


def test_looks_end_at_n_and_spend_no_more_than_alpha() -> None:
    rule = Looks(100_000, 0.001, (0.5,), scale=SCALE)
    assert rule.schedule.looks[-1] == 100_000
    assert list(rule.schedule.looks) == sorted(set(rule.schedule.looks))
    assert rule.schedule.looks[0] >= 30
    spent = 0.0
    for look in rule.schedule.looks:
        p_lower = rule.bounds(0, Counts((look, 0))).p_lower
        spent += p_lower**look
    assert spent <= 0.001


@pytest.mark.parametrize(
    "rule",
    [
        Looks(10_000, 0.001, (0.5,), scale=SCALE),
        EProcess(10_000, 0.001, 0.5, scale=SCALE),
        Bets(10_000, 0.001, (0.5,), scale=SCALE),
    ],
)
def test_easy_and_hopeless_inputs_stop_early_and_hard_ones_at_n(rule: Estimator) -> None:
    rng = np.random.default_rng(0)
    easy, hopeless = (run_to_the_end(rule, p, rng) for p in (0.999, 0.3))
    # Some are given up early, by bad luck.
    hard = max(
        (run_to_the_end(rule, float(norm.cdf(0.5)) + 0.012, rng) for _ in range(4)), key=lambda votes: votes.total
    )
    assert easy.total < 300
    assert SCALE(rule.bounds(0, easy)) >= 0.5
    assert hopeless.total < 300
    assert hard.total > 3_000
    assert (SCALE(rule.bounds(0, hopeless)) or 0.0) < 0.5


def test_a_radius_out_of_reach_is_given_up_at_once() -> None:
    """At n = 1,000 no votes certify 3 sigma: not even unanimous ones are waited for."""
    out_of_reach = (
        Looks(1000, 0.001, (3.0,), scale=SCALE),
        EProcess(1000, 0.001, 3.0, scale=SCALE),
        Bets(1000, 0.001, (3.0,), scale=SCALE),
    )
    for rule in out_of_reach:
        assert run_to_the_end(rule, 1.0, np.random.default_rng(0)).total < 100


@pytest.mark.parametrize("votes", [(50, 0), (40, 10), (20, 15, 15), (30, 10, 5, 5), (0, 50), (10, 10, 10, 20)])
def test_the_outlook_is_a_possible_continuation_and_optimistic(votes: tuple[int, ...]) -> None:
    expected = outlook(0, Counts(votes), 1000)
    assert expected.total == 1000
    assert expected.votes[0] >= round(1000 * votes[0] / sum(votes))
    assert max(expected.votes[1:]) <= max(1000 * max(votes[1:]) / sum(votes), (1000 - expected.votes[0]) / 1 + 1)


def test_several_radii_are_all_decided() -> None:
    rule = Looks(100_000, 0.001, (0.25, 0.5, 1.0), scale=SCALE)
    counts = run_to_the_end(rule, float(norm.cdf(0.75)), np.random.default_rng(1))
    reached = SCALE(rule.bounds(0, counts))
    assert reached is not None
    assert 0.5 <= reached < 1.0
    assert counts.total < 10_000


@pytest.mark.parametrize("seed", range(5))
def test_radius_zero_goes_on_until_it_is_known_whether_anything_is_certified(seed: int) -> None:
    """55% of the votes never certify 1 sigma, which a few of them show; that they are most of all takes many more."""
    soon, later = (
        run_to_the_end(Looks(10_000, 0.001, radii, scale=SCALE), 0.55, np.random.default_rng(seed))
        for radii in ((1.0,), (0.0, 1.0))
    )
    assert SCALE(Looks(10_000, 0.001, (1.0,), scale=SCALE).bounds(0, soon)) is None
    assert SCALE(Looks(10_000, 0.001, (0.0, 1.0), scale=SCALE).bounds(0, later)) is not None
    assert 5 * soon.total < later.total < 10_000
    never = run_to_the_end(Looks(10_000, 0.001, (0.0,), scale=SCALE), 0.3, np.random.default_rng(seed))
    assert never.total < 300


def test_the_bounds_hold_at_the_looks_only() -> None:
    rule = Looks(1000, 0.01, (0.5,), scale=SCALE)
    with pytest.raises(UsageError, match="the bounds hold at one of the looks"):
        rule.bounds(0, Counts((rule.schedule.looks[0] + 1, 0)))
    assert (
        rule.draws_wanted(0, Counts((rule.schedule.looks[0] + 1, 0)))
        == rule.schedule.looks[1] - rule.schedule.looks[0] - 1
    )
    assert rule.draws_wanted(0, Counts((1001, 0))) < 0


def test_threshold_of_the_bet_certifies_its_radius_and_nothing_below_does() -> None:
    rule = EProcess(1000, 0.001, 1.0, scale=SCALE)
    assert rule.threshold == pytest.approx(float(norm.cdf(1.0)), rel=1e-12)
    assert SCALE(rule.bounds(0, Counts((990, 10)))) >= 1.0
    assert rule.bounds(0, Counts((600, 400))).p_lower == 0.0
    pixels = scale_of(Ablation(45), None, SHAPE)
    exact = EProcess(1000, 0.001, 8.0, scale=pixels).threshold
    assert exact == pytest.approx(float(delta(784, 45, 8)) + 0.5, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("method", ["cohen", "split"])
def test_looks_fail_at_most_alpha_of_the_time_at_the_hardest_probability(alpha: float, method: str) -> None:
    """p just below the threshold of the radius: any certificate at it is false. Failure rate of this test: 1e-6."""
    p = math.nextafter(float(norm.cdf(0.5)), 0.0)
    rule = Looks(2_000, alpha, (0.5,), method=method, scale=SCALE)
    rng = np.random.default_rng(5)
    trials = 4_000
    false = sum((SCALE(rule.bounds(0, run_to_the_end(rule, p, rng))) or 0.0) >= 0.5 for _ in range(trials))
    assert false <= binom.isf(1e-6, trials, alpha)
    if alpha == 0.05:
        assert false > 0, "a test in which nothing ever failed would prove nothing"


@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_bets_fail_at_most_alpha_of_the_time_at_the_hardest_probability(alpha: float) -> None:
    p = math.nextafter(float(norm.cdf(0.5)), 0.0)
    rule = EProcess(2_000, alpha, 0.5, scale=SCALE)
    rng = np.random.default_rng(6)
    trials = 4_000
    false = sum(rule.bounds(0, run_to_the_end(rule, p, rng)).p_lower > p for _ in range(trials))
    assert false <= binom.isf(1e-6, trials, alpha)
    if alpha == 0.05:
        assert false > 0


def test_stopping_when_certified_at_full_alpha_would_fail_more_often() -> None:
    """The fault that the looks' shares of alpha prevent: Clopper-Pearson at alpha, tested again and again."""
    p, alpha = math.nextafter(float(norm.cdf(0.5)), 0.0), 0.05
    rule = Looks(2_000, alpha, (0.5,), scale=SCALE)
    rng = np.random.default_rng(7)
    false = 0
    for _ in range(2_000):
        hits = total = 0
        for look in rule.schedule.looks:
            hits, total = hits + rng.binomial(look - total, p), look
            if lower_bound(int(hits), total, alpha) > p:
                false += 1
                break
    assert false > binom.isf(1e-6, 2_000, alpha)


def test_sequential_estimators_survive_the_manifest() -> None:
    rules = (
        Looks(1000, 0.01, (0.25, 0.5), scale=SCALE),
        EProcess(1000, 0.01, 0.5, scale=SCALE),
        Bets(1000, 0.01, (0.25, 0.5), selection_share=0.5, scale=SCALE),
    )
    for rule in rules:
        description = rule.to_dict()
        assert "scale" not in description
        assert estimator_from_dict(description, SCALE) == rule
    assert isinstance(estimator_from_dict(FixedSize(10, 0.1).to_dict(), SCALE), FixedSize)
    with pytest.raises(UsageError, match="missing or unknown: method"):
        estimator_from_dict({"name": "fixed", "n": 10, "alpha": 0.1}, SCALE)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Looks(100, 0.01, (), scale=SCALE), "got none"),
        (lambda: Looks(100, 0.01, (-0.1,), scale=SCALE), "finite numbers from 0 on"),
        (lambda: Looks(100, 0.01, (float("nan"),), scale=SCALE), "finite numbers from 0 on"),
        (lambda: Looks(100, 0.01, (0.5,), ratio=1.0, scale=SCALE), "ratio of successive looks"),
        (lambda: Looks(0, 0.01, (0.5,), scale=SCALE), "n is a whole number"),
        (lambda: Looks(100, 2.0, (0.5,), scale=SCALE), "alpha is a failure probability"),
        (lambda: Bets(100, 0.01, (), scale=SCALE), "got none"),
        (lambda: Bets(100, 0.01, (-0.1,), scale=SCALE), "finite numbers from 0 on"),
        (lambda: Bets(100, 0.01, precision=1.0, scale=SCALE), "precision is a share of the radius"),
        (lambda: Bets(0, 0.01, (0.5,), scale=SCALE), "n is a whole number"),
        (lambda: Bets(100, 0.01, (0.5,), method="x", scale=SCALE), "class bounds are one of"),
        (lambda: Bets(100, 0.01, (0.5,), selection_share=1.0, scale=SCALE), "from 0 to below 1"),
        (lambda: EProcess(100, 0.01, 0.0, scale=SCALE), "a finite number above 0; got 0.0"),
        (lambda: EProcess(100, 0.01, 1e6, scale=SCALE), "no probability below 1 certifies"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.4, 0.4, 0.2)])
def test_answers_at_looks_are_wrong_at_most_alpha_of_the_time(shares: tuple[float, ...], alpha: float) -> None:
    """Where the top two classes are equally likely every answer is wrong, by half: neither is the smoothed one's."""
    rule, rng, trials = TopTwo(1_000, alpha), np.random.default_rng(5), 800
    answered = 0
    for _ in range(trials):
        votes = np.zeros(len(shares), dtype=np.int64)
        while wanted := rule.draws_wanted(Counts.of(votes)):
            votes += rng.multinomial(wanted, shares)
        answered += rule.prediction(Counts.of(votes)).label is not None
    assert answered <= binom.isf(1e-6, trials, alpha)


def test_a_test_at_full_alpha_at_every_look_would_fail_more_often() -> None:
    """The fault that the looks' shares of alpha prevent."""
    rng, alpha, trials, answered = np.random.default_rng(6), 0.05, 600, 0
    for _ in range(trials):
        votes, total = np.zeros(2, dtype=np.int64), 0
        for look in TopTwo(2_000, alpha).schedule.looks:
            votes, total = votes + rng.multinomial(look - total, (0.5, 0.5)), look
            if prediction(Counts.of(votes), alpha).label is not None:
                answered += 1
                break
    assert answered > binom.isf(1e-6, trials, alpha)


def test_predict_stops_when_clear_and_when_hopeless() -> None:
    rule = TopTwo(100_000, 0.001)
    assert rule.draws_wanted(Counts((0, 0))) == rule.schedule.looks[0]
    assert rule.draws_wanted(Counts((rule.schedule.looks[0], 0))) == 0
    tied = rule.schedule.looks[-2]
    assert rule.draws_wanted(Counts((tied // 2, tied - tied // 2))) == 0
    assert TopTwo(500, 0.01, None).draws_wanted(Counts((300, 0))) == 200


def test_a_precision_is_kept_against_what_all_samples_give() -> None:
    rng = np.random.default_rng(8)
    rule, whole = Looks(100_000, 0.001, precision=0.05, scale=SCALE), FixedSize(100_000, 0.001)
    spent = []
    for p in (0.6, 0.8, 0.95, 0.999):
        for _ in range(6):
            counts = run_to_the_end(rule, p, rng)
            full = Counts.of(rng.multinomial(100_000, (p, 1 - p)))
            near, far = SCALE(rule.bounds(0, counts)), SCALE(whole.bounds(0, full))
            assert near is not None
            assert far is not None
            # The optimist's interval misses the truth with probability 0.001 a look, by little.
            assert near >= 0.93 * far
            spent.append(counts.total)
    assert np.mean(spent) < 60_000


def test_a_precision_alone_gives_up_what_cannot_be_certified() -> None:
    counts = run_to_the_end(Looks(100_000, 0.001, precision=0.05, scale=SCALE), 0.3, np.random.default_rng(9))
    assert counts.total < 1_000
    with pytest.raises(UsageError, match="precision is a share of the radius between 0 and 1"):
        Looks(100, 0.01, precision=1.5, scale=SCALE)
    with pytest.raises(UsageError, match="radii to decide"):
        Looks(100, 0.01, scale=SCALE)


@pytest.mark.parametrize("votes", [(95, 5), (60, 40), (450, 300, 250)])
def test_answers_spend_alpha_and_neither_more_nor_less(votes: tuple[int, ...]) -> None:
    """At an alpha that the test just meets there is an answer; one float below there is none."""
    counts, n = Counts(votes), sum(votes)
    first, second = sorted(votes)[-1], sorted(votes)[-2]
    met = top_two_p_value(first, second)
    missed = math.nextafter(met, 0.0)
    assert prediction(counts, met).label == 0
    assert prediction(counts, missed).label is None
    for alpha, label in ((met, 0), (missed, None)):
        assert TopTwo(n, alpha, ratio=None).prediction(counts).label == label
        assert FixedSize(n, alpha).answer(0, counts) == label
    # Of two looks, the last has four fifths of alpha.
    for share, label in ((1.0001, 0), (0.9999, None)):
        assert TopTwo(n, share * met / 0.8).prediction(counts).label == label
        assert Looks(n, share * met / 0.8, (0.0,), scale=SCALE).answer(0, counts) == label


@pytest.mark.parametrize("votes", [(95, 5), (60, 40), (450, 300, 250)])
@pytest.mark.parametrize("method", ["cohen", "split"])
def test_bounds_of_looks_are_those_of_their_share_of_alpha(votes: tuple[int, ...], method: str) -> None:
    counts, n = Counts(votes), sum(votes)
    last = Looks(n, 0.01, (0.5,), method=method, scale=SCALE)
    assert last.bounds(0, counts).p_lower == pytest.approx(
        FixedSize(n, 0.008, method).bounds(0, counts).p_lower, rel=1e-12
    )
    first = Looks(2 * n, 0.01, (0.5,), ratio=2.0, method=method, scale=SCALE)
    each = 0.002 / (len(first.schedule.looks) - 1)
    assert first.bounds(0, counts).p_lower == pytest.approx(
        FixedSize(n, each, method).bounds(0, counts).p_lower, rel=1e-12
    )


@pytest.mark.parametrize("votes", [(95, 5), (99, 1), (480, 60)])
def test_a_bet_is_won_at_one_over_alpha(votes: tuple[int, int]) -> None:
    counts, n = Counts(votes), sum(votes)
    threshold = EProcess(n, 0.5, 0.5, scale=SCALE).threshold
    capital = math.exp(truncated_capital(votes[0], n, threshold))
    assert capital > 1.0
    for alpha, won in ((1.000001 / capital, True), (0.999999 / capital, False)):
        rule = EProcess(n, alpha, 0.5, scale=SCALE)
        assert rule.bounds(0, counts).p_lower == (threshold if won else 0.0)
        assert rule.answer(0, counts) == (0 if won else None)


def test_a_bet_is_watched_at_its_totals_alone() -> None:
    rule = EProcess(1000, 0.001, 0.5, scale=SCALE)
    totals, total = [0], 0
    while total < 1000:
        total += min(1000 - total, max(30, total // 10))
        totals.append(total)
    assert [total for total in range(1100) if rule.passes(total)] == totals
    fixed = FixedSize(300, 0.001)
    assert [fixed.passes(total) for total in (-1, 0, 300, 301)] == [False, True, True, False]


def test_every_radius_in_question_is_a_number_from_0_on() -> None:
    for radii in ((0.5, -0.1), (-0.1, 0.5), (0.5, math.nan), (0.5, math.inf)):
        with pytest.raises(UsageError, match="the radii to decide are finite numbers from 0 on"):
            Looks(1000, 0.001, radii, scale=SCALE)


def test_no_more_samples_than_the_limit() -> None:
    check_samples("n", MOST_SAMPLES)
    check_samples("n", 0, least=0)
    for wrong, message in ((MOST_SAMPLES + 1, "samples at most"), (0, "at least 1")):
        with pytest.raises(UsageError, match=message):
            check_samples("n", wrong)


@pytest.mark.parametrize("digit", range(1, 10))
def test_the_alpha_of_a_radius_has_one_digit_rounded_up(digit: int) -> None:
    """Exactly attainable at 0.00d: that alpha, and for a little less radius it as well; for a little more the next."""
    alpha, next_alpha = float(f"{digit}e-3"), float(f"{digit + 1}e-3")
    best, _ = best_radius(Gaussian(1.0), FixedSize(100, alpha, "cohen"), SHAPE, 2)
    assert fitting_alpha(Gaussian(1.0), 100, best, SHAPE) == alpha
    assert fitting_alpha(Gaussian(1.0), 100, best * (1 - 1e-6), SHAPE) == alpha
    assert fitting_alpha(Gaussian(1.0), 100, best * (1 + 1e-6), SHAPE) == next_alpha


@pytest.mark.parametrize(("precision", "fits"), [(0.001, True), (0.999, True), (0.0, False), (1.0, False)])
def test_a_precision_lies_between_0_and_1(precision: float, fits: bool) -> None:
    if fits:
        assert Looks(1000, 0.001, precision=precision, scale=SCALE).precision == precision
        return
    with pytest.raises(UsageError, match="the precision is a share of the radius between 0 and 1"):
        Looks(1000, 0.001, precision=precision, scale=SCALE)


@pytest.mark.parametrize("alpha", [1e-100, 0.5, 0.999, 1.0, 0.99e-100, 1.01, 0.0])
def test_alpha_is_checked_as_it_is_given(alpha: float) -> None:
    """At the ends of what a failure probability may be, for everything that has one."""
    rules = {
        "fixed": lambda: FixedSize(100, alpha),
        "looks": lambda: Looks(100, alpha, (0.5,), scale=SCALE),
        "bets": lambda: Bets(100, alpha, (0.5,), scale=SCALE),
        "bet": lambda: EProcess(100, alpha, 0.5, scale=SCALE),
        "answer": lambda: TopTwo(100, alpha),
    }
    for name, make in rules.items():
        if 1e-100 <= alpha < 1.0:
            assert make().alpha == alpha, name
        else:
            with pytest.raises(UsageError, match="alpha is"):
                make()


# --- Bets that start from the selection votes ------------------------------------------------------------------------


@pytest.mark.parametrize("n0", [1, 10, 100])
def test_informed_bets_fail_at_most_alpha_of_the_time_at_the_hardest_probability(n0: int) -> None:
    """Selection votes from the same probability; p just below the threshold. Failure rate of this test: 1e-6."""
    p, alpha, trials = math.nextafter(float(norm.cdf(0.5)), 0.0), 0.05, 300
    rule, rng = Bets(300, alpha, (0.5,), method="cohen", scale=SCALE), np.random.default_rng(n0)
    false = 0
    for _ in range(trials):
        informed = rule.informed(Counts.of(rng.multinomial(n0, (p, 1 - p))))
        false += informed.bounds(0, run_to_the_end(informed, p, rng)).p_lower > p
    assert 0 < false <= binom.isf(1e-6, trials, alpha)


def test_one_bet_decides_all_radii_at_no_price() -> None:
    """The bounds are the same whatever is asked, and the radius is one of its own."""
    selection, counts = Counts((90, 10)), Counts((590, 10))
    rules = [Bets(10_000, 0.001, radii, scale=SCALE) for radii in ((0.5,), (0.25, 0.5, 1.0, 3.0))]
    first, second = (rule.informed(selection).bounds(0, counts) for rule in rules)
    assert first == second
    assert rules[0].informed(selection).draws_wanted(0, counts) == 0
    reached = SCALE(first)
    assert reached is not None
    assert 1.0 < reached < 3.0
    assert SCALE(FixedSize(600, 0.001).bounds(0, counts)) > reached


def test_selection_votes_change_what_the_bets_prove_by_a_constant_factor_at_most() -> None:
    counts = Counts((470, 30))
    plain = Bets(10_000, 0.001, (0.5,), method="cohen", selection_share=0.0, scale=SCALE)
    told = replace(plain, selection_share=0.8)
    bound = plain.bounds(0, counts).p_lower
    assert told.informed(Counts((94, 6))).bounds(0, counts).p_lower > bound
    # Unlucky selection votes cost what a fifth of alpha costs.
    unlucky = told.informed(Counts((0, 100))).bounds(0, counts).p_lower
    assert bound > unlucky >= replace(plain, alpha=0.0002).bounds(0, counts).p_lower * (1 - 1e-9)
    assert plain.informed(Counts((94, 6))).bounds(0, counts) == plain.bounds(0, counts)


def test_the_last_bound_is_that_of_a_fixed_number_at_a_fifth_of_alpha() -> None:
    for votes in ((950, 50), (500, 300, 200), (1000, 0, 0)):
        for method in ("cohen", "split"):
            rule = Bets(1000, 0.001, (0.5,), method=method, scale=SCALE)
            later = Bets(2000, 0.001, (0.5,), method=method, scale=SCALE)
            bounds, fixed = rule.bounds(0, Counts(votes)), FixedSize(1000, 0.0002, method).bounds(0, Counts(votes))
            assert bounds.p_lower == pytest.approx(fixed.p_lower, rel=1e-12)
            assert later.bounds(0, Counts(votes)).p_lower < bounds.p_lower
            assert later.bounds(0, Counts(votes)).p_upper >= bounds.p_upper
            assert rule.best_bounds(len(votes)) == rule.bounds(0, Counts((1000, *[0] * (len(votes) - 1))))


def test_upper_bounds_of_rivals_are_those_of_the_strongest() -> None:
    rule = Bets(5000, 0.001, (0.5,), scale=SCALE).informed(Counts((60, 10, 10, 20)))
    spread, gathered = (rule.bounds(0, Counts(votes)) for votes in ((400, 70, 65, 65), (400, 200, 0, 0)))
    assert spread.p_lower == gathered.p_lower
    assert spread.p_upper < gathered.p_upper
    assert rule.bounds(0, Counts((400, 65, 70, 65))) == spread
    assert spread.p_upper > 70 / 600
    assert rule.answer(0, Counts((400, 70, 65, 65))) == 0
    assert rule.answer(0, Counts((200, 200, 100, 100))) is None


def test_bets_are_watched_at_their_totals_alone_and_prove_nothing_before() -> None:
    rule = Bets(1000, 0.001, (0.5,), scale=SCALE)
    totals, total = [0], 0
    while total < 1000:
        total += min(1000 - total, max(30, total // 20))
        totals.append(total)
    assert [total for total in range(1100) if rule.passes(total)] == totals
    assert rule.draws_wanted(0, Counts((0, 0))) == 30
    assert rule.draws_wanted(0, Counts((31, 0))) == 30
    assert (rule.bounds(0, Counts((0, 0))).p_lower, rule.bounds(0, Counts((0, 0))).p_upper) == (0.0, 1.0)
    assert rule.answer(0, Counts((0, 0))) is None


def test_selection_votes_are_no_part_of_the_description() -> None:
    rule = Bets(1000, 0.001, (0.5,), scale=SCALE).informed(Counts((99, 1)))
    assert set(rule.to_dict()) == {"name", "n", "alpha", "radii", "precision", "method", "selection_share"}
    assert estimator_from_dict(rule.to_dict(), SCALE).informed(Counts((99, 1))) == rule


def test_bets_come_as_near_as_asked_to_what_all_samples_give() -> None:
    rng, rule, whole = (
        np.random.default_rng(8),
        Bets(20_000, 0.001, precision=0.1, scale=SCALE),
        FixedSize(20_000, 0.001),
    )
    spent = []
    for p in (0.8, 0.95, 0.999):
        for _ in range(2):
            informed = rule.informed(Counts.of(rng.multinomial(100, (p, 1 - p))))
            counts = run_to_the_end(informed, p, rng)
            near = SCALE(informed.bounds(0, counts))
            far = SCALE(whole.bounds(0, Counts.of(rng.multinomial(20_000, (p, 1 - p)))))
            assert near is not None
            assert far is not None
            assert near >= 0.86 * far
            spent.append(counts.total)
    assert np.mean(spent) < 12_000
