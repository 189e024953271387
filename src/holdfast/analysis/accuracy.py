"""What a run says about each example, and from that the field's figures."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.stats.datasets import DEFAULT_CONFIDENCE, Proportion, certified_proportion, proportion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.types import Certificate


@dataclass(frozen=True)
class Result:
    """What a run says about one example.

    Attributes:
        index: of the example in its split.
        label: its true class.
        predicted: the certified class, or None (not certified).
        radius: the certified radius, 0.0 when not certified.
        answer: the class that the estimator answers for the unchanged input at the same alpha, or None (abstain): more
            inputs have an answer than a certificate, which bounds the shares of all votes. For an imported log, which
            has no votes, the certified class.
        certificate: where the votes are known; None for an imported log.
        seconds: that an imported log gives; None otherwise.
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
        """Certified and right."""
        return self.predicted is not None and self.predicted == self.label

    @property
    def certified_radius(self) -> float:
        """The radius within which the example stays correctly classified: minus infinity if it is not."""
        return self.radius if self.correct else -math.inf


def certified_accuracy(
    results: Sequence[Result], radius: float, alpha: float, confidence: float = DEFAULT_CONFIDENCE
) -> Proportion:
    """The share of examples that are correct and certified at `radius` at least.

    Args:
        results: at least one.
        radius: in the unit of the norm.
        alpha: failure probability of each certificate, which the interval covers.
        confidence: of the interval.
    """
    hits = sum(result.certified_radius >= radius for result in results)
    return certified_proportion(hits, len(results), alpha, confidence)


def median_certified_radius(results: Sequence[Result]) -> float | None:
    """The largest radius at which certified accuracy is at least one half; None if there is none.

    Misclassified examples and abstentions count as minus infinity (Levine & Feizi 2020, "Results").
    """
    ranked = sorted((result.certified_radius for result in results), reverse=True)
    median = ranked[math.ceil(len(ranked) / 2) - 1]
    return None if median == -math.inf else median


def median_interval(
    results: Sequence[Result], alpha: float, confidence: float = DEFAULT_CONFIDENCE
) -> tuple[float | None, float | None]:
    """An interval for the median certified radius of the population; None where it has none.

    Its ends are the largest radii at which the interval of certified accuracy lies above one half, and is not below it.
    """
    ranked = sorted((result.certified_radius for result in results), reverse=True)
    counts = range(1, len(ranked) + 1)

    def reached(end: Callable[[Proportion], float]) -> float | None:
        """The radius of the first example, from the largest on, with which this end reaches one half."""
        place = bisect_left(
            counts,
            True,
            key=lambda count: end(certified_proportion(count, len(ranked), alpha, confidence)) >= 0.5,
        )
        return None if place == len(ranked) or ranked[place] == -math.inf else ranked[place]

    return reached(lambda share: share.lower), reached(lambda share: share.upper)


def average_certified_radius(results: Sequence[Result]) -> float:
    """The mean over all examples of the certified radius, where examples that are not correct count 0 (MACER)."""
    return math.fsum(max(0.0, result.certified_radius) for result in results) / len(results)


def abstention_rate(results: Sequence[Result], confidence: float = DEFAULT_CONFIDENCE) -> Proportion:
    """The share of examples on which Predict abstained."""
    return proportion(sum(result.answer is None for result in results), len(results), confidence)


def accuracy(results: Sequence[Result], alpha: float, confidence: float = DEFAULT_CONFIDENCE) -> Proportion:
    """The share of unchanged examples that Predict answers correctly. An abstention is never correct.

    Arguments as for `certified_accuracy`; an answer is another than the smoothed classifier's with probability alpha.
    """
    return certified_proportion(
        sum(result.answer == result.label for result in results), len(results), alpha, confidence
    )
