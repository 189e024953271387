"""The rounding of float64: its unit, what underflows, and the error of a sum of products."""

from __future__ import annotations

# Unit roundoff of float64, to nearest.
UNIT = 2.0**-53
# More than is lost, per unit of the factor, where products or squares are too small for float64.
UNDERFLOW = 2.0**-490


def gamma(operations: int) -> float:
    """The largest relative error of this many roundings."""
    error = operations * UNIT
    return error / (1.0 - error)
