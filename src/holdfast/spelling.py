"""How a number that somebody gave is shown to people: as a short decimal or a fraction that is exactly that number."""

from __future__ import annotations

import re
from fractions import Fraction

# Decimals of up to so many characters are read as easily as a fraction.
_SHORT = 10
# Of a fraction, so that 64/255 and 1/3 are found and chance is not: fewer than 2^20 fractions lie between 0 and 1.
_MOST_PARTS = 1000
_LONG = re.compile(r"(?<![\w.])\d+\.\d{8,}(?![\w.])")


def spelled(value: float) -> str:
    """A real number, so that reading it again gives the very same: 0.25, or 64/255 where that is what it is."""
    text = repr(float(value))
    if len(text) <= _SHORT or value in (float("inf"), float("-inf")) or value != value or value < 0.0:
        return text
    near = Fraction(value).limit_denominator(_MOST_PARTS)
    fits = near.denominator > 1 and near.numerator / near.denominator == value
    return f"{near.numerator}/{near.denominator}" if fits else text


def with_fractions(text: str) -> str:
    """A text from a file, with its long decimals as the fractions that they are."""
    return _LONG.sub(lambda found: spelled(float(found[0])), text)
