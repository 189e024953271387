"""The only Monte-Carlo loop: it fills batches across inputs, keeps counting on the device, and holds one batch."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from holdfast.errors import ClassifierError
from holdfast.sampling.rng import BLOCK, Stream, generator
from holdfast.types import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from holdfast.noises.base import Noise
    from holdfast.sampling.classifier import VotingClassifier
    from holdfast.sampling.procedure import Procedure, Votes
    from holdfast.types import Example

# Inputs that may be under way at once; each needs a row of counters on the device.
_MOST_UNDER_WAY = 1024


@dataclass(eq=False)
class _Input:
    """An input under way: the votes it has, and the request that is being served."""

    example: Example
    x: Tensor
    slot: int
    stream: Stream
    drawn: int
    until: int
    votes: Votes = field(default_factory=dict)


class MonteCarlo:
    """Draws noise, collects votes, and yields each input's counts as soon as it has all it asked for.

    Args:
        classifier: the base classifier.
        noise: the smoothing noise.
        procedure: what is drawn for each input.
        seed: of the run; with an example's index, a stream and a block number it keys every generator.
        batch_size: noisy copies that pass through the classifier at a time, at least 1. Results do not depend on it.
        device: where inputs, noise and counters live.
        on_batch: called after each batch with the number of samples in it.
    """

    def __init__(
        self,
        classifier: VotingClassifier,
        noise: Noise,
        procedure: Procedure,
        seed: int,
        batch_size: int,
        device: torch.device,
        on_batch: Callable[[int], None] | None = None,
    ) -> None:
        self.classifier = classifier
        self.noise = noise
        self.procedure = procedure
        self.seed = seed
        self.batch_size = batch_size
        self.device = device
        self.on_batch = on_batch
        slots = min(batch_size, _MOST_UNDER_WAY)
        self._free = deque(range(slots))
        self._counters = torch.zeros((slots, classifier.num_classes), dtype=torch.int64, device=device)
        self._void = torch.zeros(slots, dtype=torch.int64, device=device)

    def run(self, examples: Iterable[Example]) -> Iterator[tuple[Example, Votes]]:
        """Yield `(example, votes by stream)` for every example, in the order in which they are finished.

        Raises:
            ClassifierError: a logit was NaN or infinite; the message names the example.
        """
        waiting = iter(examples)
        under_way: deque[_Input] = deque()
        while True:
            pieces = self._fill_batch(under_way, waiting)
            if not pieces:
                return
            self._count(pieces)
            finished = [item for item in under_way if item.drawn == item.until]
            self._collect(finished)
            for item in finished:
                if not self._ask(item):
                    under_way.remove(item)
                    self._free.append(item.slot)
                    yield item.example, item.votes

    def _fill_batch(self, under_way: deque[_Input], waiting: Iterator[Example]) -> list[tuple[_Input, int, int]]:
        """Pieces `(input, first draw, end)` that together make at most one batch, oldest inputs first."""
        pieces: list[tuple[_Input, int, int]] = []
        room = self.batch_size
        position = 0
        while room:
            if position == len(under_way) and not (self._free and self._admit(under_way, waiting)):
                break
            item = under_way[position]
            while room and item.drawn < item.until:
                end = min(item.until, item.drawn + room, (item.drawn // BLOCK + 1) * BLOCK)
                pieces.append((item, item.drawn, end))
                room -= end - item.drawn
                item.drawn = end
            position += 1
        return pieces

    def _admit(self, under_way: deque[_Input], waiting: Iterator[Example]) -> bool:
        example = next(waiting, None)
        if example is None:
            return False
        x = torch.from_numpy(example.x).to(self.device)
        item = _Input(example, x, self._free.popleft(), Stream.SELECTION, 0, 0)
        if not self._ask(item):
            raise ValueError(f"{self.procedure} asks for no samples")
        under_way.append(item)
        return True

    def _ask(self, item: _Input) -> bool:
        """Start the input's next request; False if it has none."""
        request = self.procedure.next_draws(item.votes)
        if request is None:
            return False
        stream, num = request
        item.stream = stream
        item.drawn = item.votes[stream].total if stream in item.votes else 0
        item.until = item.drawn + num
        return True

    def _count(self, pieces: list[tuple[_Input, int, int]]) -> None:
        """Draw the noise of one batch, classify it, and add the votes to the counters on the device."""
        noisy = torch.cat([self._noisy(item, first, end) for item, first, end in pieces])
        lengths = torch.tensor([end - first for _, first, end in pieces])
        slots = torch.tensor([item.slot for item, _, _ in pieces]).repeat_interleave(lengths).to(self.device)
        votes, void = self.classifier.votes(noisy)
        cells = slots * self.classifier.num_classes + votes
        self._counters.view(-1).scatter_add_(0, cells, torch.ones_like(cells))
        self._void.scatter_add_(0, slots, void.long())
        if self.on_batch:
            self.on_batch(len(noisy))

    def _noisy(self, item: _Input, first: int, end: int) -> Tensor:
        """Noisy copies number `first` to `end` of the input's stream; they lie in one block."""
        if self.procedure.exhaustive:
            return self.noise.apply(item.x.unsqueeze(0), self.noise.enumerate(item.x, first, end))
        block = first // BLOCK
        source = generator(self.seed, item.example.index, item.stream, block, self.device)
        start = block * BLOCK
        draws = self.noise.draw(item.x, BLOCK, source)[first - start : end - start]
        return self.noise.apply(item.x.unsqueeze(0), draws)

    def _collect(self, finished: list[_Input]) -> None:
        """Move the finished inputs' counters to the host, all in one transfer, and clear them."""
        if not finished:
            return
        slots = torch.tensor([item.slot for item in finished], device=self.device)
        rows = torch.cat([self._counters[slots], self._void[slots].unsqueeze(1)], dim=1).cpu().tolist()
        self._counters[slots] = 0
        self._void[slots] = 0
        for item, (*votes, void) in zip(finished, rows, strict=True):
            if void:
                raise ClassifierError(
                    f"the base classifier returned NaN or infinite logits for {void} of {sum(votes)} noisy copies of "
                    f"example {item.example.index}. A diverged model cannot be certified; retrain it, or use "
                    "--precision float32 if it was trained in another precision."
                )
            before = item.votes.get(item.stream)
            new = Counts(tuple(votes))
            item.votes[item.stream] = (
                new
                if before is None
                else Counts.of([old + add for old, add in zip(before.votes, new.votes, strict=True)])
            )
