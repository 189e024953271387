"""Statements about the classes of a data set: their mean (balanced accuracy) and the worst of them, with intervals.

Derivations: docs/guarantees.md, "Class by class".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from holdfast.errors import UsageError
from holdfast.stats.binomial import lower_bound, upper_bound
from holdfast.stats.datasets import DEFAULT_CONFIDENCE, Proportion, one_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Halvings of an interval, and steps of the search for the best tilt: any number of them gives a valid bound.
_HALVINGS = 45
_SEARCH = 35
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
# The search begins at a tilt that is too small for any number of examples, and ends where exponentials overflow.
_LEAST_TILT = 1e-3
_MOST_STEP = 600.0
_SLACK = 1e-9


def balanced_proportion(
    certified: Sequence[int], examples: Sequence[int], alpha: float, confidence: float = DEFAULT_CONFIDENCE
) -> Proportion:
    """The mean over classes of certified accuracy: every class counts the same, however many examples it has.

    Each end is a Chernoff bound, the worst one over all accuracies of the classes with this mean; the lower end is for
    the mean share on which the smoothed classifier truly is robust, as in `certified_proportion`.

    Args:
        certified: for each class, its examples that were certified and correct.
        examples: for each class, its examples, at least 1; drawn from the class independently of the outcome.
        alpha: failure probability of each certificate; 0 for deterministic ones.
        confidence: probability with which both ends hold.

    Raises:
        UsageError: there are no classes, a class has no examples, or an argument is out of range.
    """
    hits, sizes = _checked(certified, examples, alpha)
    side = one_side(confidence)
    observed = _mean_lower(hits, sizes, side)
    return Proportion(
        value=float(np.mean(hits / sizes)),
        lower=_robust(observed, alpha),
        upper=1.0 - _mean_lower(sizes - hits, sizes, side),
    )


def worst_proportion(
    certified: Sequence[int], examples: Sequence[int], alpha: float, confidence: float = DEFAULT_CONFIDENCE
) -> Proportion:
    """The smallest certified accuracy of a class, with an interval for the smallest one in the population.

    The class that is the worst of the population need not be the worst of the examples: the interval accounts for it.
    The lower end is the smallest of the classes' lower bounds, the upper end the smallest of their upper bounds, each
    of these at its share of the failure probability.

    Arguments and errors as for `balanced_proportion`.
    """
    hits, sizes = _checked(certified, examples, alpha)
    side = one_side(confidence)
    pairs = list(zip(hits.astype(int).tolist(), sizes.astype(int).tolist(), strict=True))
    return Proportion(
        value=min(hit / size for hit, size in pairs),
        lower=_robust(min(lower_bound(hit, size, side) for hit, size in pairs), alpha),
        upper=min(upper_bound(hit, size, side / len(pairs)) for hit, size in pairs),
    )


def _robust(observed: float, alpha: float) -> float:
    """A lower bound for the share that truly is robust from one for the share that is certified."""
    return max(0.0, (observed - alpha) / (1.0 - alpha))


def _checked(
    certified: Sequence[int], examples: Sequence[int], alpha: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if not 0.0 <= alpha < 1.0:
        raise UsageError(f"alpha lies in [0, 1), got {alpha}")
    if not examples or len(certified) != len(examples):
        raise UsageError(f"each class has its examples, at least one class; got {len(certified)} and {len(examples)}")
    for hit, size in zip(certified, examples, strict=True):
        if size < 1 or not 0 <= hit <= size:
            raise UsageError(f"certified examples are part of at least 1 example of a class, got {hit} of {size}")
    return np.array(certified, dtype=np.float64), np.array(examples, dtype=np.float64)


def _mean_lower(hits: NDArray[np.float64], sizes: NDArray[np.float64], side: float) -> float:
    """A lower bound for the mean of the classes' probabilities that fails with probability `side` at most.

    The bound of every tilt is valid; the search for the best one decides only how good it is.
    """
    observed = float(np.sum(hits / sizes))
    if observed == 0.0:
        return 0.0

    def bound(log_tilt: float) -> float:
        return _at_tilt(math.exp(log_tilt), observed, sizes, math.log(side))

    low, high = math.log(_LEAST_TILT), math.log(_MOST_STEP * float(np.min(sizes)))
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = bound(left), bound(right)
    best = max(at_left, at_right)
    for _ in range(_SEARCH):
        if at_left > at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = bound(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = bound(right)
        best = max(best, at_left, at_right)
    # Far more than the error of the sums and logarithms.
    return max(0.0, best - _SLACK)


def _at_tilt(tilt: float, observed: float, sizes: NDArray[np.float64], limit: float) -> float:
    """The largest mean whose Chernoff bound at this tilt is at most exp(limit), whatever the classes' probabilities."""
    # An example of a class weighs one over the examples of its class.
    odds = np.expm1(tilt / sizes)

    def worst(log_price: float) -> NDArray[np.float64]:
        """Of all probabilities with their mean, those for which the bound is largest."""
        worst_p: NDArray[np.float64] = np.clip(sizes * math.exp(-log_price) - 1.0 / odds, 0.0, 1.0)
        return worst_p

    # The cheaper a unit of probability, the larger all of them: from all 1 to all 0.
    low, high = (math.log(float(end)) for end in (np.min(sizes * odds / (1.0 + odds)), np.max(sizes * odds)))
    for _ in range(_HALVINGS):
        price = (low + high) / 2.0
        exponent = float(np.sum(sizes * np.log1p(worst(price) * odds))) - tilt * observed
        low, high = (low, price) if exponent <= limit else (price, high)
    return float(np.mean(worst(high)))
