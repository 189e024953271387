"""Noisy copies of inputs, cut from keyed blocks of draws: the same copies wherever the blocks are cut."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from holdfast.sampling.rng import BLOCK, Generators, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import Tensor

    from holdfast.noises.base import Noise

_Key = tuple[int, Stream, int]


class Blocks:
    """Writes noisy copies: whole blocks at once, parts of blocks in the order of the requests.

    Of a block cut between two batches, at most one part is held (`Noise.draw_parts`); the next one is drawn when
    needed. A request for draws before the held part starts the block again, with the same draws.

    Args:
        noise: the smoothing noise.
        seed: of the run.
        device: where inputs and generators live.
    """

    def __init__(self, noise: Noise, seed: int, device: torch.device) -> None:
        self.noise = noise
        self._seed, self._device = seed, device
        self._key: _Key | None = None
        self._parts: Iterator[Tensor] = iter(())
        # The held part, and the number of its first draw in the block.
        self._part: Tensor | None = None
        self._first = 0

    @cached_property
    def _whole(self) -> Generators:
        return Generators(self._seed, self._device)

    @cached_property
    def _cut(self) -> Generators:
        # Separate: it stays in the middle of a block while whole blocks are drawn.
        return Generators(self._seed, self._device)

    def write(self, noisy: Tensor, x: Tensor, example: int, stream: Stream, first: int) -> None:
        """Write noisy copies `(num, *noisy event)` of one example, from draw `first` of a stream on, all in one block.

        `example` is `Example.noise_key`.
        """
        block, start = divmod(first, BLOCK)
        key = example, stream, block
        if len(noisy) == BLOCK:
            self.noise.sample_into(noisy, x, self._whole.at(*key))
            return
        done = 0
        for draws in self._some(key, x, start, len(noisy)):
            noisy[done : done + len(draws)].copy_(self.noise.apply(x.unsqueeze(0), draws))
            done += len(draws)
        if start + len(noisy) == BLOCK:
            self.forget()

    def forget(self) -> None:
        """Free the held part."""
        self._key, self._parts, self._part = None, iter(()), None

    def _some(self, key: _Key, x: Tensor, start: int, num: int) -> Iterator[Tensor]:
        """Draws `start` to `start + num - 1` of a block."""
        if key != self._key or start < self._first:
            self.forget()
            self._parts = self.noise.draw_parts(x, BLOCK, self._cut.at(*key))
            self._key, self._first = key, 0
        end = start + num
        while start < end:
            if self._part is None:
                self._part = next(self._parts)
            last = self._first + len(self._part)
            if start >= last:
                self._part, self._first = None, last
                continue
            until = min(end, last)
            yield self._part[start - self._first : until - self._first]
            start = until
