"""Bets that start from what the selection votes say, for any radii and for a precision."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from holdfast.estimators.base import Estimator, Scale, check_samples
from holdfast.estimators.question import check_question, settled
from holdfast.estimators.schedule import FIRST_LOOK, outlook
from holdfast.stats.betting import Stakes, check_share
from holdfast.stats.binomial import check_alpha
from holdfast.stats.class_bounds import METHODS, TOP_SHARE, check_method
from holdfast.stats.rounding import complement_upper, down
from holdfast.types import ClassBounds, Counts

if TYPE_CHECKING:
    from typing_extensions import Self

# Of alpha: what the bets have, which may be watched at any time, and the bound at n.
_BETS_SHARE, _LAST_SHARE = 0.8, 0.2
# One-sided level at which to give up an input.
_GIVE_UP = 0.02


@dataclass(frozen=True)
class Bets(Estimator):
    """Bets against every probability of the top class, and on every rival's; stops once everything is decided.

    The lower bound for the top class is the largest hypothesis against which a truncated beta-binomial bet is won, the
    upper bound for a rival its mirror image. A bet may be watched at any time, and one bet decides every radius. Most
    of its stake is spread as the selection votes suggest: they are independent of the estimation votes, so this costs
    no validity; the rest is spread regardless, so that unlucky selection votes cost a constant factor of capital at
    most. At n the bound for a fixed number of votes, at a share of alpha of its own, is there too.

    Derivation: docs/guarantees.md, "One bet for every radius".

    Args:
        n: largest number of estimation samples of each input.
        alpha: failure probability of each certificate, in (0, 1).
        radii: as for `Looks`.
        precision: as for `Looks`.
        method: as for `FixedSize`.
        selection_share: share of each stake that follows the selection votes, in [0, 1).
        scale: from class bounds to a radius.
        selection: votes that select the top class; None while they are not known. See `informed`.

    Raises:
        UsageError: an argument is out of range, or nothing is in question.
    """

    name: ClassVar[str] = "bets"
    n: int
    alpha: float
    radii: tuple[float, ...] = ()
    precision: float | None = None
    method: str = "split"
    selection_share: float = 0.8
    scale: Scale = field(compare=False, repr=False, kw_only=True)
    selection: Counts | None = field(default=None, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        check_samples("n", self.n)
        check_alpha(self.alpha)
        check_method(self.method)
        check_share(self.selection_share)
        check_question(self.radii, self.precision)

    def informed(self, selection: Counts) -> Self:
        """The same with stakes that follow these selection votes."""
        return replace(self, selection=selection)

    def draws_wanted(self, top: int, counts: Counts) -> int:
        """A twentieth more, until everything is decided, or n is reached."""
        if counts.total == self.n or (counts.total in _totals(self.n) and self._decided(top, counts)):
            return 0
        return next_total(counts.total, self.n) - counts.total

    def passes(self, total: int) -> bool:
        """Whether `total` is one of the totals at which it looks."""
        return total == 0 or total in _totals(self.n)

    def bounds(self, top: int, counts: Counts) -> ClassBounds:
        """Bounds by the bets; at n, by the better of the bets and of n votes."""
        if counts.total == 0:
            return ClassBounds(top, 0.0, 1.0)
        lower, upper = self._by_bets(top, counts.votes, down(_BETS_SHARE * self.alpha))
        if counts.total == self.n:
            last = METHODS[self.method](top, counts.votes, down(_LAST_SHARE * self.alpha))
            lower, upper = max(lower, last[0]), min(upper, last[1])
        return ClassBounds(top, lower, upper)

    def answer(self, top: int, counts: Counts) -> int | None:
        """The class in question if the bounds say that it is the most probable one."""
        bounds = self.bounds(top, counts)
        return top if bounds.p_lower > bounds.p_upper else None

    @property
    def most_draws(self) -> int:
        """n, where nothing is decided earlier."""
        return self.n

    def _by_bets(self, top: int, votes: tuple[int, ...], alpha: float) -> tuple[float, float]:
        """(p_lower, p_upper) by the bets alone, at `alpha` together."""
        rivals, n = [count for label, count in enumerate(votes) if label != top], sum(votes)
        alone = self.method == "cohen" or len(rivals) < 2
        lower = self._stakes(top).lower_bound(votes[top], n, alpha if alone else down(TOP_SHARE * alpha))
        if alone:
            return lower, complement_upper(lower)
        each = down((1.0 - TOP_SHARE) * alpha / len(rivals))
        # The bound grows with the votes, and all rivals have the same stakes: the one with the most votes has it.
        rest = self._stakes(top, of_rivals=True).lower_bound(n - max(rivals), n, each)
        return lower, min(complement_upper(lower), complement_upper(rest))

    def _stakes(self, top: int, *, of_rivals: bool = False) -> Stakes:
        """On the top class, or on what is not the strongest rival, by the selection votes."""
        if self.selection is None:
            return Stakes(0, 0, self.selection_share)
        votes, total = self.selection.votes, self.selection.total
        strongest = max((count for label, count in enumerate(votes) if label != top), default=0)
        return Stakes(total - strongest if of_rivals else votes[top], total, self.selection_share)

    def _decided(self, top: int, counts: Counts) -> bool:
        def forecast() -> float | None:
            end = outlook(top, counts, self.n, _GIVE_UP, self.selection)
            return self.scale(self.bounds(top, end))

        return settled(self.radii, self.precision, self.scale(self.bounds(top, counts)), forecast)


def next_total(total: int, n: int) -> int:
    """The number of votes at which to look next: a twentieth more, 30 more at least, n at most."""
    return min(n, total + max(FIRST_LOOK, total // 20))


@lru_cache(maxsize=64)
def _totals(n: int) -> frozenset[int]:
    totals = [next_total(0, n)]
    while totals[-1] < n:
        totals.append(next_total(totals[-1], n))
    return frozenset(totals)
