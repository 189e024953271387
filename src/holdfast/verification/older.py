"""Two older theorems for Gaussian noise of standard deviation 1, each a supremum over a parameter.

Every value of the parameter gives a valid radius. Plain floats look for a good one, which proves nothing; the radius at
that value is then enclosed, which does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flint import arb

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.verification.bounds import Bounds

_COARSE = 96
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


def lecuyer(bounds: Bounds) -> arb:
    """b / sqrt(2 ln(1.25 (1 + e^b) / (p_lower - e^(2b) p_upper))) at a good b in (0, 1].

    Source: Lecuyer et al. 2019, as in Cohen et al. 2019, Appendix I.1.
    """
    first, second = float(bounds.lower.p.mid()), float(bounds.upper.p.mid())
    most = min(1.0, 0.5 * math.log(first / second))

    def value(b: float) -> float:
        return b / math.sqrt(2.0 * math.log(1.25 * (1.0 + math.exp(b)) / (first - math.exp(2.0 * b) * second)))

    b = arb(_argmax(value, 0.0, most))
    gap = bounds.lower.p - (2 * b).exp() * bounds.upper.p
    return b / (2 * (5 * (1 + b.exp()) / (4 * gap)).log()).sqrt()


def li(bounds: Bounds) -> arb:
    """sqrt(-2/a ln(1 - p_lower - p_upper + 2 m^(1/(1-a)))) at a good a > 0, m the mean of p_lower^(1-a), p_upper^(1-a).

    Source: Li et al. 2018, as in Cohen et al. 2019, Appendix I.2.
    """
    first, second = float(bounds.lower.p.mid()), float(bounds.upper.p.mid())

    def value(log_a: float) -> float:
        a = math.exp(log_a)
        mean = 0.5 * (first ** (1.0 - a) + second ** (1.0 - a))
        return -2.0 / a * math.log(1.0 - first - second + 2.0 * mean ** (1.0 / (1.0 - a)))

    # At a = 1 the formula has a removable gap; both sides of it are searched.
    sides = (_argmax(value, math.log(1e-3), math.log(0.999)), _argmax(value, math.log(1.001), math.log(1e3)))
    a = arb(max(sides, key=lambda point: _tried(value, point))).exp()
    mean = (bounds.lower.p ** (1 - a) + bounds.upper.p ** (1 - a)) / 2
    inside = bounds.lower.q - bounds.upper.p + 2 * mean ** (1 / (1 - a))
    return (-2 / a * inside.log()).sqrt()


def _argmax(value: Callable[[float], float], low: float, high: float) -> float:
    """A point where `value` is about largest: a coarse look, then golden sections around the best point."""
    points = [low + (high - low) * step / _COARSE for step in range(1, _COARSE + 1)]
    best = max(points, key=lambda point: _tried(value, point))
    left, right = max(low, best - (high - low) / _COARSE), min(high, best + (high - low) / _COARSE)
    # Rounding hides the top within about 1e-8 of it, so forty sections are enough.
    for _ in range(40):
        inner, outer = right - _GOLDEN * (right - left), left + _GOLDEN * (right - left)
        if _tried(value, inner) < _tried(value, outer):
            left = inner
        else:
            right = outer
    return max((best, (left + right) / 2.0), key=lambda point: _tried(value, point))


def _tried(value: Callable[[float], float], point: float) -> float:
    """The value, or minus infinity where the formula has none in float64."""
    try:
        return value(point)
    except (ValueError, ZeroDivisionError, OverflowError):
        return -math.inf
