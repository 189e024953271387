"""The speed of a training in two precisions, measured in a few of its own steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from holdfast.models.precision import BFLOAT16, FLOAT32, HOPELESS, Speeds

if TYPE_CHECKING:
    from collections.abc import Callable

# A training with fewer steps, or of fewer seconds in float32, is not worth a measurement.
_FEWEST_STEPS, _SHORT_SECONDS = 20, 30.0
# The fastest of this many steps counts: others may work on the machine.
_REPEATS = 3
# A part of a minibatch comes first. If its first step took longer than this, it is not repeated.
_PART, _LONG_STEP_SECONDS = 8, 1.0


def speeds(step: Callable[[str, int], float], images: int, steps: int) -> Speeds | None:
    """Measure steps, float32 first; None if the whole training is too small to matter.

    Args:
        step: takes one step in a precision on a number of images, and returns its seconds.
        images: in a minibatch.
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
        # torch has some operations in float32 only. A training that requests bfloat16 meets the error itself.
        return Speeds(small, math.inf, _named(few))
    # The first step also includes set-up for all others.
    part = Speeds(small, first if first > _LONG_STEP_SECONDS else min(first, step(BFLOAT16, few)), _named(few))
    if part.ratio >= HOPELESS:
        return part
    whole = {name: min(step(name, images) for _ in range(_REPEATS)) for name in (FLOAT32, BFLOAT16)}
    return Speeds(whole[FLOAT32], whole[BFLOAT16], _named(images))


def _named(images: int) -> str:
    return f"a step on {images} images"
