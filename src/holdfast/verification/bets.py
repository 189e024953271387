"""The capital of a bet against "the radius is not certified", enclosed. Derivation: docs/guarantees.md."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from flint import arb, ctx

from holdfast.verification.bounds import Bounds
from holdfast.verification.intervals import at_most, decided, exact_share, rational

if TYPE_CHECKING:
    from collections.abc import Callable

# Bisections of the hypothesis, which leave it exact to as many bits of 1 - p.
_BISECTIONS = 80
# The hypothesis is looked for down to 1 - p = 2^-63; float64 ends at 2^-53.
_MOST_HALVINGS = 64


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
    half = arb(1) / 2
    rest = rational(1 - p)
    mixture = rest.beta_lower(n - hits + half, hits + half)
    stake = rest.beta_lower(half, half)
    return mixture.log() - stake.log() - hits * rational(p).log() - (n - hits) * rest.log()
