"""The smoothed classifier's class for an unchanged input, or abstention; no radius."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from holdfast.estimators.schedule import Schedule, outlook
from holdfast.plain import Plain
from holdfast.stats.binomial import check_alpha, top_two_p_value
from holdfast.types import Counts, Prediction


def prediction(counts: Counts, alpha: float) -> Prediction:
    """The class with the most votes if it leads the runner-up significantly, else abstain.

    Another label than the smoothed classifier's is returned with probability at most alpha.

    Source: Cohen et al. 2019, Predict and Proposition 1.
    """
    alpha = check_alpha(alpha)
    first, second = counts.top_two()
    p_value = top_two_p_value(counts.votes[first], counts.votes[second])
    return Prediction(first if p_value <= alpha else None, alpha, p_value, counts)


class AnswerRule(Plain, ABC):
    """When to stop drawing for an answer without a radius, and the answer from the votes."""

    # Whether each realization of the noise is taken once instead of random draws.
    exhaustive: ClassVar[bool] = False
    # Whether the answer depends on how the base classifier ranks all classes: counts are then `RankedCounts`.
    ranked: ClassVar[bool] = False
    n: int

    @abstractmethod
    def draws_wanted(self, counts: Counts) -> int:
        """The number of further samples to draw; 0 means stop."""

    @abstractmethod
    def prediction(self, counts: Counts) -> Prediction:
        """The answer after sampling has stopped."""


@dataclass(frozen=True)
class AllVotes(AnswerRule):
    """Each of the n equally likely realizations of the noise once: the class with the most votes is the answer.

    Args:
        n: number of realizations of the noise.
    """

    exhaustive: ClassVar[bool] = True
    n: int

    def draws_wanted(self, counts: Counts) -> int:
        """The remaining realizations."""
        return self.n - counts.total

    def prediction(self, counts: Counts) -> Prediction:
        """The class with the most votes, which is certain: alpha is 0, and there is nothing to test."""
        return Prediction(counts.top, 0.0, None, counts)


@dataclass(frozen=True)
class TopTwo(AnswerRule):
    """Predict, with looks: stops as soon as the top two classes are told apart, or when continuing is hopeless.

    Each look uses the exact test of `prediction` at the look's share of alpha (`Schedule`), so that another label than
    the smoothed classifier's is returned with probability at most alpha, whenever sampling stopped.

    Args:
        n: largest number of samples of each input.
        alpha: probability of another label than the smoothed classifier's, in (0, 1).
        ratio: between the sizes of successive looks; None for one look at n, which is Predict of Cohen et al. 2019.

    Raises:
        UsageError: an argument is out of range.
    """

    n: int
    alpha: float
    ratio: float | None = 1.5

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        # Validates n and the ratio.
        _ = self.schedule

    @cached_property
    def schedule(self) -> Schedule:
        """The looks."""
        return Schedule(self.n, self.ratio)

    def draws_wanted(self, counts: Counts) -> int:
        """The samples up to the next look; 0 once the answer is found or hopeless, or n is reached."""
        missing = self.schedule.missing(counts.total)
        return missing if counts.total not in self.schedule.looks or not self._decided(counts) else 0

    def prediction(self, counts: Counts) -> Prediction:
        """The answer at the look at which sampling stopped."""
        found = prediction(counts, self.schedule.share(counts.total, self.alpha))
        return replace(found, alpha=self.alpha)

    def _decided(self, counts: Counts) -> bool:
        if counts.total == self.n or self.prediction(counts).label is not None:
            return True
        return self.prediction(outlook(counts.top, counts, self.n)).label is None
