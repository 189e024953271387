"""The capital of bets on probabilities, enclosed. Derivation: docs/guarantees.md."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from flint import arb, ctx

from holdfast.errors import RunError
from holdfast.verification.bounds import Bounds
from holdfast.verification.intervals import Share, at_most, decided, end, exact_share, rational

if TYPE_CHECKING:
    from collections.abc import Callable

# Bisections of the hypothesis, which leave it exact to as many bits of 1 - p.
_BISECTIONS = 80
# The hypothesis is looked for down to 1 - p = 2^-63; float64 ends at 2^-53.
_MOST_HALVINGS = 64
# The trials known beforehand that a prior weighs, at most.
_MOST_KNOWN = 30
# Newton steps, or halvings, to where a bet is just won.
_MOST_STEPS = 400


def hypothesis(certifies: Callable[[Bounds], bool]) -> Fraction:
    """A probability p that surely certifies, with p_lower = p and p_upper = 1 - p, and is the smallest to 80 bits.

    A bet against "at most p" is a bet against every probability that does not certify.

    Args:
        certifies: whether exact bounds certify the radius; monotone in p.

    Returns:
        1 where no probability that float64 can tell from 1 certifies.
    """

    def sure(q: Fraction) -> bool:
        def enough(bits: int) -> bool:
            share = exact_share(1 - q)
            return certifies(Bounds(share, share.complement))

        return decided(enough, otherwise=False)

    halvings = next((power for power in range(2, _MOST_HALVINGS) if sure(Fraction(1, 1 << power))), None)
    if halvings is None:
        return Fraction(1)
    low, high = Fraction(1, 1 << halvings), Fraction(1, 1 << (halvings - 1))
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if sure(middle) else (low, middle)
    return 1 - low


def is_won(hits: int, n: int, p: Fraction, alpha: Fraction, bits: int, margin: Fraction = Fraction(0)) -> bool:
    """Whether the capital of the bet against "at most p" is at least e^margin / alpha.

    Raises:
        Undecided: more precision is needed.
    """
    # Large exponents and incomplete beta functions lose digits.
    with ctx.workprec(bits + 64 + 2 * n.bit_length()):
        return at_most(rational(margin) - rational(alpha).log(), _log_capital(hits, n, p, bits))


@lru_cache(maxsize=1 << 16)
def _log_capital(hits: int, n: int, p: Fraction, bits: int) -> arb:
    """The logarithm of the likelihood ratio of Beta(1/2, 1/2), restricted to what lies above p, to p itself."""
    half = Fraction(1, 2)
    return _capital(hits, n, 1 - p, half, half).capital.log()


class _Watched(NamedTuple):
    """The capital of one bet, and its derivative by the hypothesis."""

    capital: arb
    slope: arb


def _capital(hits: int, n: int, q: Fraction, a: Fraction, b: Fraction) -> _Watched:
    """The likelihood ratio of Beta(a, b), restricted to what lies above 1 - q, to the probability 1 - q itself."""
    p, rest, first, second = rational(1 - q), rational(q), rational(a), rational(b)
    stake = _above(rest, first, second)
    capital = _above(rest, first + hits, second + (n - hits)) / stake / p**hits / rest ** (n - hits)
    hazard = p ** (first - 1) * rest ** (second - 1) / stake
    return _Watched(capital, hazard * (capital - 1) - capital * (hits / p - (n - hits) / rest))


def _above(rest: arb, a: arb, b: arb) -> arb:
    """The integral of p^(a-1) (1-p)^(b-1) over 1 - `rest` to 1."""
    found = rest.beta_lower(b, a)
    if found.is_finite():
        return found
    # Where nearly all of the mass is there, `arb` finds none of the integral, and all of what is missing to the whole.
    return (a.lgamma() + b.lgamma() - (a + b).lgamma()).exp() - (1 - rest).beta_lower(a, b)


@dataclass(frozen=True)
class Stakes:
    """A bet of two: one as trials known beforehand suggest, with `share` of the stake, one whatever they say.

    Attributes:
        hits: successes among the trials known beforehand.
        trials: their number.
        share: in [0, 1).
    """

    hits: int
    trials: int
    share: Fraction

    def lower_bound(self, hits: int, n: int, alpha: Fraction, bits: int) -> Share:
        """The largest hypothesis against which the capital is at least 1/alpha, enclosed to about `bits` bits.

        The capital falls as the hypothesis grows, so two hypotheses on both sides of 1/alpha enclose it.

        Raises:
            RunError: it could not be enclosed.
        """
        return _enclosed(self, hits, n, alpha, bits)

    def watched(self, hits: int, n: int, q: Fraction) -> _Watched:
        """The capital of both bets together."""
        known = Fraction(min(self.trials, _MOST_KNOWN), max(self.trials, 1))
        told = _capital(hits, n, q, 1 + known * self.hits, 1 + known * (self.trials - self.hits))
        plain = _capital(hits, n, q, Fraction(1), Fraction(1, 2))
        first, second = rational(self.share), rational(1 - self.share)
        return _Watched(first * told.capital + second * plain.capital, first * told.slope + second * plain.slope)


@lru_cache(maxsize=1 << 16)
def _enclosed(stakes: Stakes, hits: int, n: int, alpha: Fraction, bits: int) -> Share:
    if hits == 0:
        return Share(arb(0), arb(1))
    with ctx.workprec(bits + 96 + 3 * n.bit_length()):
        enough = -rational(alpha).log()
        # The capital is 1 at most at hits/n, and without bound near 0.
        low, high = Fraction(n - hits, n), Fraction(1)
        q = _start(hits, n, alpha)
        for _ in range(_MOST_STEPS):
            now = stakes.watched(hits, n, q)
            gap = now.capital.log() - enough
            reach = min(q, 1 - q) / 2 ** (bits - 8)
            step = gap * now.capital / now.slope
            if not step.is_finite():
                # Far from hits/n, most probably; that the end of the search is right is checked.
                q = _cut((low + q) / 2, bits)
                continue
            move = end(step.mid(), upper=False)
            if abs(move) < reach / 4:
                near, far = stakes.watched(hits, n, q - reach), stakes.watched(hits, n, q + reach)
                if near.capital.log() <= enough and far.capital.log() >= enough:
                    between = arb(0, rational(reach).upper())
                    return Share(rational(1 - q) + between, rational(q) + between)
            low, high = (q, high) if gap < 0 else (low, q)
            moved = q + move
            q = _cut(moved if low < moved < high else (low + high) / 2, bits)
    raise RunError(f"no bet on {hits} of {n} votes at {float(alpha)} could be enclosed; please report this")


def _start(hits: int, n: int, alpha: Fraction) -> Fraction:
    """A probability of failure that the bet most probably finds too high: by Hoeffding's, or for few by Chernoff's."""
    nats = math.log(n + 1) - math.log(alpha.numerator) + math.log(alpha.denominator)
    rest, failures = Fraction(n - hits, n), n - hits
    some = Fraction(math.sqrt(nats / (2 * n)))
    few = Fraction(2 * nats + math.sqrt(2 * failures * nats)) / n
    return _cut(min(rest + some, rest + few, (1 + rest) / 2), 53)


def _cut(q: Fraction, bits: int) -> Fraction:
    """`q` with about `bits` bits of itself and of 1 - q."""
    side = min(q, 1 - q)
    scale = 1 << (bits + 16 + max(0, side.denominator.bit_length() - side.numerator.bit_length()))
    return Fraction(round(q * scale), scale)
