"""Whether a base classifier is a function: the same input has the same output, alone, in a batch, and later.

This finds accidents: batch statistics, chance, state, a clock. It cannot find malice: a classifier that knows which
rows are looked at can answer those as it likes.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from holdfast.errors import ClassifierError
from holdfast.sampling.logits import center_of, differences, spread_of
from holdfast.stats.binomial import at_least

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

# A difference between a row alone and in its batch that no rounding explains, as a share of the spread of the logits;
# and the share of 40 rows that may show one, where it is not one row alone: masks of the largest logits can jump.
_BATCH_DEPENDENCE, _ODD_ROWS = 0.05, 0.1
# What the first batch may show beside: rounding of the logits themselves in half precision, up to a share of their
# spread.
_COARSE, _COARSE_AT_MOST = 2.0**-8, 0.25
# The share of answers in steps that jump at near ties, and how improbable what was seen must be for an honest
# classifier.
_HONEST_JUMPS, _CHANCE = 0.02, 1e-3
# How much further apart than the largest difference seen between batches two logits must be, to be sure of the larger.
MARGIN = 4.0
# Rows of the first batch, and random ones, that are asked together; of a batch in which one row differed; and how often
# rows that answer otherwise than before are asked.
_TOGETHER, _PROBES, _MORE, _AGAIN = 8, 8, 40, 4
# The most that is remembered, in rows and bytes.
_MOST, _MOST_BYTES = 1024, 2**24
# Units in the last place by which a row may change that is computed again in the same way.
_UNITS = 4.0
# Time between two looks, as a multiple of what a look takes: they cost a hundredth at most.
_REST = 100.0

# Rows, what they gave in their batch, and the size of that.
_Batch = tuple["Tensor", "Tensor", int]
# Rows, and what they gave as a batch of their own.
_Known = tuple["Tensor", "Tensor"]


@dataclass(frozen=True)
class Plan:
    """How many rows are asked more than once.

    Attributes:
        first: of the first batch that are computed alone.
        alone: of the last batch, at a look; at least.
        alone_share: of all rows since the last look.
        batch: that are remembered and asked again together, beside the first ones.
        share: of all rows, that are remembered; and of the rows since the last look, that are asked again.
        jumps: how many of those may change.
    """

    first: int
    alone: int
    alone_share: float
    batch: int
    share: float
    jumps: int


# Each row's logits say much. Answers in steps (votes, one-hot logits) say little; a classifier has such answers if most
# of its first ones are repetitions.
_OF_LOGITS, _OF_STEPS = Plan(3, 1, 0.0, 8, 0.0025, 0), Plan(40, 8, 0.01, 64, 0.05, 1)


@dataclass(frozen=True)
class Rounding:
    """What outputs may differ by, as shares of a size.

    Attributes:
        tie: of the spread of the logits, and in another batch of the logit itself.
        again: of the logit itself, where the same computation is done again.
        spread: how far the leading logits are from the middle of their classes.
        size: how large the leading logits are.
    """

    tie: float
    again: float
    spread: float
    size: float

    @classmethod
    def of(cls, outputs: Tensor, tie: float) -> Rounding:
        """For logits or votes `outputs` of several inputs, whose rounding is the share `tie` in another batch."""
        if outputs.ndim == 1:
            return cls(0.0, 0.0, 0.0, 0.0)
        again = min(tie, _UNITS * torch.finfo(outputs.dtype).eps)
        center = center_of(outputs)
        return cls(tie, again, spread_of(outputs, center), spread_of(outputs, 0 * center))


class Steadiness:
    """Looks at a classifier now and then, and remembers what it said before.

    Several threads may use it: what belongs together is read and replaced together.

    Args:
        alone: from rows `(num, *noisy event)` to the classifier's outputs, each row computed by itself.
        together: the same, all rows in one batch.
    """

    def __init__(self, alone: Callable[[Tensor], Tensor], together: Callable[[Tensor], Tensor]) -> None:
        self._alone = alone
        self._together = together
        self._rounding = Rounding(0.0, 0.0, 0.0, 0.0)
        # By how much a row may differ in another batch.
        self._allowed = 0.0
        # Never replaced, so that a slow drift adds up: what is always asked again, and what is in turn.
        self._first: list[_Known] = []
        self._known: list[_Known] = []
        self._plan = _OF_LOGITS
        # Rows of answers in steps that were computed alone, and how many of them answered otherwise in their batch.
        self._compared = self._jumped = 0
        self._choice = random.Random(0)
        self._last: _Batch | None = None
        self._looked = self._took = 0.0
        self._rows = self._rows_since = self._batches_since = 0

    def first(self, noisy: Tensor, output: Tensor, tie: float) -> tuple[Tensor, float]:
        """Compare a few rows of the first batch with what they give alone, and in a batch with random rows.

        Args:
            noisy: the first batch.
            output: what it gave.
            tie: the share of a logit by which the rounding of one input may differ in another batch.

        Returns:
            The outputs for the random rows, which are always the same ones; and the largest difference between logits
            beyond the rounding of the logit itself.

        Raises:
            ClassifierError: they differ by more than rounding does.
        """
        count = min(_TOGETHER, len(noisy))
        said = self._ask_first(noisy, count)
        seen = torch.cat([said[count:], output[:_MORE]])
        self._rounding = Rounding.of(seen, tie)
        in_steps = output.ndim == 1 or 2 * len(torch.unique(seen, dim=0)) < len(seen)
        self._plan = _OF_STEPS if in_steps else _OF_LOGITS
        rows = (
            torch.linspace(0, len(noisy) - 1, min(self._plan.first, len(noisy)), device="cpu").long().to(noisy.device)
        )
        found = torch.cat([self._alone(noisy[rows]), said[:count]])
        before = torch.cat([output[rows], output[:count]])
        coarse = min(_COARSE * self._rounding.size, _COARSE_AT_MOST * self._rounding.spread)
        self._allowed = _BATCH_DEPENDENCE * self._rounding.spread + coarse
        self._check_together(found, before, (noisy[:_MORE], output[:_MORE], len(noisy)))
        if in_steps:
            self._remember(noisy, output)
        difference = float(differences(found, before, self._rounding.again).max())
        # A jump from one step to another is no rounding that others may have, too.
        self._allowed = _BATCH_DEPENDENCE * self._rounding.spread + (0.0 if in_steps else MARGIN * difference)
        return said[count:], difference

    def saw(self, noisy: Tensor, output: Tensor) -> None:
        """Take copies of what may be looked at of a batch."""
        count = min(_MORE, len(noisy))
        start = self._choice.randrange(len(noisy) - count + 1)
        self._last = noisy[start : start + count].clone(), output[start : start + count].clone(), len(noisy)
        self._rows += len(noisy)
        self._rows_since += len(noisy)
        self._batches_since += 1
        known = sum(len(rows) for rows, _ in [*self._first, *self._known])
        if known < min(self._plan.share * self._rows, _MOST) and self._room(noisy):
            self._remember(noisy, output)

    def due(self) -> bool:
        """Whether enough time has passed since the last look for another one to cost next to nothing."""
        return time.perf_counter() - self._looked >= _REST * self._took

    def look(self) -> None:
        """Ask again what was asked before, and compute a row of the last batch alone.

        Raises:
            ClassifierError: the output differs from that of before, or from that in its batch.
        """
        batch = self._last
        if batch is None or not self._first:
            return
        start = time.perf_counter()
        self._check_again(self._chosen(self._plan.share * self._rows_since))
        rows, together, _ = batch
        count = max(self._plan.alone, math.ceil(self._plan.alone_share * self._rows_since))
        self._check_together(self._alone(rows[:count]), together[:count], batch)
        self._last = None
        self._rows_since = self._batches_since = 0
        self._looked = time.perf_counter()
        self._took = self._looked - start

    def _ask_first(self, noisy: Tensor, count: int) -> Tensor:
        """What `count` rows of a batch and then the random ones give; in no larger batches than the one that came."""
        self._first, self._known = [], []
        said: list[Tensor] = []
        total, size = count + _PROBES, min(len(noisy), max(1, self._room(noisy)))
        for start in range(0, total, size):
            rows = range(start, min(start + size, total))
            batch = torch.stack([noisy[row] if row < count else _probe(row - count, noisy) for row in rows])
            said.append(self._together(batch))
            if not self._first or self._room(noisy) >= len(batch):
                self._first = [*self._first, (batch, said[-1])]
        return torch.cat(said)

    def _room(self, noisy: Tensor) -> int:
        """For how many more rows there is memory."""
        taken = sum(rows.nbytes for rows, _ in [*self._first, *self._known])
        return max(0, _MOST_BYTES - taken) // noisy[0].nbytes

    def _remember(self, noisy: Tensor, output: Tensor) -> None:
        """The first rows of a batch, as many as there is memory for, and what they give in a batch of their own."""
        rows = noisy[: min(self._plan.batch, max(1, self._room(noisy)))].clone()
        said = output.clone() if len(rows) == len(noisy) else self._together(rows)
        self._known = [*self._known, (rows, said)]

    def _chosen(self, count: float) -> list[_Known]:
        """The first rows, and of the others at random so many that there are at least `count`."""
        chosen: list[_Known] = []
        for each in self._choice.sample(self._known, len(self._known)):
            if sum(len(rows) for rows, _ in chosen) >= count:
                break
            chosen.append(each)
        return [*self._first, *chosen]

    def _check_again(self, known: list[_Known]) -> None:
        """Raise ClassifierError if rows give, each time that they are asked, something else than before."""
        allowed = self._rounding.tie * self._rounding.spread
        before = torch.cat([said for _, said in known])
        for _ in range(_AGAIN):
            after = torch.cat([self._together(rows) for rows, _ in known])
            odd = differences(after, before, self._rounding.again) > allowed
            if int(odd.sum()) <= self._plan.jumps:
                return
        batches = "a batch" if self._batches_since == 1 else f"{self._batches_since} batches"
        raise _unsteady(f"before and after {batches}", after[odd], before[odd], int(odd.sum()), len(before))

    def _check_together(self, alone: Tensor, together: Tensor, batch: _Batch) -> None:
        """Raise ClassifierError if rows alone differ from rows in their batch, and more than a few do."""
        rows, outputs, size = batch
        odd = differences(alone, together, self._rounding.tie) > self._allowed
        if self._plan is _OF_STEPS:
            self._compared += len(odd)
            self._jumped += int(odd.sum())
            if at_least(self._jumped, self._compared, _HONEST_JUMPS) < _CHANCE:
                raise _unsteady(
                    f"alone and in a batch of {size}", alone[odd], together[odd], self._jumped, self._compared
                )
        elif bool(odd.any()):
            again = self._alone(rows)
            odd = differences(again, outputs, self._rounding.tie) > self._allowed
            if int(odd.sum()) > max(1 if size > 1 else 0, _ODD_ROWS * len(rows)):
                raise _unsteady(f"alone and in a batch of {size}", again[odd], outputs[odd], int(odd.sum()), len(rows))


def _probe(row: int, like: Tensor) -> Tensor:
    """An input of random values, always the same one, whatever the size of the batch that it is part of."""
    source = torch.Generator("cpu").manual_seed(row)
    return torch.rand(like.shape[1:], generator=source, dtype=torch.float32, device="cpu").to(like)


def _unsteady(when: str, found: Tensor, other: Tensor, count: int, of: int) -> ClassifierError:
    """For the outputs `found` and `other` of rows that differ, as `count` of `of` rows did."""
    if found.ndim == 1:
        how = f"{count} of {of} votes"
    else:
        changed = found != other
        difference = float((found - other)[changed].abs().max())
        largest = float(torch.maximum(found.abs(), other.abs())[changed].max())
        how = f"by {difference:.3g}, with outputs up to {largest:.3g}"
    return ClassifierError(
        f"the base classifier answers differently for the same input {when} ({how}): it depends on its batch, on "
        "chance or on what came before, and nothing can be certified. Is batch normalization or dropout left in "
        "training mode, are activations quantized by the range of their batch (batch_size=1 helps), or does it keep a "
        "state?"
    )
