"""Looks at the votes during sampling: stops as soon as the question is decided, and keeps exact radii valid."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from holdfast.estimators.answers import prediction
from holdfast.estimators.base import Estimator, Scale
from holdfast.estimators.question import check_question, settled
from holdfast.estimators.schedule import Schedule, outlook
from holdfast.stats.binomial import check_alpha
from holdfast.stats.class_bounds import METHODS, check_method
from holdfast.types import ClassBounds, Counts


@dataclass(frozen=True)
class Looks(Estimator):
    """Looks at n_1 < ... < n_K = n in geometric steps, each with its share of alpha; stops once everything is decided.

    A radius is decided once it is certified, or once it is hopeless: when even the votes that an optimist expects at n
    (`outlook`) would not certify it. A precision is reached once the certified radius is that close to the optimist's.
    Giving up costs power, never validity: the bounds of all looks hold together (`Schedule`).

    Args:
        n: largest number of estimation samples of each input.
        alpha: failure probability of each certificate, in (0, 1).
        radii: the radii in question, each at least 0, in the unit of the theorem's norm; 0 asks whether anything is
            certified at all: without it, an input that is hopeless at the other radii often ends as an abstention.
        precision: relative distance, in (0, 1), at which the certified radius is close enough to the one that n samples
            would certify; None if only the radii are in question.
        ratio: between the sample sizes of successive looks, above 1.
        method: as for `FixedSize`.
        scale: from class bounds to a radius.

    Raises:
        UsageError: an argument is out of range, or nothing is in question.
    """

    name: ClassVar[str] = "looks"
    n: int
    alpha: float
    radii: tuple[float, ...] = ()
    precision: float | None = None
    ratio: float = 1.5
    method: str = "split"
    scale: Scale = field(compare=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        check_method(self.method)
        check_question(self.radii, self.precision)
        # Validates n and the ratio.
        _ = self.schedule

    @cached_property
    def schedule(self) -> Schedule:
        """The looks."""
        return Schedule(self.n, self.ratio)

    def draws_wanted(self, top: int, counts: Counts) -> int:
        """The samples up to the next look; 0 once everything is decided, or n is reached."""
        if counts.total in self.schedule.looks and self._decided(top, counts):
            return 0
        return self.schedule.missing(counts.total)

    def bounds(self, top: int, counts: Counts) -> ClassBounds:
        """Bounds of the look at which sampling stopped, at that look's share of alpha."""
        share = self.schedule.share(counts.total, self.alpha)
        return ClassBounds(top, *METHODS[self.method](top, counts.votes, share))

    def answer(self, top: int, counts: Counts) -> int | None:
        """Predict at the look at which sampling stopped, at its share of alpha."""
        return prediction(counts, self.schedule.share(counts.total, self.alpha)).label

    @property
    def most_draws(self) -> int:
        """The samples at the last look."""
        return self.n

    def _decided(self, top: int, counts: Counts) -> bool:
        reached = self.scale(self.bounds(top, counts))
        return settled(
            self.radii, self.precision, reached, lambda: self.scale(self.bounds(top, outlook(top, counts, self.n)))
        )
