"""Votes under one fixed set of masks, for an attack that changes a few pixels at a time.

A mask shows the base classifier k of the d pixels. If two inputs agree on those, their noisy copies are the same, and
so are the votes. An input that differs from an earlier one in r pixels thus takes about n (1 - (1 - k/d)^r) passes
instead of n, with exactly the same counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from holdfast.noises.draws import Draws
from holdfast.sampling.rng import Stream
from holdfast.sampling.sizes import votes_of
from holdfast.sampling.void import no_vote
from holdfast.types import Counts

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.noises.base import Noise
    from holdfast.sampling.classifier import VotingClassifier

# Number of inputs whose votes are remembered: the one that an attack starts from, and the last one that it tried.
_REMEMBERED = 2
# An input is near another one if at most this share of its votes must be recomputed.
_NEAR = 0.5
# Most pixel positions in all masks together, of 8 bytes each.
MOST_PLACES = 2**26


@dataclass(frozen=True)
class _Voted:
    """An input and its vote under each mask."""

    x: Tensor
    votes: Tensor


class MaskedVotes:
    """The same votes as those of the engine's loop with this seed; votes that cannot have changed are reused.

    Args:
        classifier: the base classifier.
        noise: whose draws are the positions of the shown pixels.
        n: number of masks.
        seed: of the masks.
        batch_size: noisy copies per batch.
    """

    def __init__(self, classifier: VotingClassifier, noise: Noise, n: int, seed: int, batch_size: int) -> None:
        self.classifier = classifier
        self.noise = noise
        self.n = n
        self.seed = seed
        self.batch_size = batch_size
        self._places: Tensor | None = None
        self._known: list[_Voted] = []
        self._last: Tensor | None = None

    def counts(self, x: Tensor, force: bool) -> tuple[Counts, int] | None:
        """All n votes for one input `(*event)`, and how many of them were recomputed.

        Args:
            x: the input.
            force: count whatever it takes. Otherwise count only if the input is near one with known votes, or near the
                input of the last call, since later inputs are then likely to be near it, too.

        Returns:
            None if the input is near neither.

        Raises:
            ClassifierError: a logit was NaN or infinite.
        """
        masks = self._masks(x)
        seen = [(self._touched(masks, known.x, x), known) for known in self._known]
        touched, nearest = min(seen, key=lambda each: int(each[0].sum()), default=(None, None))
        if touched is None or nearest is None or int(touched.sum()) > _NEAR * self.n:
            before, self._last = self._last, x.clone()
            near = before is not None and int(self._touched(masks, before, x).sum()) <= _NEAR * self.n
            if not (force or near):
                return None
            touched = torch.ones(self.n, dtype=torch.bool, device=x.device)
            votes = torch.empty(self.n, dtype=torch.int64, device=x.device)
        else:
            votes = nearest.votes.clone()
        self._cast(x, masks, touched.nonzero().squeeze(1), votes)
        # Votes that were reused are likely to be reused again.
        in_order = sorted(self._known, key=lambda known: known is not nearest)
        self._known = [_Voted(x.clone(), votes), *in_order][:_REMEMBERED]
        found = torch.bincount(votes, minlength=self.classifier.num_classes).tolist()
        return Counts.of(found), int(touched.sum())

    def _masks(self, x: Tensor) -> Tensor:
        """Pixel positions `(n, positions)`, drawn as in the engine's loop."""
        if self._places is None:
            self._places = self.noise.draw(x, Draws(self.seed, 0, Stream.PREDICTION, self.n))
        return self._places

    def _touched(self, masks: Tensor, old: Tensor, new: Tensor) -> Tensor:
        """Which masks show a changed pixel, `(n,)`."""
        different = old != new
        pixels = different.any(dim=0).flatten() if different.ndim > 1 else different
        return pixels[masks].any(dim=1)

    def _cast(self, x: Tensor, masks: Tensor, rows: Tensor, votes: Tensor) -> None:
        """Compute the votes under the masks in `rows`."""
        for first in range(0, len(rows), self.batch_size):
            some = rows[first : first + self.batch_size]
            noisy = self.noise.apply(x.unsqueeze(0), masks[some])
            chosen, void = votes_of(self.classifier, noisy)
            if bool(void.any()):
                raise no_vote(int(void.sum()), len(some), "noisy copies of an input under attack")
            votes[some] = chosen
