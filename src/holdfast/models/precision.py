"""Choose a precision for some work: the one that is given, or the faster one here.

bfloat16 takes half of the time of float32 on a processor that multiplies in it, and fifteen times as long on one that
does not. What a processor says of itself does not settle it, so it is measured.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

AUTO = "auto"
FLOAT32, BFLOAT16 = "float32", "bfloat16"

# Where bfloat16 takes so many times as long in a first part of the work, it is not measured any further.
HOPELESS = 3.0
# bfloat16 is taken where it saves a tenth, and a person who names it is warned where it costs a fifth.
_FASTER, _SLOWER = 0.9, 1.2


@dataclass(frozen=True)
class Speeds:
    """Seconds of the same work in each precision.

    Attributes:
        float32: seconds.
        bfloat16: seconds; infinite where the work cannot be done in it.
        what: was done in so many seconds, as in "a step on 128 images".
    """

    float32: float
    bfloat16: float
    what: str

    @property
    def ratio(self) -> float:
        """How many times as long bfloat16 takes."""
        return self.bfloat16 / self.float32

    @property
    def faster(self) -> str:
        """The precision to take: float32 unless the other one saves something worth having."""
        return BFLOAT16 if self.ratio <= _FASTER else FLOAT32

    def __str__(self) -> str:
        one = f"{self.what} takes {self.float32:.3g} s in float32"
        if self.bfloat16 == math.inf:
            return f"{one}, and cannot be computed in bfloat16"
        return f"{one}, {self.bfloat16:.3g} s in bfloat16"


def settled(
    precision: str,
    earlier: str | None,
    allowed: Callable[[str], None],
    measure: Callable[[], Speeds | None],
    tell: Callable[[str], None] | None = None,
) -> str:
    """The precision that a training or a run takes.

    Args:
        precision: "float32", "bfloat16", or "auto" for the faster one.
        earlier: precision of earlier work that continues; it is not measured again. None for new work.
        allowed: raises UsageError for a precision that the work cannot be done in.
        measure: a part of the work; None where the whole of it is short.
        tell: called with what "auto" chose, in a sentence.

    Warns:
        RuntimeWarning: the one that was named is much slower than float32 here.
    """
    if earlier is not None or precision == FLOAT32:
        chosen = earlier if earlier is not None and precision == AUTO else precision
        why = "as it began"
    else:
        chosen, why = _measured(precision, allowed, measure)
    if precision == AUTO and tell is not None:
        tell(f"precision {chosen}: {why}")
    return chosen


def _measured(precision: str, allowed: Callable[[str], None], measure: Callable[[], Speeds | None]) -> tuple[str, str]:
    """A precision, and why it was taken."""
    try:
        allowed(BFLOAT16)
    except UsageError:
        # One who named it is told so by the work itself.
        return (FLOAT32 if precision == AUTO else precision), "there is no other"
    found = measure()
    if precision == AUTO:
        return (FLOAT32, "the work is short") if found is None else (found.faster, str(found))
    if found is not None and _SLOWER <= found.ratio < math.inf:
        warnings.warn(
            f"bfloat16 takes {found.ratio:.1f} times as long as float32 here: {found}. Precision 'auto' takes the "
            "faster of the two",
            RuntimeWarning,
            stacklevel=4,
        )
    return precision, ""
