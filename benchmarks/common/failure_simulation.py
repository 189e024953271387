"""How often the bounds and radii of an estimator are false, for known true class probabilities.

Bounds depend only on counts, so certificates with equal votes are computed once. If at most two classes have votes, and
for all outcomes of `FixedSize`, the failure probability is also computed without sampling.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import gammaln
from scipy.stats import binom

from holdfast.estimators import FixedSize
from holdfast.stats.datasets import proportion
from holdfast.types import Counts

if TYPE_CHECKING:
    from holdfast.estimators import Scale

# A correct estimator is called wrong with this probability.
_TEST_FAILS = 1e-6
# Outcomes less probable than this are left out of exact sums; together they are below 1e-12.
_NEGLIGIBLE = 1e-18

Votes = tuple[int, ...]
Failed = Callable[[Votes], tuple[bool, bool]]


def failed(rule: Any, shares: tuple[float, ...], scale: Scale, radius: float) -> Failed:
    """From final votes to (are the bounds false, is the radius false), each outcome computed once."""

    @cache
    def judge(votes: Votes) -> tuple[bool, bool]:
        bounds = rule.bounds(0, Counts(votes))
        claimed = scale(bounds)
        false_bounds = bounds.p_lower > shares[0] or bounds.p_upper < max(shares[1:])
        return false_bounds, claimed is not None and claimed >= radius

    return judge


def simulate(rule: Any, shares: tuple[float, ...], certificates: int, rng: np.random.Generator) -> Counter[Votes]:
    """Final votes of many certificates, drawn as the estimator requests; those with equal votes continue together."""
    ended: Counter[Votes] = Counter()
    going: Counter[Votes] = Counter({(0,) * len(shares): certificates})
    while going:
        further: Counter[Votes] = Counter()
        for votes, count in going.items():
            draws = rule.draws_wanted(0, Counts(votes))
            if draws <= 0:
                ended[votes] += count
                continue
            further.update(Counter(map(tuple, (rng.multinomial(draws, shares, size=count) + votes).tolist())))
        going = further
    return ended


def exact(rule: Any, shares: tuple[float, ...]) -> dict[Votes, float]:
    """The probability of each final vote if at most two classes have any: votes for class 0 are the whole state."""
    ended: dict[Votes, float] = {}
    others = (0,) * (len(shares) - 2)
    going, total = np.ones(1), 0
    while going.any():
        stays, draws = np.zeros_like(going), 0
        for hits in np.flatnonzero(going > _NEGLIGIBLE).tolist():
            votes = (hits, total - hits, *others)
            more = rule.draws_wanted(0, Counts(votes))
            if more <= 0:
                ended[votes] = float(going[hits])
                continue
            # All outcomes that continue do so together: every estimator here decides by the number of votes alone.
            assert draws in (0, more)
            stays[hits], draws = going[hits], more
        going = np.convolve(stays, binom.pmf(np.arange(draws + 1), draws, shares[0]))
        total += draws
    return ended


def outcomes(n: int, shares: tuple[float, ...]) -> dict[Votes, float]:
    """The probability of each outcome of n votes for three classes."""
    first, second = (grid.ravel() for grid in np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij"))
    votes = np.stack([first, second, n - first - second], axis=1)[first + second <= n]
    logarithm = gammaln(n + 1) - gammaln(votes + 1).sum(axis=1) + votes @ np.log(shares)
    likely = logarithm > math.log(_NEGLIGIBLE)
    return dict(zip(map(tuple, votes[likely].tolist()), np.exp(logarithm[likely]).tolist(), strict=True))


@dataclass(frozen=True)
class Rate:
    """The result of one case."""

    certificates: int
    false_bounds: int
    false_radii: int
    exact: float | None

    def at_most(self, alpha: float) -> bool:
        """Whether a correct estimator fails as often with probability 1e-6 or more, and `exact` is at most alpha."""
        allowed = binom.isf(_TEST_FAILS, self.certificates, alpha)
        within = self.exact is None or self.exact <= alpha * (1 + 1e-9)
        return max(self.false_bounds, self.false_radii) <= allowed and within

    def cells(self, alpha: float) -> str:
        """Certificates, failures, rate, interval, exact probability, false radii, verdict."""
        interval = proportion(self.false_bounds, self.certificates)
        known = "" if self.exact is None else f"{self.exact:.5f}"
        return (
            f"{alpha:g} | {self.certificates:,} | {self.false_bounds:,} | {interval.value:.5f} "
            f"| {interval.lower:.5f} to {interval.upper:.5f} | {known} | {self.false_radii / self.certificates:.5f} "
            f"| {'at most alpha' if self.at_most(alpha) else 'ABOVE ALPHA'}"
        )


def measure(
    rule: Any,
    shares: tuple[float, ...],
    judge: Failed,
    certificates: int,
    rng: np.random.Generator,
    *,
    sums: bool = True,
) -> Rate:
    """Failures among simulated certificates, and the exact probability where it is cheap."""
    ended = simulate(rule, shares, certificates, rng)
    false = np.array([[count * verdict for verdict in judge(votes)] for votes, count in ended.items()]).sum(axis=0)
    spread: dict[Votes, float] = {}
    if sums and sum(share > 0 for share in shares) == 2:
        spread = exact(rule, shares)
    elif sums and isinstance(rule, FixedSize):
        spread = outcomes(rule.n, shares)
    sure = math.fsum(mass for votes, mass in spread.items() if judge(votes)[0])
    return Rate(certificates, int(false[0]), int(false[1]), sure if spread else None)
