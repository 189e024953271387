"""Every realization of the noise, once: no sampling, no failure probability."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from holdfast.errors import UsageError
from holdfast.estimators.base import Estimator, check_samples
from holdfast.stats.rounding import float_above, float_below
from holdfast.types import ClassBounds, Counts


@dataclass(frozen=True)
class Exact(Estimator):
    """Each of the n equally likely realizations of the noise, once: class probabilities are known, and alpha is 0.

    The smoothed classifier answers the class with the most votes, the lowest index in a tie. There are no selection
    samples, and it never abstains.

    Args:
        n: number of realizations of the noise for the inputs of the run (`Noise.realizations`).

    Raises:
        UsageError: `n` is not a positive whole number.
    """

    name: ClassVar[str] = "exact"
    exhaustive: ClassVar[bool] = True
    alpha: ClassVar[float] = 0.0  # type: ignore[misc]
    method: ClassVar[str] = "exact"  # type: ignore[misc]
    n: int

    def __post_init__(self) -> None:
        check_samples("n", self.n)

    def draws_wanted(self, top: int, counts: Counts) -> int:
        """The remaining realizations."""
        return self.n - counts.total

    def chosen(self, selection: Counts, estimation: Counts) -> int:
        """The class with the most votes: nothing is estimated, so no selection beforehand is needed."""
        return estimation.top

    def bounds(self, top: int, counts: Counts) -> ClassBounds:
        """The shares of the votes; classes that win ties against `top` get one more vote."""
        if counts.total != self.n:
            raise UsageError(f"the shares are known from all n = {self.n} realizations, got {counts.total} votes")
        rivals = (votes + (label < top) for label, votes in enumerate(counts.votes) if label != top)
        return ClassBounds(
            top,
            float_below(Fraction(counts.votes[top], self.n)),
            min(1.0, float_above(Fraction(max(rivals), self.n))),
            wins_ties=True,
        )

    def answer(self, top: int, counts: Counts) -> int | None:
        """The class with the most votes."""
        return counts.top

    @property
    def most_draws(self) -> int:
        """All realizations."""
        return self.n
