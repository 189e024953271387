"""How numbers are printed: shares in percent, intervals rounded outward, radii rounded down."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from holdfast.spelling import spelled
from holdfast.stats.rounding import show_down
from holdfast.types import Norm

if TYPE_CHECKING:
    from holdfast.stats.datasets import Proportion
    from holdfast.stats.pairs import Difference

NOT_AVAILABLE = "N/A"


def counted(count: int, noun: str) -> str:
    """`1 run`, `2,000 runs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(fraction: float, digits: int = 1) -> str:
    """A share in percent, without the sign: 0.748 is 74.8. Only a share of exactly 1 shows as 100."""
    text = f"{100.0 * fraction:.{digits}f}"
    return show_down(100.0 - 10.0**-digits / 2, digits) if fraction < 1.0 and float(text) == 100.0 else text


def ends(share: Proportion) -> tuple[str, str]:
    """Both ends of an interval in percent, the lower rounded down and the upper rounded up."""
    return show_down(100.0 * share.lower, 1), show_down(-100.0 * share.upper, 1).lstrip("-")


def interval(share: Proportion) -> str:
    """An interval in percent: [69.9, 79.1]."""
    return "[{}, {}]".format(*ends(share))


def with_interval(share: Proportion) -> str:
    """A share with its interval: 74.8% [69.9, 79.1]."""
    return f"{percent(share.value)}% {interval(share)}"


def points(difference: Difference) -> tuple[str, str, str]:
    """A difference of shares in points with its sign, and both ends of its interval, rounded outward."""
    value, lower, upper = (100.0 * each for each in (difference.value, difference.lower, difference.upper))
    below, above = show_down(lower, 1), show_down(-upper, 1)
    above = above[1:] if above.startswith("-") else f"-{above}"
    return tuple(_signed(text) for text in (f"{value:.1f}", below, above))  # type: ignore[return-value]


def _signed(text: str) -> str:
    """+1.5, -1.5, 0.0."""
    zero = not text.strip("-0.")
    return text.lstrip("-") if zero else text if text.startswith("-") else f"+{text}"


def probability(value: float) -> str:
    """A probability rounded down to three decimals."""
    return show_down(value, 3)


def probabilities(lower: float, upper: float) -> str:
    """An interval of a probability, rounded outward."""
    return f"[{show_down(lower, 3)}, {show_down(-upper, 3).lstrip('-')}]"


def radius(norm: Norm, value: float | None, digits: int | None = None) -> str:
    """A certified radius rounded down: whole pixels, or three decimals; N/A for None or minus infinity."""
    if value is None or value == -math.inf:
        return NOT_AVAILABLE
    places = (0 if norm.whole else 3) if digits is None else digits
    return show_down(value, places)


def mean_radius(norm: Norm, value: float) -> str:
    """An average radius rounded down; of counted pixels it need not be whole."""
    return radius(norm, value, 2 if norm.whole else 3)


def threshold(value: float) -> str:
    """A requested radius or budget, exactly: 0.25, 4, 8/255."""
    return spelled(value).removesuffix(".0")


def draws(most: int, mean: float | None) -> str:
    """Samples per example: n, or the mean number used if sampling stopped early."""
    return str(most) if mean is None or mean == most else f"{mean:.0f} of {most}"


def with_unit(norm: Norm, text: str) -> str:
    """A radius with its unit: `0.25 input units`, `1 pixel`."""
    return f"{text} {norm.unit.replace('pixels', 'pixel').removesuffix('s') if text == '1' else norm.unit}"
