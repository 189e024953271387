"""A bet on one radius that may be watched after every sample."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from holdfast.errors import UsageError
from holdfast.estimators.base import Estimator, Scale, check_samples
from holdfast.estimators.schedule import FIRST_LOOK, outlook
from holdfast.plain import is_real
from holdfast.stats.betting import capital_needed, truncated_capital
from holdfast.stats.binomial import check_alpha
from holdfast.stats.rounding import complement_upper
from holdfast.types import ClassBounds, Counts


@dataclass(frozen=True)
class EProcess(Estimator):
    """A bet against "the radius is not certifiable", which may be watched after every sample.

    With p0 the largest probability of the top class that does not certify the radius, the bet is the one-sided
    truncated beta-binomial mixture: its capital is a supermartingale for every p <= p0, so it reaches 1/alpha with
    probability at most alpha (Ville), no matter when one looks. It answers one question; for radii use `FixedSize`.

    Args:
        n: largest number of estimation samples of each input.
        alpha: failure probability of each certificate, in (0, 1).
        radius: the radius in question, above 0.
        scale: from class bounds to a radius.

    Raises:
        UsageError: an argument is out of range, or no probability certifies the radius.
    """

    name: ClassVar[str] = "eprocess"
    method: ClassVar[str] = "cohen"  # type: ignore[misc]
    n: int
    alpha: float
    radius: float
    scale: Scale = field(compare=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        check_samples("n", self.n)
        check_alpha(self.alpha)
        if not (is_real(self.radius) and self.radius > 0.0):
            raise UsageError(f"a bet is on one radius, a finite number above 0; got {self.radius!r}")
        if not self.threshold < 1.0:
            raise UsageError(f"no probability below 1 certifies a radius of {self.radius}; ask for a smaller one")

    @cached_property
    def threshold(self) -> float:
        """The smallest float64 p for which p_lower = p, p_upper = 1 - p certify the radius."""
        low, high = 0.5, 1.0
        while math.nextafter(low, high) < high:
            middle = low + (high - low) / 2
            reached = self.scale(ClassBounds(0, middle, complement_upper(middle)))
            low, high = (low, middle) if reached is not None and reached >= self.radius else (middle, high)
        return high

    def draws_wanted(self, top: int, counts: Counts) -> int:
        """A tenth more, until the bet is won or hopeless, or n is reached."""
        if counts.total == self.n or (counts.total and self._stopped(top, counts)):
            return 0
        return self._next(counts.total)

    def passes(self, total: int) -> bool:
        """Whether `total` is one of the totals at which it looks."""
        return total in self._totals

    @cached_property
    def _totals(self) -> frozenset[int]:
        totals = [0]
        while totals[-1] < self.n:
            totals.append(totals[-1] + self._next(totals[-1]))
        return frozenset(totals)

    def _next(self, total: int) -> int:
        return min(self.n - total, max(FIRST_LOOK, total // 10))

    def bounds(self, top: int, counts: Counts) -> ClassBounds:
        """p_lower is the threshold if the bet is won, 0 otherwise."""
        p_lower = self.threshold if self._won(top, counts) else 0.0
        return ClassBounds(top, p_lower, complement_upper(p_lower))

    def answer(self, top: int, counts: Counts) -> int | None:
        """The class in question, if the bet on it is won: then its probability is above 1/2."""
        return top if self._won(top, counts) else None

    @property
    def most_draws(self) -> int:
        """The samples of a bet watched to the end."""
        return self.n

    def _won(self, top: int, counts: Counts) -> bool:
        capital = truncated_capital(counts.votes[top], counts.total, self.threshold)
        return capital >= capital_needed(counts.total, self.alpha)

    def _stopped(self, top: int, counts: Counts) -> bool:
        return self._won(top, counts) or not self._won(top, outlook(top, counts, self.n))
