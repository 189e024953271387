"""Random rows of random batches with their outputs, to be computed again in another batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import random

    from torch import Tensor

# An input and its output.
Row = tuple["Tensor", "Tensor"]
# Batches whose rows are held, besides the last one.
BATCHES = 8


class SampledRows:
    """Rows of the last batch, and of a few batches since the last call of `take`.

    Each batch is equally likely, and nearly so is each position in it. The choice comes from a separate generator,
    never from that of the noise or one that a classifier can see.

    Args:
        choice: the generator.

    Attributes:
        rows: number of rows since the last call of `take`.
        batches: number of batches since then.
        last_size: size of the last batch.

    Source: Waterman's algorithm R, in Knuth, The Art of Computer Programming, volume 2, 3.4.2.
    """

    def __init__(self, choice: random.Random) -> None:
        self._choice = choice
        self._of_batches: list[Row] = []
        self._last: Row | None = None
        self.rows = self.batches = self.last_size = 0

    def observe(self, noisy: Tensor, output: Tensor, most: int) -> None:
        """Copy up to `most` rows of a batch, at least 1, as far apart as possible."""
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
        """Rows of the last batch and rows of others, each in random order; then start over."""
        last, of_batches = self._last, self._of_batches
        self._last, self._of_batches = None, []
        self.rows = self.batches = 0
        if last is None:
            return [], []
        # Threads may send inputs of several shapes.
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
