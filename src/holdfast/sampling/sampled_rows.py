"""Random rows of random batches, with what they gave there, to be asked again elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import random

    from torch import Tensor

# An input, and what it gave.
Row = tuple["Tensor", "Tensor"]
# Batches of which rows are kept, beside the last one.
BATCHES = 8


class SampledRows:
    """Rows of a few batches that passed since the last call of `take`, and of the last one.

    Each batch is as likely as another, and so is nearly each place in it. Which ones it holds is drawn from a generator
    of its own, never from that of the noise or one that a classifier can see.

    Args:
        choice: where the randomness comes from.

    Attributes:
        rows: that have passed since the last call of `take`.
        batches: the same in batches.
        last_size: of the last batch.

    Source: Waterman's algorithm R, in Knuth, The Art of Computer Programming, volume 2, 3.4.2.
    """

    def __init__(self, choice: random.Random) -> None:
        self._choice = choice
        self._of_batches: list[Row] = []
        self._last: Row | None = None
        self.rows = self.batches = self.last_size = 0

    def saw(self, noisy: Tensor, output: Tensor, most: int) -> None:
        """Take copies of up to `most` rows of a batch, at least 1, which stand as far apart as they can."""
        size = len(noisy)
        if not size:
            return
        step = max(1, size // most)
        start = int(self._choice.random() * max(1, size - (most - 1) * step))
        some = slice(start, start + most * step, step)
        self._last = noisy[some].clone(), output[some].clone()
        self.rows, self.batches, self.last_size = self.rows + size, self.batches + 1, size
        if len(self._of_batches) < BATCHES:
            self._of_batches.append(self._last)
        elif (place := int(self._choice.random() * self.batches)) < BATCHES:
            self._of_batches[place] = self._last

    def take(self) -> tuple[list[Row], list[Row]]:
        """Rows of the last batch, and rows of others, each in random order; what follows begins anew."""
        last, of_batches = self._last, self._of_batches
        self._last, self._of_batches = None, []
        self.rows = self.batches = 0
        if last is None:
            return [], []
        # Threads may pass inputs of several shapes.
        others = [each for each in of_batches if each is not last and each[0].shape[1:] == last[0].shape[1:]]
        of_last, of_others = _rows(last), [row for each in others for row in _rows(each)]
        self._choice.shuffle(of_last)
        self._choice.shuffle(of_others)
        return of_last, of_others


def stacked(rows: list[Row]) -> Row:
    """Inputs `(num, *noisy event)` and outputs `(num, ...)`."""
    return torch.stack([row for row, _ in rows]), torch.stack([output for _, output in rows])


def _rows(several: Row) -> list[Row]:
    return list(zip(several[0].unbind(), several[1].unbind(), strict=True))
