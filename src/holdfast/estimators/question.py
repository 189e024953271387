"""Radii and a precision in question, and whether they are decided: shared by the estimators that stop early."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.estimators.base import check_radii
from holdfast.plain import is_real

if TYPE_CHECKING:
    from collections.abc import Callable


def check_question(radii: tuple[float, ...], precision: float | None) -> None:
    """Raise UsageError unless something is in question, and what is in question can be."""
    if radii or precision is None:
        check_radii(radii)
    if precision is not None and not (is_real(precision) and 0.0 < precision < 1.0):
        raise UsageError(f"the precision is a share of the radius between 0 and 1 (0.05, say), got {precision!r}")


def settled(
    radii: tuple[float, ...], precision: float | None, reached: float | None, forecast: Callable[[], float | None]
) -> bool:
    """Whether every radius is certified or hopeless, and the certified radius as precise as it should be.

    Args:
        radii: in question.
        precision: relative distance to the optimist's radius that is close enough; None if it is not in question.
        reached: the certified radius; None for an abstention.
        forecast: the radius that the votes which an optimist expects at the end would certify.
    """
    open_radii = [radius for radius in radii if reached is None or reached < radius]
    if not open_radii and precision is None:
        return True
    optimistic = forecast()
    if optimistic is None:
        return True
    close = precision is None or (reached is not None and reached >= (1.0 - precision) * optimistic)
    return close and (not open_radii or optimistic < min(open_radii))
