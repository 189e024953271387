"""The result of each example of a run, and the metrics computed from them."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.stats.datasets import DEFAULT_CONFIDENCE, Proportion, certified_proportion, proportion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.types import Certificate

# Keeps a share of 0.9 of ten values from meaning ten of them.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Result:
    """The result of one example.

    Attributes:
        index: position of the example in its split.
        label: the true class.
        predicted: the certified class; None when not certified.
        radius: the certified radius; 0.0 when not certified.
        answer: the class that the estimator answers for the unchanged input at the same alpha; None if it abstains.
            More inputs get an answer than a certificate, which also bounds the shares of all votes. For an imported
            log, which has no votes, this is the certified class.
        certificate: None for an imported log, which has no votes.
        seconds: as an imported log states it; None otherwise.
    """

    index: int
    label: int
    predicted: int | None
    radius: float
    answer: int | None
    certificate: Certificate | None = None
    seconds: float | None = None

    @property
    def correct(self) -> bool:
        """Whether the certified class is the true class."""
        return self.predicted is not None and self.predicted == self.label

    @property
    def certified_radius(self) -> float:
        """The radius within which the example stays correctly classified; minus infinity if it is not correct."""
        return self.radius if self.correct else -math.inf


def certified_accuracy(
    results: Sequence[Result], radius: float, alpha: float, confidence: float = DEFAULT_CONFIDENCE
) -> Proportion:
    """The share of examples that are correct with a certified radius of at least `radius`.

    Args:
        results: at least one.
        radius: in the unit of the norm.
        alpha: failure probability of each certificate; the interval accounts for it.
        confidence: of the interval.
    """
    certified = sum(result.certified_radius >= radius for result in results)
    return certified_proportion(certified, len(results), alpha, confidence)


def median_certified_radius(results: Sequence[Result]) -> float | None:
    """The largest radius at which certified accuracy is at least one half; None if there is none.

    Misclassified examples and abstentions count as minus infinity (Levine & Feizi 2020, "Results").
    """
    median = quantile([result.certified_radius for result in results], 0.5)
    return None if median == -math.inf else median


def median_interval(
    results: Sequence[Result], alpha: float, confidence: float = DEFAULT_CONFIDENCE
) -> tuple[float | None, float | None]:
    """An interval for the median certified radius of the population; an end is None where there is none.

    The lower end is the largest radius at which the whole interval of certified accuracy is at least one half; the
    upper end is the largest radius at which its upper end still is.
    """
    ends = quantile_interval([result.certified_radius for result in results], 0.5, alpha, confidence)
    lower, upper = (None if end == -math.inf else end for end in ends)
    return lower, upper


def quantile(values: Sequence[float], share: float) -> float:
    """The largest value that at least this share of the values reach.

    Args:
        values: at least one.
        share: above 0, at most 1; 0.5 for the median, 0.9 for the tenth percentile.
    """
    return sorted(values, reverse=True)[math.ceil(share * len(values) - _ROUNDING) - 1]


def quantile_interval(
    values: Sequence[float], share: float, alpha: float, confidence: float = DEFAULT_CONFIDENCE
) -> tuple[float, float]:
    """An interval for the largest value that this share of the population reaches; an end may be minus infinity.

    The lower end is the largest value at which the whole interval of the share that reaches it is at least `share`; the
    upper end is the largest value at which its upper end still is. Derivation: docs/guarantees.md, "Quantiles".

    Args:
        values: lower bounds of a quantity of each example, each false with probability at most alpha.
        share: as for `quantile`.
        alpha: failure probability of each value.
        confidence: of the interval.
    """
    ranked, counts = sorted(values, reverse=True), range(1, len(values) + 1)

    def reached(end: Callable[[Proportion], float]) -> float:
        position = bisect_left(
            counts,
            True,
            key=lambda count: end(certified_proportion(count, len(ranked), alpha, confidence)) >= share,
        )
        return -math.inf if position == len(ranked) else ranked[position]

    return reached(lambda each: each.lower), reached(lambda each: each.upper)


def median_among_certified(results: Sequence[Result]) -> float | None:
    """The median radius of the examples that are certified for their true class; None without any.

    The largest radius that at least half of these examples reach. The others, which count as minus infinity in
    `median_certified_radius`, are left out. Source: Levine & Feizi 2020, "Results on ImageNet".
    """
    certified = certified_correctly(results)
    return median_certified_radius(certified) if certified else None


def certified_correctly(results: Sequence[Result]) -> list[Result]:
    """The examples that are certified for their true class: those whose certified radius is not minus infinity."""
    return [result for result in results if result.correct]


def average_certified_radius(results: Sequence[Result]) -> float:
    """The mean certified radius over all examples; examples that are not correct count 0 (MACER)."""
    return math.fsum(max(0.0, result.certified_radius) for result in results) / len(results)


def abstention_rate(results: Sequence[Result], confidence: float = DEFAULT_CONFIDENCE) -> Proportion:
    """The share of examples on which Predict abstained."""
    return proportion(sum(result.answer is None for result in results), len(results), confidence)


def accuracy(results: Sequence[Result], alpha: float, confidence: float = DEFAULT_CONFIDENCE) -> Proportion:
    """The share of unchanged examples that Predict answers correctly. An abstention is never correct.

    Arguments as in `certified_accuracy`; an answer differs from the smoothed classifier's with probability at most
    alpha.
    """
    return certified_proportion(
        sum(result.answer == result.label for result in results), len(results), alpha, confidence
    )
