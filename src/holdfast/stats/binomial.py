"""Exact binomial bounds and tests (Clopper & Pearson 1934), each rounded toward safety."""

from __future__ import annotations

import math

from scipy.special import betainc, betaincc, betainccinv, betaincinv

from holdfast.errors import UsageError
from holdfast.limits import LEAST_ALPHA
from holdfast.plain import is_real, plain
from holdfast.stats.rounding import down

# Relative margin for the error of the incomplete beta function: 1e-12 up to n = 1e7 at alpha below 1/2, 5e-11 at
# 0.9 (measured against 40 digits); scipy's own binomial tails, bdtr and bdtrc, are off by 4e-8 there.
_TAIL_SLACK = 2e-10


def check_alpha(alpha: float) -> float:
    """`alpha` if it is a failure probability from 1e-100 on and below 1; UsageError otherwise (also for NaN)."""
    alpha = _check_share(alpha)
    if alpha < LEAST_ALPHA:
        raise UsageError(
            f"alpha is {LEAST_ALPHA:g} at least, below which no random numbers mean anything; got {alpha!r}"
        )
    return alpha


def _check_share(alpha: float) -> float:
    """`alpha` if it lies strictly between 0 and 1: the share of one bound may be smaller than `LEAST_ALPHA`."""
    alpha = plain(alpha)
    if not (is_real(alpha) and 0.0 < alpha < 1.0):
        raise UsageError(f"alpha is a failure probability between 0 and 1 (0.001, say), got {alpha!r}")
    return alpha


def _check_hits(hits: int, n: int) -> tuple[int, int]:
    hits, n = plain(hits), plain(n)
    if type(hits) is not int or type(n) is not int:
        raise UsageError(f"hits and n are integers, got {hits!r} and {n!r}")
    if n < 1 or not 0 <= hits <= n:
        raise UsageError(f"hits lie in 0..n with n at least 1, got {hits} hits among n = {n}")
    return hits, n


def lower_bound(hits: int, n: int, alpha: float) -> float:
    """One-sided lower confidence bound for a binomial probability, valid with probability >= 1 - alpha.

    The largest p with P(Binomial(n, p) >= hits) <= alpha, approached from below: the returned float64 satisfies the
    inequality with a margin for the error of the tail function itself.

    Args:
        hits: number of successes, 0..n.
        n: number of trials, at least 1.
        alpha: failure probability, in (0, 1).

    Returns:
        A probability in [0, 1); 0.0 at no hits.

    Raises:
        UsageError: an argument is out of range.

    Source: Clopper & Pearson 1934; the one-sided form of Cohen et al. 2019, Appendix C.
    """
    hits, n = _check_hits(hits, n)
    alpha = _check_share(alpha)
    if hits == 0:
        return 0.0
    p = float(betaincinv(hits, n - hits + 1, alpha))
    if not 0.0 <= p <= 1.0:
        raise ArithmeticError(f"no quantile of Beta({hits}, {n - hits + 1}) at {alpha}: got {p}")
    step = max(p * 2.0**-50, 2.0**-1070)
    while not at_least(hits, n, p) * (1.0 + _TAIL_SLACK) <= alpha:
        p = max(0.0, down(p - step))
        step *= 2.0
    return p


def upper_bound(hits: int, n: int, alpha: float) -> float:
    """One-sided upper confidence bound for a binomial probability, valid with probability >= 1 - alpha.

    The mirror image of `lower_bound`, with its arguments and errors; 1.0 when every trial was a success.
    """
    hits, n = _check_hits(hits, n)
    alpha = _check_share(alpha)
    if hits == n:
        return 1.0
    p = float(betainccinv(hits + 1, n - hits, alpha))
    if not 0.0 <= p <= 1.0:
        raise ArithmeticError(f"no upper quantile of Beta({hits + 1}, {n - hits}) at {alpha}: got {p}")
    step = max(p * 2.0**-50, 2.0**-1070)
    while not _lower_tail(hits, n, p) * (1.0 + _TAIL_SLACK) <= alpha:
        p = min(1.0, math.nextafter(p + step, math.inf))
        step *= 2.0
    return p


def top_two_p_value(first: int, second: int) -> float:
    """Two-sided exact p-value of the hypothesis that two classes are equally likely, from their votes.

    Args:
        first: votes of the class with the most votes.
        second: votes of the runner-up.

    Returns:
        A probability in (0, 1]; 1.0 when there are no votes.

    Source: Hung & Fithian 2019; Cohen et al. 2019, Predict and Proposition 1.
    """
    if second > first:
        raise UsageError(f"the first class has the most votes, got {first} and {second}")
    if first + second == 0:
        return 1.0
    # At 1/2 both tails are equal.
    return min(1.0, 2.0 * at_least(first, first + second, 0.5) * (1.0 + _TAIL_SLACK))


def at_least(hits: int, n: int, p: float) -> float:
    """P(Binomial(n, p) >= hits), with a relative error of about 1e-10 at most."""
    if hits <= 0:
        return 1.0
    return float(betainc(hits, n - hits + 1, p))


def _lower_tail(hits: int, n: int, p: float) -> float:
    """P(Binomial(n, p) <= hits)."""
    return float(betaincc(hits + 1, n - hits, p))
