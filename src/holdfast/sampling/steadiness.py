"""Whether a base classifier is a function: the same input has the same output, alone, in a batch, and later.

This finds accidents: batch statistics, chance, state, a clock. It cannot find malice: a classifier that knows which
rows are looked at can answer those as it likes.
"""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING

import torch

from holdfast.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

# A difference that no rounding explains, as a share of the largest logit, or as a share of votes.
_BATCH_DEPENDENCE = 0.05
# Rows of the first batch that are computed alone as well; and of a batch in which a vote differed.
_ALONE, _MORE = 5, 40
# Time between two looks, as a multiple of what a look takes: they cost a hundredth at most.
_REST = 100.0


class Steadiness:
    """Looks at a classifier now and then, and remembers what it said before.

    Args:
        alone: from rows `(num, *noisy event)` to the classifier's outputs, each row computed by itself.
    """

    def __init__(self, alone: Callable[[Tensor], Tensor]) -> None:
        self._alone = alone
        self._rows: Tensor | None = None
        self._said: Tensor | None = None
        self._choice = random.Random(0)
        self._last: tuple[Tensor, Tensor, int] | None = None
        self._looked = self._took = 0.0
        self._passed = 0

    def first(self, noisy: Tensor, output: Tensor) -> tuple[float, float]:
        """Compare a few rows of the first batch with what they give alone, and remember them.

        Returns:
            The largest difference between finite logits, and the largest logit.

        Raises:
            ClassifierError: they differ by more than rounding does.
        """
        rows = torch.linspace(0, len(noisy) - 1, min(_ALONE, len(noisy)), device="cpu").long().to(noisy.device)
        self._rows, together = noisy[rows], output[rows]
        self._said = self._alone(self._rows)
        found = differences(self._said, together)
        if output.ndim == 1 and found[0]:
            # Votes have no small differences, and those of two nearly tied classes may differ by rounding.
            found = _share(self._alone(noisy[:_MORE]), output[:_MORE])
        _check_together(found, len(noisy))
        return found

    def saw(self, noisy: Tensor, output: Tensor) -> None:
        """Take copies of what may be looked at of a batch."""
        count = min(1 if output.ndim == 2 else _MORE, len(noisy))
        start = self._choice.randrange(len(noisy) - count + 1)
        self._last = noisy[start : start + count].clone(), output[start : start + count].clone(), len(noisy)
        self._passed += 1

    def due(self) -> bool:
        """Whether enough time has passed since the last look for another one to cost next to nothing."""
        return time.perf_counter() - self._looked >= _REST * self._took

    def look(self, near_tie: float, typical: float) -> None:
        """Compute two rows alone: one that was computed alone before, and one of the last batch.

        Args:
            near_tie: the share of the largest logit by which the rounding of one input may differ.
            typical: size of the largest logits.

        Raises:
            ClassifierError: the output of the one differs from that of before, or of the other from that in its batch.
        """
        if self._last is None or self._rows is None or self._said is None:
            return
        start = time.perf_counter()
        old = self._choice.randrange(len(self._rows))
        before = self._said[old : old + 1]
        difference, scale = differences(self._alone(self._rows[old : old + 1]), before)
        allowed = near_tie * max(scale, typical) if before.ndim == 2 else 0.0
        if difference > allowed:
            raise _unsteady(f"before and after {self._passed} batches", difference, scale)
        rows, together, size = self._last
        alone = self._alone(rows[:1])
        found = differences(alone, together[:1])
        if together.ndim == 1 and found[0]:
            found = _share(self._alone(rows), together)
        _check_together(found, size)
        self._rows[old], self._said[old] = rows[0], alone[0]
        self._last = None
        self._passed = 0
        self._looked = time.perf_counter()
        self._took = self._looked - start


def _share(one: Tensor, other: Tensor) -> tuple[float, float]:
    """The share of votes that differ, and 1, of which it is a share."""
    return float((one != other).double().mean()), 1.0


def _check_together(found: tuple[float, float], size: int) -> None:
    difference, scale = found
    if difference > _BATCH_DEPENDENCE * scale:
        raise _unsteady(f"alone and in a batch of {size}", difference, scale)


def differences(one: Tensor, other: Tensor) -> tuple[float, float]:
    """The largest difference between two outputs for the same inputs, and the largest output; of what is finite.

    The difference is infinite where one is finite, NaN, or of one sign of infinity, and the other is not.
    """
    if torch.equal(one, other):
        return 0.0, float(other.double().abs().nan_to_num(posinf=0.0).max())
    first, second = one.double(), other.double()
    finite = first.isfinite() & second.isfinite()
    same = finite | (first == second) | (first.isnan() & second.isnan())
    if not bool(finite.any()):
        return 0.0 if bool(same.all()) else math.inf, 0.0
    scale = float(second[finite].abs().max())
    if not bool(same.all()):
        return math.inf, scale
    return float((first - second)[finite].abs().max()), scale


def _unsteady(when: str, difference: float, scale: float) -> ClassifierError:
    return ClassifierError(
        f"the base classifier answers differently for the same input {when} (by {difference:.3g}, with outputs up to "
        f"{scale:.3g}): it depends on its batch, on chance or on what came before, and nothing can be certified. Is "
        "batch normalization or dropout left in training mode, or does it keep a state?"
    )
