"""Statements about a data set: intervals that cover both alpha and the sampling of the subset."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy.special import betainc, stdtrit

from holdfast.errors import UsageError
from holdfast.stats.binomial import lower_bound, upper_bound

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    side = one_side(confidence)
    observed = lower_bound(certified, examples, side)
    return Proportion(
        value=certified / examples,
        lower=max(0.0, (observed - alpha) / (1.0 - alpha)),
        upper=upper_bound(certified, examples, side),
    )


def robust_share_exact(certified: int, examples: int, alpha: float, rho: float) -> float:
    """With probability 1 - rho over the noise, at least this share of these very examples is truly robust.

    Each example that is not robust is falsely certified with probability <= alpha, independently. If R are robust, the
    certified ones number at most R + Binomial(examples - R, alpha); the function returns the share of the smallest R
    that the count does not refute at rho. Derivation: docs/guarantees.md, "Data sets".

    Args:
        certified: examples that were certified and correct.
        examples: number of examples, at least 1.
        alpha: failure probability of each certificate, in [0, 1).
        rho: failure probability of this statement, in (0, 1).
    """
    _check_share(certified, examples, alpha, rho)

    def refuted(robust: int) -> bool:
        others, needed = examples - robust, certified - robust
        # P(Binomial(others, alpha) >= needed), for needed >= 1.
        return alpha == 0.0 or float(betainc(needed, others - needed + 1, alpha)) <= rho

    robust = certified
    while robust > 0 and not refuted(robust - 1):
        robust -= 1
    return robust / examples


def robust_share_cohen(certified: int, examples: int, alpha: float, rho: float) -> float:
    """`robust_share_exact` by Bernstein's inequality (Cohen et al. 2019, Appendix D): a formula, and a little smaller.

    (A - alpha - sqrt(2 alpha (1 - alpha) ln(1/rho) / m) - ln(1/rho) / (3 m)) / (1 - alpha), A the certified share of
    the m examples.
    """
    _check_share(certified, examples, alpha, rho)
    room = math.log(1.0 / rho)
    loss = alpha + math.sqrt(2.0 * alpha * (1.0 - alpha) * room / examples) + room / (3.0 * examples)
    return max(0.0, (certified / examples - loss) / (1.0 - alpha))


def _check_share(certified: int, examples: int, alpha: float, rho: float) -> None:
    if examples < 1 or not 0 <= certified <= examples:
        raise UsageError(f"certified examples are part of at least 1 example, got {certified} of {examples}")
    if not 0.0 <= alpha < 1.0:
        raise UsageError(f"alpha lies in [0, 1), got {alpha}")
    if not 0.0 < rho < 1.0:
        raise UsageError(f"rho is a failure probability between 0 and 1, got {rho}")


def proportion(hits: int, examples: int, confidence: float = DEFAULT_CONFIDENCE) -> Proportion:
    """A plain share of a population from a random subset of it, with its exact binomial interval."""
    side = one_side(confidence)
    return Proportion(hits / examples, lower_bound(hits, examples, side), upper_bound(hits, examples, side))


@dataclass(frozen=True)
class Mean:
    """A mean of examples with a two-sided interval for the mean of their population; None without one.

    One value has no interval, since its spread is unknown.
    """

    value: float
    lower: float | None
    upper: float | None


def mean(values: Sequence[float], confidence: float = DEFAULT_CONFIDENCE) -> Mean:
    """The mean of a random subset of a population, with Student's t interval.

    Unlike the intervals of shares, this one is approximate: it is exact for normally distributed values only, and good
    for any others once there are many.

    Args:
        values: finite, at least one.
        confidence: of the interval.

    Raises:
        UsageError: there are no values, one is not finite, or the confidence is out of range.
    """
    side = one_side(confidence)
    if not values or not all(map(math.isfinite, values)):
        raise UsageError(f"a mean is of finite numbers, at least one; got {list(values[:3])!r}, {len(values)} in all")
    count = len(values)
    middle = math.fsum(values) / count
    if count == 1:
        return Mean(middle, None, None)
    variance = math.fsum((value - middle) ** 2 for value in values) / (count - 1)
    half = float(stdtrit(count - 1, 1.0 - side)) * math.sqrt(variance / count)
    return Mean(middle, middle - half, middle + half)


def one_side(confidence: float) -> float:
    """The failure probability of each end of an interval; UsageError unless the confidence lies between 0 and 1."""
    if not 0.0 < confidence < 1.0:
        raise UsageError(f"a confidence lies between 0 and 1 (0.95, say), got {confidence}")
    return (1.0 - confidence) / 2.0
