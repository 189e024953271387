"""The field's figures, by hand."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from synthetic_runs import four, imported

from holdfast.analysis.accuracy import (
    Result,
    abstention_rate,
    accuracy,
    average_certified_radius,
    certified_accuracy,
    median_among_certified,
    median_certified_radius,
    median_interval,
)
from holdfast.analysis.summaries import summarize
from holdfast.stats.datasets import Proportion, certified_proportion, proportion


def result(radius: float | None, correct: bool = True, answer: int | None = 1) -> Result:
    """An outcome with a certificate of that radius, or without one."""
    predicted = None if radius is None else 1 if correct else 0
    return Result(0, 1, predicted, radius or 0.0, answer)


def test_median_counts_misclassified_examples_as_minus_infinity() -> None:
    """Levine & Feizi 2020, "Results": the median of {N/A, N/A, 1, 2, 3} is 1, not 2."""
    assert median_certified_radius([result(None), result(7, False), result(1), result(2), result(3)]) == 1
    assert median_certified_radius([result(2), result(3)]) == 3
    assert median_certified_radius([result(None), result(3)]) == 3
    assert median_certified_radius([result(None), result(None), result(3)]) is None


def test_the_median_among_the_certified_leaves_out_what_is_not_certified_right() -> None:
    """Levine & Feizi 2020, "Results on ImageNet": of the images with certificates other than N/A."""
    assert median_among_certified([result(None), result(7, False), result(1), result(2), result(3)]) == 2
    assert median_among_certified([result(2), result(None), result(4)]) == 4, "the upper one, as for all images"
    assert median_among_certified([result(None), result(7, False)]) is None


def test_median_is_the_largest_radius_with_half_of_the_examples() -> None:
    results = [result(radius) for radius in (0, 0, 1, 4, 4, 9, 9, None)]
    median = median_certified_radius(results)
    assert median is not None
    assert certified_accuracy(results, median, 0.05).value >= 0.5 > certified_accuracy(results, median + 1, 0.05).value


def test_the_interval_of_a_median_agrees_with_those_of_certified_accuracy() -> None:
    results = [result(radius / 7) for radius in range(80)] + [result(None)] * 30
    median, (lower, upper) = median_certified_radius(results), median_interval(results, 0.05)
    assert median is not None
    assert lower is not None
    assert upper is not None
    assert lower < median < upper

    def share(radius: float) -> Proportion:
        return certified_accuracy(results, radius, 0.05)

    assert share(lower).lower >= 0.5 > share(lower + 1 / 7).lower
    assert share(upper).upper >= 0.5 > share(upper + 1 / 7).upper


def test_the_interval_of_a_median_may_have_no_ends() -> None:
    assert median_interval([result(None)] * 10, 0.05) == (None, None)
    assert median_interval([result(1.0)] * 4, 0.05) == (None, 1.0), "four images prove nothing"


def test_an_interval_covers_the_median_of_the_population() -> None:
    """Radii uniform on [0, 1]: the median is 1/2. 95% intervals miss more than 8.5% of 600 times by a 1e-4 chance."""
    random = np.random.default_rng(6)
    missed = 0
    for _ in range(600):
        lower, upper = median_interval([result(float(radius)) for radius in random.random(101)], 0.001)
        missed += not ((lower or 0.0) <= 0.5 <= (1.0 if upper is None else upper))
    assert missed <= 51


def test_wrong_and_uncertified_examples_count_zero_in_the_average() -> None:
    assert average_certified_radius([result(1.5), result(2.0, False), result(None), result(0.5)]) == 0.5


def test_certified_accuracy_needs_a_correct_certificate() -> None:
    results = [result(1.0), result(1.0, False), result(None)]
    third = certified_accuracy(results, 0.0, 0.001)
    assert third == certified_accuracy(results, 1.0, 0.001) == certified_proportion(1, 3, 0.001)
    assert third.value == pytest.approx(1 / 3)
    assert certified_accuracy(results, math.nextafter(1.0, 2), 0.001).value == 0.0


def test_accuracy_is_that_of_the_answers_and_an_abstention_is_never_correct() -> None:
    results = [result(None, answer=1), result(None, answer=0), result(None, answer=None), result(1.0)]
    assert accuracy(results, 0.001) == certified_proportion(2, 4, 0.001)
    assert abstention_rate(results) == proportion(1, 4)


def test_more_examples_have_an_answer_than_a_certificate(tmp_path) -> None:
    """500 of 1,000 votes do not certify, but their lead over 334 is an answer."""
    last = four(tmp_path / "run").results[3]
    assert (last.predicted, last.answer, last.label) == (None, 7, 7)


def test_claims_answer_what_they_certify(tmp_path) -> None:
    assert all(each.answer == each.predicted for each in imported(tmp_path / "run").results)


def certified_at(results: Sequence[Result], radius: float) -> float:
    return certified_accuracy(results, radius, 0.001).value


def right(results: Sequence[Result]) -> float:
    return accuracy(results, 0.001).value


def silent(results: Sequence[Result]) -> float:
    return abstention_rate(results).value


def test_a_radius_that_is_met_exactly_counts() -> None:
    """`>=` and not `>`, at every radius there is, and with wrong and uncertified examples among them."""
    results = [result(radius) for radius in (0.0, 0.25, 0.25, 1.0)] + [result(None), result(0.25, False)]
    for radius, hits in ((0.0, 4), (0.25, 3), (1.0, 1)):
        assert certified_at(results, radius) == hits / 6
        assert (
            certified_at(results, math.nextafter(radius, math.inf))
            == sum(each.certified_radius > radius for each in results) / 6
        )
    assert certified_at([result(None)] * 3, 0.0) == 0.0
    assert certified_at([result(0.0)] * 3, 0.0) == 1.0


def test_summaries_count_a_radius_that_is_met_exactly(tmp_path) -> None:
    """At the radii of the run's own examples, and just above them; the functions say the same."""
    run = four(tmp_path / "run")
    results = run.results
    radii = sorted({each.certified_radius for each in results if each.correct})
    assert len(radii) == 2
    above = [math.nextafter(radius, math.inf) for radius in radii]
    found = summarize(run, [0.0, *radii, *above])
    shares = {radius: share.value for radius, share in found.certified_accuracy.items()}
    assert shares == {0.0: 0.5, radii[0]: 0.5, radii[1]: 0.25, above[0]: 0.25, above[1]: 0.0}
    assert shares == {radius: certified_at(results, radius) for radius in shares}
    for radius in radii:
        assert found.certified_accuracy[radius] == certified_proportion(int(4 * shares[radius]), 4, 0.001)
    assert (found.accuracy.value, right(results)) == (0.75, 0.75)
    assert (found.abstention_rate.value, silent(results)) == (0.0, 0.0)
    assert found.median_certified_radius == median_certified_radius(results) == radii[0]
    assert found.average_certified_radius == average_certified_radius(results)


def test_summaries_of_claims_count_abstentions_and_radii_that_are_met_exactly(tmp_path) -> None:
    """Radii 0.9, 0.25 and 0.3 are right, one of 0.5 is wrong, and one example was not certified."""
    run = imported(tmp_path / "run")
    found = summarize(run, [0.0, 0.25, 0.3, 0.5, 0.9])
    values = {radius: share.value for radius, share in found.certified_accuracy.items()}
    assert values == {0.0: 0.6, 0.25: 0.6, 0.3: 0.4, 0.5: 0.2, 0.9: 0.2}
    assert found.abstention_rate.value == silent(run.results) == 0.2
    assert found.accuracy.value == right(run.results) == 0.6
    assert found.median_certified_radius == 0.25


@pytest.mark.parametrize(
    ("radii", "median"),
    [
        ([1.0], 1.0),
        ([1.0, 1.0], 1.0),
        # Exactly half of them reach the larger of the two in the middle.
        ([1.0, 2.0], 2.0),
        ([1.0, 2.0, 2.0, 3.0], 2.0),
        ([1.0, 1.0, 2.0, 3.0], 2.0),
        ([0.0, 0.0, 5.0], 0.0),
        ([None, 2.0], 2.0),
        ([None, None, 1.0, 2.0], 1.0),
        ([None, None, 2.0], None),
        ([None, 0.0], 0.0),
    ],
)
def test_the_median_of_ties_and_of_even_numbers(radii: list[float | None], median: float | None) -> None:
    results = [result(radius) for radius in radii]
    assert median_certified_radius(results) == median
    assert median_certified_radius(results[::-1]) == median
    if median is not None:
        assert certified_at(results, median) >= 0.5 > certified_at(results, math.nextafter(median, math.inf))


def test_an_answer_is_right_only_if_it_is_the_label() -> None:
    """Class 0, which is false as a condition, is an answer; an abstention is none, whatever the label."""
    zero = Result(0, 0, None, 0.0, 0)
    nothing = Result(0, 0, None, 0.0, None)
    other = Result(0, 0, None, 0.0, 1)
    assert (right([zero]), right([nothing]), right([other])) == (1.0, 0.0, 0.0)
    assert (silent([zero]), silent([nothing]), silent([other])) == (0.0, 1.0, 0.0)
    assert right([zero, nothing, other]) == silent([zero, nothing, other]) == pytest.approx(1 / 3)
    certified = Result(0, 0, 0, 0.0, 0)
    assert (certified.correct, certified.certified_radius) == (True, 0.0)
    assert (nothing.correct, nothing.certified_radius) == (False, -math.inf)
