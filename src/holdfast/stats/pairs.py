"""The difference of two shares of the same examples, with an interval that holds for any number of examples.

Derivation: docs/guarantees.md, "Which run certifies more".
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import betainc

from holdfast.errors import UsageError
from holdfast.stats.binomial import lower_bound, upper_bound
from holdfast.stats.datasets import DEFAULT_CONFIDENCE, one_side

# The part of the failure probability that goes to how often the two differ; the rest goes to which of them is ahead.
_DIFFERING = 0.1


@dataclass(frozen=True)
class Difference:
    """The first share minus the second, with a two-sided interval, all from -1 to 1."""

    value: float
    lower: float
    upper: float


def sign_test(first: int, second: int) -> float:
    """One-sided exact sign test of "the first is not ahead more often" (McNemar's test without approximation).

    The probability of at least `first` examples on which the first is ahead, of those on which the two differ, if each
    is ahead with probability 1/2.
    """
    return 1.0 if first == 0 else float(betainc(first, second + 1, 0.5))


def paired_difference(first: int, second: int, examples: int, confidence: float = DEFAULT_CONFIDENCE) -> Difference:
    """The difference of two shares of a population from the same random subset of it.

    Args:
        first: examples that count for the first share only.
        second: examples that count for the second share only.
        examples: size of the subset, at least 1, drawn from the population independently of the outcome.
        confidence: probability with which both ends hold.

    Raises:
        UsageError: the subset is empty, or an argument is out of range.
    """
    if examples < 1 or first < 0 or second < 0 or first + second > examples:
        raise UsageError(
            f"examples that count once are part of at least 1 example, got {first} and {second} of {examples}"
        )
    side = one_side(confidence)
    return Difference(
        value=(first - second) / examples,
        lower=_lower(first, second, examples, side),
        upper=-_lower(second, first, examples, side),
    )


def _lower(first: int, second: int, examples: int, side: float) -> float:
    """A lower bound for the difference that fails with probability `side` at most."""
    differ = first + second
    # Without a difference, the first is ahead in an unknown share of those that differ: perhaps in none.
    ahead = lower_bound(first, differ, (1.0 - _DIFFERING) * side) if differ else 0.0
    lead = 2.0 * ahead - 1.0
    bound = lower_bound if lead > 0.0 else upper_bound
    return bound(differ, examples, _DIFFERING * side) * lead
