"""Statements about a data set: intervals that cover both alpha and the sampling of the subset."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.errors import UsageError
from holdfast.stats.binomial import lower_bound, upper_bound

DEFAULT_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Proportion:
    """A share of examples with a two-sided interval, all as fractions of 1."""

    value: float
    lower: float
    upper: float


def certified_proportion(
    certified: int, examples: int, alpha: float, confidence: float = DEFAULT_CONFIDENCE
) -> Proportion:
    """Certified accuracy of a population from a random subset of it, each certificate false with probability <= alpha.

    The lower end bounds the share of the population on which the smoothed classifier truly is correct and robust;
    the upper end bounds the share that this procedure certifies. If T is the true share, an example is certified
    with probability at most T + alpha (1 - T); a binomial lower bound q for that probability gives
    T >= (q - alpha) / (1 - alpha). Derivation: docs/guarantees.md, "Data sets".

    Args:
        certified: examples that were certified and correct.
        examples: size of the subset, at least 1, drawn from the population independently of the outcome.
        alpha: failure probability of each certificate; 0 for deterministic ones.
        confidence: probability with which both ends hold.

    Raises:
        UsageError: the subset is empty, or an argument is out of range.
    """
    if not 0.0 <= alpha < 1.0:
        raise UsageError(f"alpha lies in [0, 1), got {alpha}")
    side = _one_side(confidence)
    observed = lower_bound(certified, examples, side)
    return Proportion(
        value=certified / examples,
        lower=max(0.0, (observed - alpha) / (1.0 - alpha)),
        upper=upper_bound(certified, examples, side),
    )


def proportion(hits: int, examples: int, confidence: float = DEFAULT_CONFIDENCE) -> Proportion:
    """A plain share of a population from a random subset of it, with its exact binomial interval."""
    side = _one_side(confidence)
    return Proportion(hits / examples, lower_bound(hits, examples, side), upper_bound(hits, examples, side))


def _one_side(confidence: float) -> float:
    if not 0.0 < confidence < 1.0:
        raise UsageError(f"a confidence lies between 0 and 1 (0.95, say), got {confidence}")
    return (1.0 - confidence) / 2.0
