"""Radii within which an adversary cannot even force abstentions: Cohen et al. 2019, Section 3.2.1.

Theorem 1 says which class is the most probable, not by how much: just inside its radius the lead may be next to
nothing, and Predict abstains. Derivation: docs/guarantees.md, "A margin against forced abstentions".
"""

from __future__ import annotations

from scipy.special import betaincinv, ndtr

from holdfast.errors import UsageError
from holdfast.noises.gaussian import Gaussian
from holdfast.plain import is_real
from holdfast.stats.binomial import check_alpha, top_two_p_value
from holdfast.stats.rounding import down, normal_quantile_lower, normal_quantile_upper
from holdfast.types import ClassBounds

# More than the error of a few values of the normal distribution function.
_SLACK = 1e-13
# More than the relative error of a quantile of the beta distribution.
_QUANTILE_SLACK = 1e-9
_STEPS = 200


def votes_needed(n: int, alpha: float) -> int | None:
    """The fewest of n votes with which a class is answered, however the others fall; None if even n are too few.

    Predict tests the top two classes at `alpha`; with the same votes for the first, fewer for the second make its
    p-value smaller. So the hardest case is that all other votes are for one class.
    """
    alpha = check_alpha(alpha)
    if type(n) is not int or n < 1:
        raise UsageError(f"n is a whole number of samples, at least 1; got {n!r}")
    low, high = n // 2, n
    if top_two_p_value(n, 0) > alpha:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if top_two_p_value(middle, n - middle) <= alpha else (middle, high)
    return high


def probability_needed(n: int, alpha: float, beta: float) -> float | None:
    """The least probability of a class with which Predict answers it with probability 1 - beta or more.

    Args:
        n: samples of Predict.
        alpha: failure probability of Predict.
        beta: the most often that it may abstain or answer otherwise, between 0 and 1.

    Returns:
        A probability above 1/2, rounded up; None if n samples never answer at `alpha`.
    """
    if not (is_real(beta) and 0.0 < beta < 1.0):
        raise UsageError(f"beta is a probability between 0 and 1, got {beta!r}")
    needed = votes_needed(n, alpha)
    if needed is None:
        return None
    # P(Binomial(n, p) >= needed) is the regularized incomplete beta function, which grows with p.
    p = float(betaincinv(needed, n - needed + 1, 1.0 - beta))
    return min(1.0, p * (1.0 + _QUANTILE_SLACK))


def radius_with_margin(noise: Gaussian, bounds: ClassBounds, margin: float) -> float | None:
    """The L2 radius within which the top class is more probable than every other one by at least `margin`.

    The largest r with Phi(Q(p_lower) - r/sigma) - Phi(Q(p_upper) + r/sigma) >= margin, in input units. With margin 0 it
    is that of Theorem 1, but for the strict inequality.

    Args:
        noise: Gaussian.
        bounds: on the class probabilities at the unchanged input.
        margin: from 0 to 1.

    Returns:
        The radius, rounded down; None if there is no such margin at the unchanged input.

    Raises:
        UsageError: `margin` is not between 0 and 1.
    """
    if not (is_real(margin) and 0.0 <= margin < 1.0):
        raise UsageError(f"the margin is a difference of probabilities from 0 to 1, got {margin!r}")
    first, second = normal_quantile_lower(bounds.p_lower), normal_quantile_upper(bounds.p_upper)

    def lead(z: float) -> float:
        return float(ndtr(first - z) - ndtr(second + z)) - _SLACK

    if not (bounds.p_lower > bounds.p_upper and lead(0.0) >= margin):
        return None
    # Beyond the mean of the two quantiles the lead is negative; it falls with z.
    low, high = 0.0, max(0.0, (min(first, 40.0) - max(second, -40.0)) / 2.0)
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if lead(middle) >= margin else (low, middle)
    return max(0.0, down(noise.sigma * low))
