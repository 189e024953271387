"""Every realization of the noise, once, for a run-off between the two classes that are first most often."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from holdfast.errors import UsageError
from holdfast.estimators.answers import AllVotes
from holdfast.estimators.exact import Exact
from holdfast.stats.rounding import float_above, float_below
from holdfast.stats.runoff import most_replaced, winner
from holdfast.types import ClassBounds, Counts, Prediction, RankedCounts


@dataclass(frozen=True)
class RunOff(Exact):
    """Each of the n equally likely realizations of the noise, once; the smoothed classifier answers a run-off's winner.

    Of the two classes that are first most often, it is the one that is more often ranked above the other. Ties go to
    the lowest index.

    Args:
        n: number of realizations of the noise for the inputs of the run (`Noise.realizations`).

    Raises:
        UsageError: `n` is not a positive whole number.

    Source: Rezaei et al. 2023, "Run-Off Election"; docs/guarantees.md, "A run-off between two classes".
    """

    name: ClassVar[str] = "runoff"
    ranked: ClassVar[bool] = True

    def chosen(self, selection: Counts, estimation: Counts) -> int:
        """The winner of the run-off."""
        return _winner(estimation) if estimation.total else 0

    def bounds(self, top: int, counts: Counts) -> ClassBounds:
        """The shares of first places, and how many realizations `top` may lose and still win.

        Raises:
            UsageError: `top` is not the winner, or not all rankings are there.
        """
        found = _rankings(counts)
        if found.total != self.n:
            raise UsageError(f"a run-off is decided by all n = {self.n} rankings, got {found.total}")
        if top != _winner(found):
            raise UsageError(f"class {top} is not the winner of the run-off, and nothing is proved about it")
        rival = max(votes for label, votes in enumerate(found.votes) if label != top)
        return ClassBounds(
            top,
            float_below(Fraction(found.votes[top], self.n)),
            float_above(Fraction(rival, self.n)),
            replaced=most_replaced(found.votes, found.pairs),
        )

    def answer(self, top: int, counts: Counts) -> int | None:
        """The winner of the run-off."""
        return _winner(counts)

    def best_bounds(self, num_classes: int) -> ClassBounds:
        """Those of rankings that all begin with one class."""
        first, rest = (0, *[self.n] * (num_classes - 1)), range(1, num_classes)
        others = (tuple(self.n * (0 < label < below) for below in range(num_classes)) for label in rest)
        return self.bounds(0, RankedCounts((self.n, *[0] * (num_classes - 1)), (first, *others)))


@dataclass(frozen=True)
class AllRankings(AllVotes):
    """Each of the n equally likely realizations of the noise once: the winner of a run-off is the answer.

    Args:
        n: number of realizations of the noise.
    """

    ranked: ClassVar[bool] = True

    def prediction(self, counts: Counts) -> Prediction:
        """The winner, which is certain: alpha is 0, and there is nothing to test."""
        return Prediction(_winner(counts), 0.0, None, counts)


def _winner(counts: Counts) -> int:
    found = _rankings(counts)
    return winner(found.votes, found.pairs)


def _rankings(counts: Counts) -> RankedCounts:
    """The rankings; UsageError if there are votes alone."""
    if not isinstance(counts, RankedCounts):
        raise UsageError("a run-off needs how each two classes were ranked, got votes alone")
    return counts
