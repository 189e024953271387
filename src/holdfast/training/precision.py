"""The precision of a training: the one that is named, or the faster one in a few steps of the very training.

bfloat16 takes half of the time of float32 on a processor that multiplies in it, and fifteen times as long on one that
does not. What a processor says of itself does not settle it, so it is measured: on weights of their own, with
generators that are functions of the seed, so that the training itself takes the same steps whether it was or not.
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

# A training that has fewer steps, or that float32 does in so many seconds, is not worth a measurement.
_FEWEST_STEPS, _SHORT_SECONDS = 20, 30.0
# Steps of which the fastest counts: others may work on the machine.
_REPEATS = 3
# First a part of a minibatch: where bfloat16 takes so many times as long, no whole one is tried. A first step that took
# longer than this is not repeated.
_PART, _HOPELESS, _LONG_STEP_SECONDS = 8, 3.0, 1.0
# bfloat16 is taken where it saves a tenth, and a person who names it is warned where it costs a fifth.
_FASTER, _SLOWER = 0.9, 1.2


@dataclass(frozen=True)
class Speeds:
    """Seconds of a step in each precision.

    Attributes:
        float32: seconds.
        bfloat16: seconds, of the same step; infinite where the recipe or the network cannot be computed in it.
        images: of the step: a minibatch, or where bfloat16 was given up early, a part of one.
    """

    float32: float
    bfloat16: float
    images: int

    @property
    def ratio(self) -> float:
        """How many times as long a step takes in bfloat16."""
        return self.bfloat16 / self.float32

    @property
    def faster(self) -> str:
        """The precision to take: float32 unless the other one saves something worth having."""
        return BFLOAT16 if self.ratio <= _FASTER else FLOAT32

    def __str__(self) -> str:
        one = f"a step on {self.images} images takes {self.float32:.3g} s in float32"
        if self.bfloat16 == math.inf:
            return f"{one}, and cannot be computed in bfloat16"
        return f"{one}, {self.bfloat16:.3g} s in bfloat16"


def speeds(step: Callable[[str, int], float], images: int, steps: int) -> Speeds | None:
    """Measure steps, float32 first; None where the whole work is too small to matter.

    Args:
        step: takes one step of this precision on so many images, and returns its seconds.
        images: of a minibatch.
        steps: of the whole training.
    """
    if steps < _FEWEST_STEPS:
        return None
    few = images if images < 2 * _PART else images // _PART
    step(FLOAT32, few)
    small = step(FLOAT32, few)
    if small * (images / few) * steps <= _SHORT_SECONDS:
        return None
    try:
        first = step(BFLOAT16, few)
    except RuntimeError:
        # torch has some operations in float32 alone. A training that names bfloat16 meets the error itself.
        return Speeds(small, math.inf, few)
    # The first one has also set up what all others use.
    part = Speeds(small, first if first > _LONG_STEP_SECONDS else min(first, step(BFLOAT16, few)), few)
    if part.ratio >= _HOPELESS:
        return part
    whole = {name: min(step(name, images) for _ in range(_REPEATS)) for name in (FLOAT32, BFLOAT16)}
    return Speeds(whole[FLOAT32], whole[BFLOAT16], images)


def settled(
    asked: str,
    kept: str | None,
    allowed: Callable[[str], None],
    measure: Callable[[], Speeds | None],
    tell: Callable[[str], None] | None = None,
) -> str:
    """The precision that a training takes.

    Args:
        asked: "float32", "bfloat16", or "auto" for the faster one.
        kept: that of a training that is gone on with; it is not measured again. None for a new one.
        allowed: raises UsageError for a precision that the recipe cannot take.
        measure: steps of the training; None where it is short.
        tell: is told what "auto" has come to, in a sentence.

    Warns:
        RuntimeWarning: the one that was named is much slower than float32 here.
    """
    if kept is not None or asked == FLOAT32:
        chosen = kept if kept is not None and asked == AUTO else asked
        why = "as the training began"
    else:
        chosen, why = _measured(asked, allowed, measure)
    if asked == AUTO and tell is not None:
        tell(f"precision {chosen}: {why}")
    return chosen


def _measured(asked: str, allowed: Callable[[str], None], measure: Callable[[], Speeds | None]) -> tuple[str, str]:
    """A precision, and why it was taken."""
    try:
        allowed(BFLOAT16)
    except UsageError:
        # One who named it is told so when the training begins.
        return (FLOAT32 if asked == AUTO else asked), "the recipe takes no other"
    found = measure()
    if asked == AUTO:
        return (FLOAT32, "the training is short") if found is None else (found.faster, str(found))
    if found is not None and _SLOWER <= found.ratio < math.inf:
        warnings.warn(
            f"bfloat16 takes {found.ratio:.1f} times as long as float32 here: {found}. Precision 'auto' takes the "
            "faster of the two",
            RuntimeWarning,
            stacklevel=4,
        )
    return asked, ""
