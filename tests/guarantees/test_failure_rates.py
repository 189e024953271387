"""benchmarks/failure_rates.py with fewer certificates: no estimator fails too often, and a wrong one is seen to.

A correct estimator fails each of these tests with probability 1e-6 at most, and the seeds are fixed.
"""

import importlib
from pathlib import Path

import numpy as np
import pytest

with pytest.MonkeyPatch.context() as _patch:
    _patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    failure_rates = importlib.import_module("failure_rates")

CERTIFICATES = {0.05: 2_000, 0.001: 10_000}


def name_of(case) -> str:
    return f"{case.estimator}-{case.method}-{case.rivals}-{case.theorem}-{case.aim}-{case.alpha}".replace(" ", "-")


# At 0.001 for one theorem and probability only: a theorem acts through the probability alone.
CASES = [case for case in failure_rates.cases() if case.alpha == 0.05 or (case.theorem == "cohen" and case.aim == 0.75)]


def test_every_estimator_meets_every_bound_and_theorem() -> None:
    estimators = {(case.estimator.partition(",")[0], case.method) for case in CASES}
    assert estimators == {(kind, method) for kind in ("fixed", "looks", "bets") for method in ("cohen", "split")} | {
        ("eprocess", "cohen")
    }
    theorems = {case.theorem for case in CASES}
    assert theorems == {
        "cohen", "lecuyer", "li", "cohen_linf", "levine", "dwork", "overlap_l1", "overlap_linf", "lee"
    }  # fmt: skip
    for each in estimators:
        assert {case.theorem for case in CASES if (case.estimator, case.method) == each} == theorems


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_failure_rate_is_at_most_alpha_at_the_hardest_probability(case) -> None:
    rng = np.random.default_rng(round(1e6 * case.aim))
    rate, _, _ = failure_rates.run_case(case, CERTIFICATES[case.alpha], rng, sums=False)
    assert rate.false_radii <= rate.false_bounds
    assert rate.at_most(case.alpha)
    if case.alpha == 0.05:
        assert rate.false_bounds > 0, "a test in which nothing ever failed would prove nothing"


@pytest.mark.parametrize("case", CASES[::2], ids=name_of)
def test_the_true_radius_lies_just_below_the_one_in_question(case) -> None:
    shares = case.shares()
    for p, certified in ((shares[0], False), (shares[0] + 1e-9, True)):
        rival = max(shares[1:]) - (p - shares[0])
        radius = case.scale(failure_rates.ClassBounds(0, p, rival))
        assert (radius is not None and radius >= case.radius) is certified


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.4, 0.4, 0.2), (1 / 3, 1 / 3, 1 / 3)])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_predict_answers_at_most_alpha_of_the_time_where_classes_are_tied(shares, alpha: float) -> None:
    rate = failure_rates.predict_rate(shares, 60, alpha, CERTIFICATES[alpha], np.random.default_rng(1))
    assert rate.at_most(alpha)
    assert rate.exact > 0


@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_wrong_estimators_are_seen_to_fail_more_often(alpha: float) -> None:
    rng = np.random.default_rng(2)
    for name, (case, rule) in failure_rates.wrong(alpha).items():
        rate = failure_rates.wrong_rate(case, rule, CERTIFICATES[alpha], rng)
        assert not rate.at_most(alpha), name


def test_exact_sums_agree_with_simulation() -> None:
    """Within 6 standard errors: failure rate 1e-8."""
    case = next(case for case in CASES if case.estimator == "looks" and case.rivals == "one of two")
    rate, _, _ = failure_rates.run_case(case, 20_000, np.random.default_rng(3))
    assert abs(rate.false_bounds - 20_000 * rate.exact) < 6 * (20_000 * rate.exact) ** 0.5
