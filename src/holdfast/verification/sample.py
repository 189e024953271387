"""How many records are computed again, and what their agreement proves about the others."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

# Of what is said of records that were not computed again.
CONFIDENCE = Fraction(99, 100)
_SPELLED = re.compile(r"(?P<all>all)|(?P<percent>[0-9]{1,3}(\.[0-9]{1,6})?)%|(?P<count>[0-9]{1,12})")


@dataclass(frozen=True)
class Sample:
    """How many of a run's records are drawn at random, without replacement.

    Attributes:
        count: so many, or all where there are fewer.
        share: share of all, rounded up; used where there is no count.
    """

    count: int | None = None
    share: Fraction = Fraction(1)

    def of(self, total: int) -> int:
        """How many of `total` records."""
        return min(total, math.ceil(self.share * total) if self.count is None else self.count)


def parse_sample(text: str) -> Sample:
    """`all`, `10%` or `20`.

    Raises:
        ValueError: something else, none, or more than all.
    """
    found = _SPELLED.fullmatch(text)
    if found is None:
        raise ValueError(f"expected all, a share as in 10%, or a number as in 20; got {text!r}")
    if found["all"]:
        return Sample()
    if found["count"]:
        if int(text) < 1:
            raise ValueError("expected at least one record; got 0")
        return Sample(count=int(text))
    share = Fraction(found["percent"]) / 100
    if not 0 < share <= 1:
        raise ValueError(f"expected a share above 0% and up to 100%; got {text!r}")
    return Sample(share=share)


def most_false(total: int, drawn: int, confidence: Fraction = CONFIDENCE) -> int:
    """How many of `total` records may be false at most, if `drawn` of them, chosen at random, are all right.

    With f false records, no false one is drawn with probability C(total - f, drawn) / C(total, drawn), which is at most
    (1 - f/total)^drawn. The largest f for which that is above 1 - confidence is returned: more are false with
    probability 1 - confidence at most (docs/guarantees.md, "Records drawn again").

    Args:
        total: how many there are.
        drawn: without replacement, by chance that nobody could foresee.
        confidence: probability that the statement holds.
    """
    every = math.comb(total, drawn)
    low, high = 0, total - drawn
    while low < high:
        middle = (low + high + 1) // 2
        if math.comb(total - middle, drawn) > (1 - confidence) * every:
            low = middle
        else:
            high = middle - 1
    return low
