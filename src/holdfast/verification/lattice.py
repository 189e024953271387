"""How far noise drawn by integers is from the rounded normal noise of the theorem (docs/formats.md)."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

from flint import arb

from holdfast.verification.intervals import at_most, decided, rational

# Bits of the uniform integers that steps are drawn by.
_BITS = 60


@lru_cache(maxsize=64)
def threshold_count(steps: Fraction) -> int:
    """How many thresholds there are: by symmetry, twice those above the middle that do not round to 2^60.

    Args:
        steps: sigma in steps of the grid.
    """

    def counts(i: int) -> bool:
        # 2^60 (1 - Phi((2i + 1)/(2 steps))) rounds to 1 at least.
        def question(bits: int) -> bool:
            z = rational(Fraction(2 * i + 1) / (2 * steps)) / arb(2).sqrt()
            return at_most(arb(1), z.erfc() * 2**_BITS)

        return decided(question, otherwise=True)

    # Phi is within 2^-60 of 1 from 9 standard deviations on.
    low, high = 0, int(10 * steps) + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if counts(middle) else (low, middle)
    return 2 * low


def total_variation(sigma: Fraction, levels: int, values: int) -> Fraction:
    """At most (T + 2) 2^-61 for each of the values of an input, T the number of thresholds."""
    return values * Fraction(threshold_count(sigma * (levels - 1)) + 2, 2 ** (_BITS + 1))
