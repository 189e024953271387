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

# A difference that no rounding explains, as a share of the largest logit; and the share of rows that may show one,
# where it is not one row alone: answers that jump (votes, masks of the largest logits) can do so at a near tie.
_BATCH_DEPENDENCE, _ODD_ROWS = 0.05, 0.1
# Rows of the first batch that are computed alone as well; of a batch in which one differed; and how often a row that
# answers otherwise than before is asked.
_ALONE, _MORE, _AGAIN = 5, 40, 4
# Time between two looks, as a multiple of what a look takes: they cost a hundredth at most.
_REST = 100.0

# Rows, what they gave in their batch, and the size of that.
_Batch = tuple["Tensor", "Tensor", int]


class Steadiness:
    """Looks at a classifier now and then, and remembers what it said before.

    Several threads may use it: what belongs together is read and replaced together.

    Args:
        alone: from rows `(num, *noisy event)` to the classifier's outputs, each row computed by itself.
    """

    def __init__(self, alone: Callable[[Tensor], Tensor]) -> None:
        self._alone = alone
        self._known: list[tuple[Tensor, Tensor]] = []
        self._choice = random.Random(0)
        self._last: _Batch | None = None
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
        chosen, together = noisy[rows], output[rows]
        said = self._alone(chosen)
        self._check_together(said, together, (noisy[:_MORE], output[:_MORE], len(noisy)))
        self._known = [(chosen[row : row + 1].clone(), said[row : row + 1].clone()) for row in range(len(chosen))]
        return differences(said, together)

    def saw(self, noisy: Tensor, output: Tensor) -> None:
        """Take copies of what may be looked at of a batch."""
        count = min(_MORE, len(noisy))
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
        batch, known = self._last, self._known
        if batch is None or not known:
            return
        start = time.perf_counter()
        old = self._choice.randrange(len(known))
        self._check_again(*known[old], near_tie, typical)
        rows, together, _ = batch
        alone = self._alone(rows[:1])
        self._check_together(alone, together[:1], batch)
        known[old] = rows[:1].clone(), alone
        self._last = None
        self._passed = 0
        self._looked = time.perf_counter()
        self._took = self._looked - start

    def _check_again(self, row: Tensor, before: Tensor, near_tie: float, typical: float) -> None:
        """Raise ClassifierError if a row gives, each time that it is asked, something else than before."""
        for _ in range(_AGAIN):
            difference, scale = differences(self._alone(row), before)
            allowed = near_tie * max(scale, typical) if before.ndim == 2 else 0.0
            if difference <= allowed:
                return
        raise _unsteady(f"before and after {self._passed} batches", difference, scale)

    def _check_together(self, alone: Tensor, together: Tensor, batch: _Batch) -> None:
        """Raise ClassifierError if rows alone differ from rows in their batch, and more of the batch do, too."""
        difference, scale = differences(alone, together)
        if difference <= (_BATCH_DEPENDENCE * scale if together.ndim == 2 else 0.0):
            return
        rows, outputs, size = batch
        again = self._alone(rows)
        odd = sum(
            different > (_BATCH_DEPENDENCE * large if outputs.ndim == 2 else 0.0)
            for different, large in (
                differences(again[row : row + 1], outputs[row : row + 1]) for row in range(len(rows))
            )
        )
        if odd > max(1 if size > 1 else 0, _ODD_ROWS * len(rows)):
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
