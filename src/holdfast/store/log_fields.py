"""The fields of a log as text: whole numbers, real numbers, times, and what a printed radius can stand for."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from holdfast.types import Norm

# No underscores, and no digits of other scripts, which Python takes too.
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,9})?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
# As Python and pandas print a length of time: `0:00:15.4`, `1 day, 0:00:01`, `0 days 00:00:01`.
_CLOCK = re.compile(r"(?:([0-9]{1,9}) days?,? )?([0-9]{1,9}):([0-5]?[0-9]):([0-5]?[0-9](?:\.[0-9]*)?)")
_SECONDS_A_DAY = 86_400.0

# What may stand around a field. Python strips more, of which some end a line on a screen: form feeds, U+2028.
BLANK = " "
# No index and no class has more digits.
_MOST_WHOLE = 10**18


def whole(text: str, name: str) -> int:
    """A whole number, which may be written as a float: `2`, `2.0`, `2.000e+00`. Nothing is cut or rounded.

    Raises:
        ValueError: it is none.
    """
    stripped = text.strip(BLANK)
    number = Decimal(stripped) if _REAL.fullmatch(stripped) else Decimal("nan")
    # Bounded first: of 1e999999999 no integer is made.
    if not (number.is_finite() and -_MOST_WHOLE < number < _MOST_WHOLE and number == number.to_integral_value()):
        raise ValueError(f"{name} is a whole number, found {text!r}")
    return int(number)


def real(text: str, name: str) -> float:
    """A number, which may be infinite or NaN; -0 is 0.

    Raises:
        ValueError: it is none.
    """
    if not _REAL.fullmatch(text.strip(BLANK)):
        raise ValueError(f"{name} is a number, found {text!r}")
    return float(text) + 0.0


def seconds(text: str | None) -> float | None:
    """Seconds from `15.4`, `0:00:15.4` or `1 day, 0:00:15.4`; None where a log does not say.

    Two parts, as in `1:05`, may be minutes or hours, and are refused.

    Raises:
        ValueError: it has another form, or is negative.
    """
    if not text or not text.strip(BLANK):
        return None
    clock = _CLOCK.fullmatch(text.strip(BLANK))
    if clock:
        days, hours, minutes, rest = (float(part or 0) for part in clock.groups())
        return days * _SECONDS_A_DAY + 3600.0 * hours + 60.0 * minutes + rest
    value = real(text, "time") if _REAL.fullmatch(text.strip(BLANK)) else math.nan
    if not 0.0 <= value < math.inf:
        raise ValueError(
            "time is in seconds from 0 on, or h:m:s with minutes and seconds below 60, which days may precede "
            f"(`1 day, 0:00:15.4`); found {text!r}; leave it empty if it is not known"
        )
    return value


def truth(text: str) -> bool | None:
    """What a field of `correct` says; None where it says neither yes nor no, as a count does."""
    try:
        return {0: False, 1: True}.get(whole(text, "correct"))
    except ValueError:
        return {"false": False, "true": True}.get(text.strip(BLANK).lower())


def least_meant(text: str, norm: Norm) -> float:
    """The smallest radius that the decimal `text` can stand for, were it rounded to nearest; no count of pixels is."""
    if norm.whole:
        return float(text)
    mantissa, _, exponent = text.strip(BLANK).lower().partition("e")
    digits = len(mantissa.partition(".")[2]) - int(exponent or 0)
    # 0e999 is 0.
    return max(0.0, float(text) - 0.5 * 10.0 ** min(-digits, 300))
