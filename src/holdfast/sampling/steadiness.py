"""Whether a base classifier is a function: an input has the same output, alone, in any batch, and later.

As long as the classifier is in use, random rows of random batches are computed again: alone, and in another order among
rows of other batches. No classifier can foresee which ones. This finds accidents: batch statistics, chance, state, a
clock, a cache. It cannot find malice: a classifier that detects the check can answer as it likes.
"""

from __future__ import annotations

import math
import random
import time
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch

from holdfast.errors import ClassifierError
from holdfast.sampling.logits import Rounding, differences
from holdfast.sampling.look_plans import OF_LOGITS, OF_STEPS, Plan
from holdfast.sampling.sampled_rows import BATCHES, Row, SampledRows, stacked
from holdfast.sampling.suspicion import Suspicion, unsteady

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

# Difference between a row alone and in its batch that no rounding explains, as a share of the spread of the logits.
_BATCH_DEPENDENCE = 0.05
# Additional difference allowed in the first batch, for half precision: as a share of the size of the logits, and at
# most as a share of their spread.
_COARSE, _COARSE_AT_MOST = 2.0**-8, 0.25
# Two logits must differ by this many times the largest difference seen between batches, to be sure of the larger one.
MARGIN = 4.0
# Rows of the first batch, and random rows, computed together; rows of the first batch computed alone if one of them
# differed; and how often to compute rows whose output changed.
_TOGETHER, _PROBES, _MORE, _AGAIN = 8, 8, 40, 4
# Rows of a batch to remember if answers are in steps. If they are logits, only rows computed at a look are remembered,
# which costs less and says enough.
_STEPS = 64
# Largest memory for remembered rows, in rows and bytes, and the same for the sample since the last look; and the most
# rows of each to compute at a look.
_MOST, _MOST_BYTES, _MOST_ASKED = 1024, 2**24, 256
# Time between two looks, as a multiple of the time of a look: the larger multiple if it is at most this many seconds,
# since samples since the last look are lost with the process; at least the smaller one, so that looks cost below 1%.
_LEAST_REST, _REST, _PATIENCE_SECONDS = 120.0, 400.0, 10.0

_LOCKS = ("_sampling", "_looking")

# Rows, and their outputs as a batch of their own.
_Known = tuple["Tensor", "Tensor"]


class Steadiness:
    """Looks at a classifier at intervals, and compares with its earlier outputs.

    Several threads may use it. One looks at a time, at the rows of all; once the classifier is refused, it is refused
    for all threads.

    Args:
        alone: from rows `(num, *noisy event)` to the classifier's outputs, each row computed alone.
        together: the same, all rows in one batch.
        by_copy: the same, by a copy of the classifier without earlier calls; returns None if there is no such copy.
    """

    def __init__(
        self,
        alone: Callable[[Tensor], Tensor],
        together: Callable[[Tensor], Tensor],
        by_copy: Callable[[Tensor], Tensor | None],
    ) -> None:
        self._alone = alone
        self._together = together
        self._by_copy = by_copy
        self._rounding = Rounding(0.0, 0.0, 0.0, 0.0)
        # Allowed difference of a row in another batch.
        self._allowed = 0.0
        # Never replaced, so that a slow drift adds up: rows computed at every look, and rows chosen in turn.
        self._first: list[_Known] = []
        self._known: list[_Known] = []
        self._plan = OF_LOGITS
        self._reset_suspicion(self._plan)
        # From the operating system's entropy: not predictable, and no result depends on it.
        self._choice = random.Random()
        self._sampled = SampledRows(self._choice)
        self._looks = 0
        self._refusal: ClassifierError | None = None
        self._last_look = self._look_seconds = 0.0
        # Rows in all, and in the largest batch.
        self._rows = self._largest = 0
        self._sampling, self._looking = Lock(), Lock()

    def __getstate__(self) -> dict[str, Any]:
        # Locks stay in their process.
        return {name: value for name, value in vars(self).items() if name not in _LOCKS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, **{name: Lock() for name in _LOCKS})

    def first(self, noisy: Tensor, output: Tensor, tie: float) -> tuple[Tensor, float]:
        """Compare rows of the first batch with their outputs alone, and in a batch with random rows.

        Args:
            noisy: the first batch.
            output: its output.
            tie: share of a logit by which the rounding of one input may differ in another batch.

        Returns:
            The outputs for the random rows, which are always the same rows; and the largest difference between logits
            beyond the rounding of the logit itself.

        Raises:
            ClassifierError: they differ by more than rounding does.
        """
        start = time.perf_counter()
        count = min(_TOGETHER, len(noisy))
        answers = self._ask_first(noisy, count)
        seen = torch.cat([answers[count:], output[:_MORE]])
        self._rounding = Rounding.of(seen, tie)
        in_steps = output.ndim == 1 or 2 * len(torch.unique(seen, dim=0)) < len(seen)
        self._plan = OF_STEPS if in_steps else OF_LOGITS
        rows = torch.linspace(0, len(noisy) - 1, min(self._plan.first, len(noisy)), device="cpu").long()
        rows = rows.to(noisy.device)
        self._reset_suspicion(self._plan)
        found = torch.cat([self._alone(noisy[rows]), answers[:count]])
        before = torch.cat([output[rows], output[:count]])
        coarse = min(_COARSE * self._rounding.size, _COARSE_AT_MOST * self._rounding.spread)
        self._allowed = _BATCH_DEPENDENCE * self._rounding.spread + coarse
        where = f"alone and in a batch of {len(noisy)}"
        if self._differ(found, before, self._elsewhere, where):
            self._differ(self._alone(noisy[:_MORE]), output[:_MORE], self._elsewhere, where)
        if in_steps:
            self._remember(noisy, output)
        difference = float(differences(found, before, self._rounding.again).max())
        # A jump between steps is no rounding to allow to other rows.
        self._allowed = _BATCH_DEPENDENCE * self._rounding.spread + (0.0 if in_steps else MARGIN * difference)
        self._last_look = time.perf_counter()
        self._look_seconds = self._last_look - start
        return answers[count:], difference

    def observe(self, noisy: Tensor, output: Tensor) -> None:
        """Copy some rows of a batch, for the next look."""
        with self._sampling:
            room = _MOST_BYTES * len(noisy) // max(1, BATCHES * noisy.nbytes)
            self._sampled.observe(noisy, output, max(1, min(self._plan.sampled, room)))
        self._rows += len(noisy)
        self._largest = max(self._largest, len(noisy))
        if self._plan is OF_STEPS and self._remembers_more() and self._room(noisy):
            self._remember(noisy, output)

    def due(self) -> bool:
        """Whether enough time has passed since the last look for another one to cost next to nothing."""
        pause = min(_REST * self._look_seconds, max(_LEAST_REST * self._look_seconds, _PATIENCE_SECONDS))
        return time.perf_counter() - self._last_look >= pause

    def look(self, *, last: bool) -> None:
        """Compute remembered rows again, and rows of the batches since the last look alone and in another batch.

        Args:
            last: whether this may be the last look.

        Raises:
            ClassifierError: an output differs from the earlier one, or from the one in its batch, at this look or at a
                previous one.
        """
        with self._looking:
            if self._refusal is not None:
                raise ClassifierError(str(self._refusal)) from self._refusal
            try:
                self._look(last)
            except ClassifierError as error:
                self._refusal = error
                raise

    def _look(self, last: bool) -> None:
        with self._sampling:
            passed, batches, size = self._sampled.rows, self._sampled.batches, self._sampled.last_size
            of_last, of_others = self._sampled.take()
        if not of_last or not self._first:
            return
        start = time.perf_counter()
        most = _MOST if last else _MOST_ASKED
        self._check_again(self._chosen(min(self._plan.share * passed, most)), batches)
        mixed = math.ceil(min((self._plan.last if last else self._plan.share) * passed, most))
        self._check_elsewhere(max(self._plan.mixed, mixed), of_last, of_others, size)
        self._last_look = time.perf_counter()
        self._look_seconds = self._last_look - start

    def _reset_suspicion(self, plan: Plan) -> None:
        # Rows computed alone or in another batch, rows computed by a copy, and rows in the same batch as before.
        self._elsewhere, self._copied = Suspicion(plan.elsewhere), Suspicion(plan.elsewhere)
        self._again = Suspicion(plan.now_and_then)

    def _ask_first(self, noisy: Tensor, count: int) -> Tensor:
        """Outputs of `count` rows of a batch and then of the random rows, in batches no larger than the given one."""
        self._first, self._known = [], []
        answers: list[Tensor] = []
        total, size = count + _PROBES, min(len(noisy), max(1, self._room(noisy)))
        for start in range(0, total, size):
            rows = range(start, min(start + size, total))
            batch = torch.stack([noisy[row] if row < count else _probe(row - count, noisy) for row in rows])
            answers.append(self._together(batch))
            if not self._first or self._room(noisy) >= len(batch):
                self._first = [*self._first, (batch, answers[-1])]
        return torch.cat(answers)

    def _room(self, noisy: Tensor) -> int:
        """How many more rows the memory suffices for."""
        taken = sum(rows.nbytes for rows, _ in [*self._first, *self._known])
        return max(0, _MOST_BYTES - taken) // noisy[0].nbytes

    def _remembers_more(self) -> bool:
        """Whether to remember more rows."""
        known = sum(len(rows) for rows, _ in [*self._first, *self._known])
        return known < min(self._plan.share * self._rows, _MOST)

    def _remember(self, noisy: Tensor, output: Tensor) -> None:
        """Remember the first rows of a batch, as memory allows, and their outputs as a batch of their own."""
        rows = noisy[: min(_STEPS, max(1, self._room(noisy)))].clone()
        answers = output.clone() if len(rows) == len(noisy) else self._together(rows)
        self._known = [*self._known, (rows, answers)]

    def _ask_and_remember(self, rows: Tensor) -> Tensor:
        """The outputs of rows in one batch; remember them if there is memory."""
        answers = self._together(rows)
        if self._remembers_more() and self._room(rows) >= len(rows):
            self._known = [*self._known, (rows, answers)]
        return answers

    def _chosen(self, count: float) -> list[_Known]:
        """The first rows, the oldest others, and random ones of the remaining until there are at least `count` others.

        The oldest ones show most of a drift.
        """
        oldest, younger = self._known[:1], self._known[1:]
        chosen = list(oldest)
        for each in self._choice.sample(younger, len(younger)):
            if sum(len(rows) for rows, _ in chosen) >= count:
                break
            chosen.append(each)
        return [*self._first, *chosen]

    def _check_again(self, known: list[_Known], batches: int) -> None:
        """Raise ClassifierError if remembered rows change at every repetition, or too often.

        Args:
            known: the rows and their earlier outputs.
            batches: number of batches since the last look.
        """
        allowed = self._rounding.tie * self._rounding.spread
        before = torch.cat([answers for _, answers in known])
        between = "a batch" if batches == 1 else f"{batches} batches"
        for _ in range(_AGAIN):
            after = torch.cat([self._together(rows) for rows, _ in known])
            differing = differences(after, before, self._rounding.again) > allowed
            if self._again.add(differing):
                raise unsteady(f"before and after {between}", after[differing], before[differing], self._again)
            if int(differing.sum()) <= self._plan.jumps:
                return
        seen = Suspicion(0.0, len(differing), int(differing.sum()))
        raise unsteady(f"before and after {between}", after[differing], before[differing], seen)

    def _check_elsewhere(self, count: int, of_last: list[Row], of_others: list[Row], size: int) -> None:
        """Raise ClassifierError if too many rows of the batches since the last look differ alone or in another batch.

        Args:
            count: rows to compute together; at least as many again if one of them differs.
            of_last: rows of the last batch.
            of_others: rows of other batches.
            size: of the last batch.
        """
        rows, together = stacked(of_last[: self._plan.alone])
        where = f"alone and in a batch of {size}"
        differing = self._differ(self._alone(rows), together, self._elsewhere, where)
        # Rows of the last batch as well: the present outputs may depend on that batch alone.
        chosen = [*of_last[-max(1, count // 2) :], *of_others]
        self._check_mixed(chosen, count, differing, self._ask_and_remember, self._elsewhere, where)
        # A copy may be slow. It shows what holds from the first batch on, so fewer looks suffice.
        self._looks += 1
        if self._looks & (self._looks - 1) == 0:
            where = f"by a new copy of itself and in a batch of {size}"
            self._check_mixed(chosen, count, False, self._by_copy, self._copied, where)

    def _check_mixed(
        self,
        chosen: list[Row],
        count: int,
        differing: bool,
        compute: Callable[[Tensor], Tensor | None],
        seen: Suspicion,
        where: str,
    ) -> None:
        """Raise ClassifierError if rows differ in another batch; compute `count` of them, or all if one differs."""
        for start in range(0, len(chosen), count):
            if start and not differing:
                return
            some = chosen[start : start + count]
            self._choice.shuffle(some)
            rows, before = stacked(some)
            # In batches no larger than the given ones.
            found = [compute(rows[first : first + self._largest]) for first in range(0, len(rows), self._largest)]
            known = [each for each in found if each is not None]
            if len(known) < len(found):
                return
            differing |= self._differ(torch.cat(known), before, seen, where)

    def _differ(self, found: Tensor, before: Tensor, seen: Suspicion, where: str) -> bool:
        """Whether rows differ from their output in their batch; ClassifierError if too many have so far."""
        differing = differences(found, before, self._rounding.tie) > self._allowed
        if seen.add(differing):
            raise unsteady(where, found[differing], before[differing], seen)
        return bool(differing.any())


def _probe(row: int, like: Tensor) -> Tensor:
    """A random input, the same for each `row`, whatever the size of its batch."""
    source = torch.Generator("cpu").manual_seed(row)
    return torch.rand(like.shape[1:], generator=source, dtype=torch.float32, device="cpu").to(like)
