"""Float64 arithmetic rounded toward safety: a claim is never more than was proved."""

from __future__ import annotations

import math
from decimal import ROUND_FLOOR, Context, Decimal
from fractions import Fraction

from scipy.special import ndtri

# scipy's ndtri (Cephes) is accurate to a few units in the last place; this margin is fifty times that.
_QUANTILE_SLACK = 2.0**-46
_EXACT = Context(prec=400)


def down(value: float) -> float:
    """The next float64 below."""
    return math.nextafter(value, -math.inf)


def up(value: float) -> float:
    """The next float64 above."""
    return math.nextafter(value, math.inf)


def float_below(value: Fraction) -> float:
    """The largest float64 that is at most `value`."""
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else down(nearest)


def float_above(value: Fraction) -> float:
    """The smallest float64 that is at least `value`."""
    nearest = float(value)
    return nearest if Fraction(nearest) >= value else up(nearest)


def complement_upper(p: float) -> float:
    """The smallest float64 that is at least 1 - p, for p in [0, 1]."""
    nearest = 1.0 - p
    # The part lost by rounding, computed without a rounding error, since 1 is not smaller than p (Dekker 1971).
    lost = (1.0 - nearest) - p
    return up(nearest) if lost > 0.0 else nearest


def normal_quantile_lower(p: float) -> float:
    """A float64 that is at most the standard normal quantile of p, for p in [0, 1]; infinite at the ends."""
    quantile = _normal_quantile(p)
    return quantile if math.isinf(quantile) else down(quantile - _quantile_slack(quantile))


def normal_quantile_upper(p: float) -> float:
    """A float64 that is at least the standard normal quantile of p, for p in [0, 1]; infinite at the ends."""
    quantile = _normal_quantile(p)
    return quantile if math.isinf(quantile) else up(quantile + _quantile_slack(quantile))


def _normal_quantile(p: float) -> float:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"a probability in [0, 1] is needed, got {p}")
    return float(ndtri(p))


def _quantile_slack(quantile: float) -> float:
    # Near the median the quantile is close to zero while its argument is not: an absolute slack too.
    return abs(quantile) * _QUANTILE_SLACK + 2.0**-52


def show_down(value: float, digits: int) -> str:
    """`value` in decimal with `digits` places, rounded down: a displayed radius never exceeds the proved one.

    The binary value is converted exactly first, so 0.29 (a float64 below 29/100) shows as 0.28 with two places.
    """
    quantum = Decimal(1).scaleb(-digits)
    # Enough digits for the largest float64.
    return str(Decimal(value).quantize(quantum, rounding=ROUND_FLOOR, context=_EXACT))
