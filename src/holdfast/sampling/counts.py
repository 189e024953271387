"""The only Monte-Carlo loop: it fills batches across inputs, counts on the device, and holds one batch in memory."""

from __future__ import annotations

import math
import time
import warnings
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from holdfast.errors import HoldfastError, InputError, first_line
from holdfast.memory import is_out_of_memory
from holdfast.noises.draws import Draws
from holdfast.sampling.batches import BatchSize
from holdfast.sampling.classifier import VotingClassifier, undecided
from holdfast.sampling.procedure import check_ranked
from holdfast.sampling.rng import Stream
from holdfast.sampling.settings import computing
from holdfast.sampling.sizes import answers_of, rankings_of, settled_of, votes_of
from holdfast.sampling.transfer import ToHost, to_device
from holdfast.sampling.void import no_vote
from holdfast.types import Counts, RankedCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from holdfast.noises.base import Noise
    from holdfast.sampling.classifier import Answers
    from holdfast.sampling.procedure import Procedure, Votes
    from holdfast.types import Example

# Inputs in progress at once; each needs a row of counters on the device.
_MOST_UNDER_WAY = 1024
# Rankings are compared class with class for so many numbers at once.
_PAIRS = 2**24
# Where there is a deadline, how long a batch takes is found out with so many copies.
_FIRST_TIMED = 16


@dataclass(eq=False)
class _Input:
    """An input in progress: its votes, and the request that is being served."""

    example: Example
    x: Tensor
    slot: int
    stream: Stream
    drawn: int
    until: int
    # Steps of the device that must end before its request is served.
    pending: int = 0
    votes: Votes = field(default_factory=dict)


# An input and a range of its draws, first to end.
_Piece = tuple[_Input, int, int]


@dataclass(frozen=True, eq=False)
class _Queued:
    """A batch that the device computes: its noisy copies and answers, and what the host must know of it.

    Attributes:
        known: whether each condition of the noise and of the votes holds, and then which copies are near ties.
        conditions: the number of conditions.
    """

    pieces: list[_Piece]
    noisy: Tensor
    answers: Answers
    known: ToHost
    conditions: int


class MonteCarlo:
    """Draws noise, collects votes, and yields each input's counts as soon as they are complete.

    Args:
        classifier: the base classifier.
        noise: the smoothing noise.
        procedure: what is drawn for each input.
        seed: of the run; the noise is a function of it, the example's index (or its own key), a stream and a draw.
        batch_size: noisy copies that pass through the classifier at a time, at least 1; or a search for the fastest
            number during the work. Results do not depend on it.
        device: where inputs, noise and counters live.
        on_batch: called after each batch with the number of its samples.
        threads: torch's processor threads during the loop.
        confirming: whether an input's counts wait until the classifier was checked again, and are withheld if it has
            changed (`VotingClassifier.confirm`).
        queueing: whether a batch is given to the device before the last one is finished with, so that the device never
            waits for the host; None for all devices but processors. Results do not depend on it.

    If the device has no memory for a batch, this batch and all later ones are halved, with a RuntimeWarning unless a
    search chose the size. All batches use the same tensor of noisy copies; with `queueing`, two take turns.

    With `queueing`, the host asks for three things of a batch only after the next one is under way: which copies are
    near ties, which then are computed alone; whether noise needed more random words than were drawn ahead, or votes
    were not classes, and then the batch is computed again as without `queueing`; and, another batch later, the counts
    of the inputs that it completed. Batches that are timed, by a search for the fastest size or for a deadline, are
    waited for.
    """

    def __init__(
        self,
        classifier: VotingClassifier,
        noise: Noise,
        procedure: Procedure,
        seed: int,
        batch_size: int | BatchSize,
        device: torch.device,
        on_batch: Callable[[int], None] | None = None,
        *,
        threads: int = 1,
        confirming: bool = True,
        queueing: bool | None = None,
    ) -> None:
        self.classifier = classifier
        self.noise = noise
        self.procedure = procedure
        self.seed = seed
        self.batches = batch_size if isinstance(batch_size, BatchSize) else BatchSize(batch_size, settled=True)
        self.device = device
        self.on_batch = on_batch
        self.threads = threads
        self.confirming = confirming
        # Of a run-off, rankings; there are few of them, since every realization of the noise is taken once.
        self._ranked = procedure.ranked
        if self._ranked:
            check_ranked(classifier.num_classes)
        # A classifier that overrides `votes` is asked for them.
        in_two_steps = type(classifier).votes is VotingClassifier.votes and not self._ranked
        self._queueing = in_two_steps and (device.type != "cpu" if queueing is None else queueing)
        # With a queue, the inputs of three batches may wait for their counts.
        slots = min(self.batches.most * (3 if self._queueing else 1), _MOST_UNDER_WAY)
        self._free = deque(range(slots))
        # A column for each class, one for void votes, one for near ties that cannot be settled, and with rankings one
        # for each two classes.
        columns = classifier.num_classes + 2 + (classifier.num_classes**2 if self._ranked else 0)
        self._counters = torch.zeros((slots, columns), dtype=torch.int64, device=device)
        self._one = torch.ones((), dtype=torch.int64, device=device)
        # The tensors of noisy copies, and which of them the next batch takes.
        self._copies: list[Tensor | None] = [None, None]
        self._turn = 0
        self._queue: deque[_Queued] = deque()
        # Inputs whose counts are on their way.
        self._asked: deque[tuple[list[_Input], ToHost]] = deque()
        self._older = 0
        # Copies a second of the last batch that was timed; None before.
        self._pace: float | None = None

    def run(self, examples: Iterable[Example]) -> Iterator[tuple[Example, Votes]]:
        """Yield `(example, votes by stream)` for every example, in the order of completion.

        Raises:
            ClassifierError: a logit was NaN or infinite (the message names the example), or an output has changed.
            HoldfastError: the device has no memory for a single noisy copy.
        """
        steps = self._run(examples)
        while True:
            # Not while the caller works on a result.
            with computing(self.threads):
                found = next(steps, None)
            if found is None:
                return
            yield from found

    def _run(self, examples: Iterable[Example]) -> Iterator[list[tuple[Example, Votes]]]:
        """What `run` yields, as it becomes complete."""
        waiting = iter(examples)
        under_way: deque[_Input] = deque()
        unconfirmed: list[tuple[Example, Votes]] = []
        while True:
            left = self.procedure.seconds_left()
            over = left is not None and left <= 0.0
            pieces = [] if over else self._fill_batch(under_way, waiting, self._room(left))
            working = bool(pieces or self._queue or self._asked)
            if working:
                self._count(pieces)
                unconfirmed += self._finished(under_way, waiting=not pieces)
            elif over:
                unconfirmed += self._cut_short(under_way, waiting)
            if unconfirmed and (not self.confirming or self.classifier.confirm(now=not working)):
                confirmed, unconfirmed = unconfirmed, []
                yield confirmed
            if not working:
                return

    def _finished(self, under_way: deque[_Input], *, waiting: bool) -> list[tuple[Example, Votes]]:
        """Take out the inputs whose counts are complete; `waiting` tells whether there is nothing else to do."""
        if waiting:
            self._settle_queue(0)
        self._ask([item for item in under_way if item.drawn == item.until and not item.pending])
        # While the device has a batch to work on, only counts that were asked for before it.
        ready = self._older if self._queue else len(self._asked)
        served = [item for _ in range(ready) for item in self._collect(*self._asked.popleft())]
        self._older = len(self._asked)
        done = [item for item in served if not self._start_request(item)]
        for item in done:
            under_way.remove(item)
            self._free.append(item.slot)
        return [(item.example, item.votes) for item in done]

    def _cut_short(self, under_way: deque[_Input], waiting: Iterator[Example]) -> list[tuple[Example, Votes]]:
        """All inputs that are not finished, with the votes that they had when they asked last; later ones are lost.

        So each has as many votes as at one of its looks: the clock chooses among looks, and never among votes.
        """
        for item in under_way:
            self._check(item, self._counters[item.slot].tolist())
        return [(item.example, item.votes) for item in under_way] + [(example, {}) for example in waiting]

    def _room(self, left: float | None) -> int:
        """Copies in the next batch: fewer where more would take longer than there is time."""
        if left is None:
            return self.batches.size
        fitting = _FIRST_TIMED if self._pace is None else max(1, math.floor(self._pace * left))
        return min(self.batches.size, fitting)

    def _fill_batch(self, under_way: deque[_Input], waiting: Iterator[Example], room: int) -> list[_Piece]:
        """Pieces `(input, first draw, end)` for at most one batch, oldest inputs first."""
        pieces: list[_Piece] = []
        position = 0
        while room:
            if position == len(under_way) and not (self._free and self._admit(under_way, waiting)):
                break
            item = under_way[position]
            if item.drawn < item.until:
                end = min(item.until, item.drawn + room)
                pieces.append((item, item.drawn, end))
                room -= end - item.drawn
                item.drawn = end
            position += 1
        return pieces

    def _admit(self, under_way: deque[_Input], waiting: Iterator[Example]) -> bool:
        example = next(waiting, None)
        if example is None:
            return False
        host = torch.from_numpy(example.x)
        with _naming(example):
            self.noise.check_values(host)
        x = to_device(host, self.device)
        item = _Input(example, x, self._free.popleft(), Stream.SELECTION, 0, 0)
        if not self._start_request(item):
            raise ValueError(f"{self.procedure} asks for no samples")
        under_way.append(item)
        return True

    def _start_request(self, item: _Input) -> bool:
        """Start the input's next request; False if it has none."""
        request = self.procedure.next_draws(item.votes)
        if request is None:
            return False
        stream, num = request
        item.stream = stream
        item.drawn = item.votes[stream].total if stream in item.votes else 0
        item.until = item.drawn + num
        return True

    def _count(self, pieces: list[_Piece]) -> None:
        """Draw the noise of one batch, classify it, and add the votes to the counters on the device."""
        while pieces:
            # All pieces, until memory runs out.
            batch, remaining = _cut(pieces, self.batches.size)
            searching, start = not self.batches.settled, time.perf_counter()
            timed = self.procedure.seconds_left() is not None
            queueing = self._queueing and not (searching or timed)
            try:
                if queueing:
                    self._enqueue(batch)
                else:
                    self._add_all(batch, self._noisy(batch))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                message = first_line(error)
            else:
                # The last batch, now that the device has this one to work on.
                self._settle_queue(1 if queueing else 0)
                if searching or timed:
                    self._wait()
                    seconds = time.perf_counter() - start
                    self.batches.record(_size(batch), seconds)
                    self._pace = _size(batch) / max(seconds, 1e-9)
                if self.on_batch:
                    self.on_batch(_size(batch))
                pieces = remaining
                continue
            # Outside the handler, whose error keeps the memory from being freed.
            self._halve(batch, message)

    def _add_all(self, pieces: list[_Piece], noisy: Tensor) -> None:
        """Ask the classifier about a batch, waiting for its answers, and add them."""
        if not self._ranked:
            self._add(pieces, *votes_of(self.classifier, noisy))
            return
        rankings, void = rankings_of(self.classifier, noisy)
        # Before anything is added: where memory does not suffice for them, the batch is asked again in halves.
        pairs = self._pairs(pieces, rankings.argsort(dim=1).masked_fill(void.unsqueeze(1), 0))
        self._add(pieces, rankings[:, 0], void)
        for (item, _, _), found in zip(pieces, pairs, strict=True):
            self._counters[item.slot, self.classifier.num_classes + 2 :] += found.flatten()

    def _pairs(self, pieces: list[_Piece], places: Tensor) -> list[Tensor]:
        """How often each class is ranked above each other one, `(classes, classes)` for each piece.

        Args:
            pieces: of the batch.
            places: of the classes in each ranking `(batch, classes)`, the first one 0; all 0 where there is no vote.
        """
        classes = self.classifier.num_classes
        found = []
        for of_piece in torch.split(places, [end - first for _, first, end in pieces]):
            pairs = places.new_zeros((classes, classes))
            for part in torch.split(of_piece, max(1, _PAIRS // classes**2)):
                pairs += (part.unsqueeze(2) < part.unsqueeze(1)).sum(dim=0)
            found.append(pairs)
        return found

    def _add(self, pieces: list[_Piece], votes: Tensor, void: Tensor) -> None:
        columns = self._counters.shape[1]
        rows = np.repeat([item.slot * columns for item, _, _ in pieces], [end - first for _, first, end in pieces])
        cells = to_device(torch.from_numpy(rows), self.device) + votes.masked_fill(void, self.classifier.num_classes)
        self._counters.view(-1).scatter_add_(0, cells, self._one.expand(len(cells)))

    def _enqueue(self, batch: list[_Piece]) -> None:
        """Have the device compute a batch, without waiting for it."""
        conditions: list[Tensor] = []
        noisy = self._noisy(batch, conditions)
        answers = answers_of(self.classifier, noisy)
        if answers.valid is not None:
            conditions.append(answers.valid)
        known = [each.reshape(1) for each in conditions] + ([] if answers.close is None else [answers.close])
        self._queue.append(_Queued(batch, noisy, answers, ToHost(torch.cat(known)), len(conditions)))
        for item, _, _ in batch:
            item.pending += 1
        self._turn = 1 - self._turn

    def _settle_queue(self, keep: int) -> None:
        """Finish all batches of the queue but the last `keep` ones: settle their near ties and count their votes."""
        while len(self._queue) > keep:
            batch = self._queue.popleft()
            known, votes, void = batch.known.arrived(), batch.answers.votes, batch.answers.void
            if not known[: batch.conditions].all():
                # Now waiting for the device.
                self._write_all(batch.noisy, batch.pieces, None)
                votes, void = self._in_halves(lambda noisy: votes_of(self.classifier, noisy), batch.noisy)
            elif len(rows := np.flatnonzero(known[batch.conditions :])):
                near = torch.stack([batch.noisy[row] for row in rows.tolist()])
                (alone,) = self._in_halves(lambda noisy: (settled_of(self.classifier, noisy),), near)
                votes.index_copy_(0, to_device(torch.from_numpy(rows), self.device), alone)
            self._add(batch.pieces, votes, void)
            for item, _, _ in batch.pieces:
                item.pending -= 1

    def _in_halves(self, ask: Callable[[Tensor], tuple[Tensor, ...]], noisy: Tensor) -> tuple[Tensor, ...]:
        """What `ask` gives for the copies; in halves where the device has no memory for all, even when it is idle."""
        for last in (False, True):
            try:
                return ask(noisy)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or (last and len(noisy) == 1):
                    raise
            # Outside the handler, whose error keeps the memory from being freed: the batch after may have ended now.
            self._wait()
            self._free_memory()
        half = len(noisy) // 2
        parts = (self._in_halves(ask, part) for part in (noisy[:half], noisy[half:]))
        return tuple(torch.cat(both) for both in zip(*parts, strict=True))

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _free_memory(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _halve(self, batch: list[_Piece], message: str) -> None:
        """Make batches smaller than this one and warn; raise HoldfastError if it was a single copy."""
        size = _size(batch)
        # The batch before is in the other tensor.
        self._copies[self._turn] = None
        self._settle_queue(0)
        self._copies = [None, None]
        self._free_memory()
        if size == 1:
            raise HoldfastError(
                f"{self.device} has no memory for a single noisy copy of example {batch[0][0].example.index}; use "
                f"another device or a smaller model{f' ({message})' if message else ''}"
            )
        if not self.batches.failed(size):
            warnings.warn(
                f"{self.device} has no memory for batches of {size} noisy copies; going on with {self.batches.size}. "
                "Results are the same",
                RuntimeWarning,
                stacklevel=2,
            )

    def _noisy(self, pieces: list[_Piece], conditions: list[Tensor] | None = None) -> Tensor:
        """The noisy copies of all pieces, in a tensor that every batch, or every second one, reuses."""
        size = _size(pieces)
        x = pieces[0][0].x
        copies = self._copies[self._turn]
        if copies is None or len(copies) < size:
            # No larger than needed: many calls have no larger batch. Free the old tensor first.
            copies = self._copies[self._turn] = None
            copies = self._copies[self._turn] = x.new_empty((size, *self.noise.noisy_shape(tuple(x.shape))))
        self._write_all(copies[:size], pieces, conditions)
        return copies[:size]

    def _write_all(self, noisy: Tensor, pieces: list[_Piece], conditions: list[Tensor] | None) -> None:
        """Write the noisy copies of all pieces; `conditions` as in `Draws`."""
        position = 0
        for item, first, end in pieces:
            self._write(noisy[position : position + end - first], item, first, end, conditions)
            position += end - first

    def _write(self, noisy: Tensor, item: _Input, first: int, end: int, conditions: list[Tensor] | None) -> None:
        """Write the noisy copies `first` to `end` of the input's stream."""
        with _naming(item.example):
            if self.procedure.exhaustive:
                noisy.copy_(self.noise.apply_unchecked(item.x.unsqueeze(0), self.noise.enumerate(item.x, first, end)))
            else:
                draws = Draws(self.seed, item.example.noise_key, item.stream, end - first, first, conditions)
                self.noise.sample_into(noisy, item.x, draws)

    def _ask(self, finished: list[_Input]) -> None:
        """Send the inputs' counters to the host in one transfer, and clear them."""
        if not finished:
            return
        slots = to_device(torch.from_numpy(np.array([item.slot for item in finished])), self.device)
        self._asked.append((finished, ToHost(self._counters.index_select(0, slots))))
        self._counters.index_fill_(0, slots, 0)
        for item in finished:
            item.pending += 1

    def _collect(self, finished: list[_Input], counts: ToHost) -> list[_Input]:
        """Add the counts that have arrived to the inputs' votes; return the inputs."""
        for item, row in zip(finished, counts.arrived().tolist(), strict=True):
            votes = self._check(item, row)
            before = item.votes.get(item.stream)
            item.votes[item.stream] = votes if before is None else _added(before, votes)
            item.pending -= 1
        return finished

    def _check(self, item: _Input, row: list[int]) -> Counts:
        """The votes in a row of counters; ClassifierError if there are copies without one."""
        classes = self.classifier.num_classes
        votes, (void, alone), pairs = row[:classes], row[classes : classes + 2], row[classes + 2 :]
        if alone:
            raise undecided()
        if void:
            raise no_vote(void, void + sum(votes), f"noisy copies of example {item.example.index}")
        if not self._ranked:
            return Counts(tuple(votes))
        return RankedCounts.ranked(votes, [pairs[first : first + classes] for first in range(0, len(pairs), classes)])


def _added(before: Counts, votes: Counts) -> Counts:
    """The votes of two requests together."""
    together = [old + new for old, new in zip(before.votes, votes.votes, strict=True)]
    if not (isinstance(before, RankedCounts) and isinstance(votes, RankedCounts)):
        return Counts(tuple(together))
    rows = zip(before.pairs, votes.pairs, strict=True)
    return RankedCounts.ranked(together, [[a + b for a, b in zip(one, two, strict=True)] for one, two in rows])


@contextmanager
def _naming(example: Example) -> Iterator[None]:
    """Name the example in the error for values that the noise is not defined for."""
    try:
        yield
    except InputError as error:
        raise InputError(f"example {example.index}: {error}") from error


def _size(pieces: list[_Piece]) -> int:
    return sum(end - first for _, first, end in pieces)


def _cut(pieces: list[_Piece], size: int) -> tuple[list[_Piece], list[_Piece]]:
    """The first `size` draws of the pieces, and the remaining pieces."""
    head: list[_Piece] = []
    for number, (item, first, end) in enumerate(pieces):
        if end - first > size:
            cut = first + size
            return [*head, *([(item, first, cut)] if size else [])], [(item, cut, end), *pieces[number + 1 :]]
        head.append((item, first, end))
        size -= end - first
    return head, []
