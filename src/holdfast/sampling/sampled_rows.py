"""Random rows of the batches that pass, with what they gave there, to be asked again elsewhere."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import random

    from torch import Tensor

# An input, and what it gave.
Row = tuple["Tensor", "Tensor"]
# So many neighbours of the last batch are kept.
_OF_LAST = 8


class SampledRows:
    """A sample of all rows that have passed since the last call of `take`, and a few of the last batch.

    Each row is in the sample with the same probability, whatever batch it came in and wherever it stood there. Which
    ones it holds is drawn from a generator of its own, never from that of the noise or one that a classifier can see.

    Args:
        choice: where the randomness comes from.

    Attributes:
        rows: that have passed since the last call of `take`.
        batches: the same in batches.
        last_size: of the last batch.

    Source: Li 1994, "Reservoir-sampling algorithms of time complexity O(n(1 + log(N/n)))", algorithm L.
    """

    def __init__(self, choice: random.Random) -> None:
        self._choice = choice
        self._sample: list[Row] = []
        self._last: Row | None = None
        self._most, self._next, self._chance = 1, 0, 1.0
        self.rows = self.batches = self.last_size = 0

    def saw(self, noisy: Tensor, output: Tensor, most: int) -> None:
        """Take copies of what is chosen of a batch; `most` rows, at least 1, are sampled of all until `take`."""
        if not len(noisy):
            return
        if not self.rows:
            self._most, self._chance, self._next = most, 1.0, most - 1
        before, after = self.rows, self.rows + len(noisy)
        self.rows, self.batches, self.last_size = after, self.batches + 1, len(noisy)
        start = self._choice.randrange(max(1, len(noisy) - _OF_LAST + 1))
        end = start + min(_OF_LAST, self._most)
        self._last = noisy[start:end].clone(), output[start:end].clone()
        missing = self._most - before
        if missing > 0:
            # The first ones are all in it.
            self._sample += zip(noisy[:missing].clone().unbind(), output[:missing].clone().unbind(), strict=True)
            if after >= self._most:
                self._skip()
        while self._most <= self._next < after:
            row = self._next - before
            self._sample[self._choice.randrange(self._most)] = noisy[row].clone(), output[row].clone()
            self._skip()

    def take(self) -> tuple[list[Row], list[Row]]:
        """Rows of the last batch, and the sample of all, both in random order; what follows begins anew."""
        last, sample = self._last, self._sample
        self._last, self._sample = None, []
        self.rows = self.batches = 0
        of_last = [] if last is None else list(zip(last[0].unbind(), last[1].unbind(), strict=True))
        # Threads may pass inputs of several shapes.
        of_all = [each for each in sample if of_last and each[0].shape == of_last[0][0].shape]
        self._choice.shuffle(of_last)
        self._choice.shuffle(of_all)
        return of_last, of_all

    def _skip(self) -> None:
        """Draw which row is the next one to enter the sample."""
        self._chance *= (1.0 - self._choice.random()) ** (1.0 / self._most)
        passing = math.log1p(-self._chance) if self._chance < 1.0 else -math.inf
        gap = math.log(1.0 - self._choice.random()) / passing if passing else math.inf
        self._next += 1 + int(min(gap, 2.0**62))


def stacked(rows: list[Row]) -> Row:
    """Inputs `(num, *noisy event)` and outputs `(num, ...)`."""
    return torch.stack([row for row, _ in rows]), torch.stack([output for _, output in rows])
