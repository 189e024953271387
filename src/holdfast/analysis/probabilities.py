"""The distribution of p_A over the examples of a run: what an average of radii hides.

p_A is the probability that the base classifier answers the true class under noise. A classifier that gives up hard
examples for larger radii of easy ones has a larger average certified radius and a worse distribution (Sun et al. 2024,
"Average certified radius is a poor metric for randomized smoothing", arXiv 2410.06895).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.analysis.accuracy import quantile, quantile_interval
from holdfast.stats.datasets import DEFAULT_CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.analysis.accuracy import Result

# Of the examples, from the hardest.
PERCENTILES = (10, 25, 50, 75, 90)
# Those that a table has room for.
SHOWN = (10, 50, 90)
_BINS = 20


@dataclass(frozen=True)
class Quantile:
    """A percentile of p_A.

    Attributes:
        estimate: of the shares of votes for the true class.
        bound: of the lower bounds on p_A.
        lower: lower end of an interval for the percentile of p_A in the population, whatever p_A the votes hide.
        upper: upper end, for the percentile of the lower bounds.
    """

    estimate: float
    bound: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Bin:
    """The examples whose estimate of p_A lies in a range: from `start`, up to `end`, which the last one includes.

    Attributes:
        start: of the range.
        end: of the range.
        certified: examples that are certified correct at radius 0 or more.
        others: the other ones.
    """

    start: float
    end: float
    certified: int
    others: int


@dataclass(frozen=True)
class Probabilities:
    """The distribution of p_A over the examples of a run.

    Attributes:
        percentiles: percent -> quantile; the tenth one is the largest p_A that nine of ten examples reach.
        bins: twenty ranges of the same width.
    """

    percentiles: dict[int, Quantile]
    bins: tuple[Bin, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `holdfast table --json` prints it."""
        return {
            "percentiles": {str(percent): vars(each) for percent, each in self.percentiles.items()},
            "histogram": [vars(each) for each in self.bins],
        }


def probabilities_of(
    results: Sequence[Result], alpha: float, confidence: float = DEFAULT_CONFIDENCE
) -> Probabilities | None:
    """The distribution over examples that have votes; None if one of them has none.

    A lower bound is that of the certificate where it is for the true class, and 0 where it is for another one: nothing
    is known to be right there.

    Args:
        results: at least one.
        alpha: failure probability of each certificate.
        confidence: of the intervals.
    """
    estimates, bounds = [], []
    for each in results:
        if each.certificate is None or not each.certificate.estimation.total:
            return None
        votes = each.certificate.estimation
        estimates.append(votes.votes[each.label] / votes.total)
        known = each.certificate.bounds
        bounds.append(known.p_lower if known.top == each.label else 0.0)
    percentiles = {}
    for percent in PERCENTILES:
        share = 1.0 - percent / 100.0
        lower, upper = quantile_interval(bounds, share, alpha, confidence)
        percentiles[percent] = Quantile(
            quantile(estimates, share), quantile(bounds, share), max(0.0, lower), max(0.0, upper)
        )
    return Probabilities(percentiles, _bins(results, estimates))


def _bins(results: Sequence[Result], estimates: Sequence[float]) -> tuple[Bin, ...]:
    counts = [[0, 0] for _ in range(_BINS)]
    for each, estimate in zip(results, estimates, strict=True):
        counts[min(int(estimate * _BINS), _BINS - 1)][not each.correct] += 1
    return tuple(
        Bin(number / _BINS, (number + 1) / _BINS, certified, others)
        for number, (certified, others) in enumerate(counts)
    )
