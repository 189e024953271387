"""Bets against a hypothesis whose capital may be watched at any time (Ville's inequality)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from scipy.optimize import brentq
from scipy.special import betaincc, betaln

from holdfast.errors import UsageError
from holdfast.plain import Plain, is_real
from holdfast.stats.rounding import down

# Margin for rounding in the logarithm of a bet's capital, a sum of terms as large as n: a constant, and a part of n.
_LOG_SLACK, _LOG_SLACK_OF_N = 1e-9, 2.0**-48
# The votes that an informed prior weighs, at most: enough to say about where the probability lies, and so few that its
# mass above any hypothesis in question stays within the range of float64.
_MOST_KNOWN = 30


def truncated_capital(hits: int, n: int, p0: float, a: float = 0.5, b: float = 0.5) -> float:
    """Log capital of the one-sided truncated beta-binomial bet against "the probability is at most p0".

    The bet spreads its stake over the alternatives p > p0 as Beta(a, b) restricted to them. Its capital is the
    likelihood ratio of that mixture to p0, which is a supermartingale for every p <= p0 (docs/guarantees.md,
    "Watching while sampling").

    Args:
        hits: successes so far.
        n: trials so far, at least 1.
        p0: in (0, 1).
        a: first parameter of the prior, above 0.
        b: second parameter of the prior, above 0.

    Returns:
        The natural logarithm; -inf if float64 cannot tell the mixture's mass above p0, or the prior's, from zero.
    """
    above, staked = float(betaincc(hits + a, n - hits + b, p0)), float(betaincc(a, b, p0))
    if above <= 0.0 or staked <= 0.0:
        return -math.inf
    mixture = float(betaln(hits + a, n - hits + b)) + math.log(above)
    stake = float(betaln(a, b)) + math.log(staked)
    return mixture - stake - hits * math.log(p0) - (n - hits) * math.log1p(-p0)


def capital_needed(n: int, alpha: float) -> float:
    """The logarithm of a capital that float64 arithmetic must find after n trials to be sure of 1/alpha."""
    return -math.log(alpha) + _LOG_SLACK + _LOG_SLACK_OF_N * n


@dataclass(frozen=True)
class Stakes(Plain):
    """How a bet spreads its stake: a share as earlier votes suggest, the rest whatever they say.

    The first share is a bet with the prior Beta(1 + m q, 1 + m (1 - q)), q the share of hits among the `trials` known
    beforehand and m their number, 30 at most; the rest is a bet with Beta(1, 1/2). Both are truncated. The earlier
    trials must be independent of those that the bet is on, and are never counted as part of them.

    Args:
        hits: successes among the trials known beforehand.
        trials: their number, from 0 on.
        share: of the stake that follows them, in [0, 1).

    Raises:
        UsageError: `share` is out of range, or there are more hits than trials.
    """

    hits: int
    trials: int
    share: float

    def __post_init__(self) -> None:
        check_share(self.share)
        if not 0 <= self.hits <= self.trials:
            raise UsageError(f"hits lie in 0..trials, got {self.hits} hits among {self.trials} trials")

    def capital(self, hits: int, n: int, p0: float) -> float:
        """The logarithm of the capital against "at most p0" after n further trials with so many hits."""
        known = min(self.trials, _MOST_KNOWN) / max(self.trials, 1)
        told = truncated_capital(hits, n, p0, 1.0 + known * self.hits, 1.0 + known * (self.trials - self.hits))
        plain = truncated_capital(hits, n, p0, 1.0, 0.5)
        parts = [math.log(part) + log for part, log in ((self.share, told), (1.0 - self.share, plain)) if part > 0.0]
        most = max(parts)
        return most + math.log(sum(math.exp(part - most) for part in parts)) if math.isfinite(most) else most

    def lower_bound(self, hits: int, n: int, alpha: float) -> float:
        """A lower bound for the probability that holds at all numbers of trials together with probability 1 - alpha.

        The largest hypothesis below hits/n against which the capital is 1/alpha, approached from below: the capital
        falls as the hypothesis grows (docs/guarantees.md, "One bet for every radius").

        Args:
            hits: 0..n.
            n: at least 1.
            alpha: failure probability, in (0, 1).

        Returns:
            A probability in [0, 1); 0.0 where no bet is won.
        """
        return _lower_bound(self, hits, n, alpha)


# The loop, the store and the analysis ask for the same bounds.
@lru_cache(maxsize=1 << 14)
def _lower_bound(stakes: Stakes, hits: int, n: int, alpha: float) -> float:
    needed = capital_needed(n, alpha)

    def missing(p: float) -> float:
        return max(stakes.capital(hits, n, p), -1e300) - needed

    # At hits/n the capital is 1 at most: alternatives above it explain the votes less well.
    low, high = hits / n * 2.0**-60, min(hits / n, 1.0 - 2.0**-53)
    if hits == 0 or missing(low) < 0.0:
        return 0.0
    p = float(brentq(missing, low, high, xtol=2.0**-60, rtol=2.0**-50))
    step = (1.0 - p) * 2.0**-44
    while missing(p) < 0.0:
        p = max(low, down(p - step))
        step *= 2.0
    return p


def check_share(share: float) -> None:
    """Raise UsageError unless `share` is a share of a stake that leaves something, in [0, 1)."""
    if not (is_real(share) and 0.0 <= share < 1.0):
        raise UsageError(f"the share of the stake that follows the selection votes is from 0 to below 1, got {share!r}")
