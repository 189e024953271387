"""Bets against a hypothesis whose capital may be watched at any time (Ville's inequality)."""

from __future__ import annotations

import math

from scipy.special import betaincc, betaln


def truncated_capital(hits: int, n: int, p0: float) -> float:
    """Log capital of the one-sided truncated beta-binomial bet against "the probability is at most p0".

    The bet spreads its stake over the alternatives p > p0 as Beta(1/2, 1/2) restricted to them. Its capital is the
    likelihood ratio of that mixture to p0, which is a supermartingale for every p <= p0 (docs/guarantees.md,
    "Watching while sampling").

    Args:
        hits: successes so far.
        n: trials so far, at least 1.
        p0: in (0, 1).

    Returns:
        The natural logarithm; -inf if float64 cannot tell the mixture's mass above p0 from zero.
    """
    above = float(betaincc(hits + 0.5, n - hits + 0.5, p0))
    if above <= 0.0:
        return -math.inf
    mixture = float(betaln(hits + 0.5, n - hits + 0.5)) + math.log(above)
    stake = float(betaln(0.5, 0.5)) + math.log(float(betaincc(0.5, 0.5, p0)))
    return mixture - stake - hits * math.log(p0) - (n - hits) * math.log1p(-p0)
