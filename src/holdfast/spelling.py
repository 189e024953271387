"""Show numbers given by users as exact short decimals or fractions."""

from __future__ import annotations

import re
from fractions import Fraction

# Decimals of at most this many characters are as easy to read as a fraction.
_SHORT = 10
# Largest denominator: it finds 64/255 and 1/3 but no chance matches, with under 2^20 fractions between 0 and 1.
_MOST_PARTS = 1000
_LONG = re.compile(r"(?<![\w.])\d+\.\d{8,}(?![\w.])")


def spelled(value: float) -> str:
    """Spell a real number such that reading it gives the same number: 0.25, or 64/255 if it equals that."""
    text = repr(float(value))
    if len(text) <= _SHORT or value in (float("inf"), float("-inf")) or value != value or value < 0.0:
        return text
    near = Fraction(value).limit_denominator(_MOST_PARTS)
    fits = near.denominator > 1 and near.numerator / near.denominator == value
    return f"{near.numerator}/{near.denominator}" if fits else text


def with_fractions(text: str) -> str:
    """A text with long decimals replaced by the fractions that they equal."""
    return _LONG.sub(lambda found: spelled(float(found[0])), text)
