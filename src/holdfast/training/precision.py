"""A training in two precisions, measured in a few of its own steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from holdfast.models.precision import BFLOAT16, FLOAT32, HOPELESS, Speeds

if TYPE_CHECKING:
    from collections.abc import Callable

# A training that has fewer steps, or that float32 does in so many seconds, is not worth a measurement.
_FEWEST_STEPS, _SHORT_SECONDS = 20, 30.0
# Steps of which the fastest counts: others may work on the machine.
_REPEATS = 3
# First a part of a minibatch is tried. A first step that took longer than this is not repeated.
_PART, _LONG_STEP_SECONDS = 8, 1.0


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
        return Speeds(small, math.inf, _named(few))
    # The first one has also set up what all others use.
    part = Speeds(small, first if first > _LONG_STEP_SECONDS else min(first, step(BFLOAT16, few)), _named(few))
    if part.ratio >= HOPELESS:
        return part
    whole = {name: min(step(name, images) for _ in range(_REPEATS)) for name in (FLOAT32, BFLOAT16)}
    return Speeds(whole[FLOAT32], whole[BFLOAT16], _named(images))


def _named(images: int) -> str:
    return f"a step on {images} images"
