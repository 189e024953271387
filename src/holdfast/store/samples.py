"""Simple random samples of a split, which anybody can draw again from two numbers. docs/formats.md has the recipe."""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import overload

from holdfast.errors import UsageError

# Splits with more examples would take minutes to draw from.
MOST_SAMPLED_FROM = 10_000_000
_WRITTEN = re.compile(r"(?P<size>[0-9]{1,9})(:(?P<seed>[0-9]{1,38}))?")


class Drawn(Sequence[int]):
    """Indices in increasing order, looked up at once."""

    def __init__(self, indices: Sequence[int]) -> None:
        self._indices = tuple(sorted(indices))
        self._known = frozenset(self._indices)

    @overload
    def __getitem__(self, place: int) -> int: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[int, ...]: ...

    def __getitem__(self, place: int | slice) -> int | tuple[int, ...]:
        return self._indices[place]

    def __len__(self) -> int:
        return len(self._indices)

    def __contains__(self, index: object) -> bool:
        return index in self._known


@dataclass(frozen=True)
class Sample:
    """So many examples, each set of so many equally likely.

    The first examples by SHA-256 of `holdfast-sample 1: SEED LENGTH INDEX`; a smaller sample of the same seed is a part
    of a larger one. The seed is chosen before anything is computed, and is recorded: 0 where nobody chooses, so that
    nobody tries several.

    Attributes:
        size: number of examples.
        seed: from 0 on.
    """

    size: int
    seed: int = 0

    @classmethod
    def parse(cls, text: str) -> Sample:
        """`500`, or `500:7` with the seed 7.

        Raises:
            UsageError: something else.
        """
        found = _WRITTEN.fullmatch(text.strip())
        if found is None or not int(found["size"]):
            raise UsageError(
                f"a random sample is written as its size, from 1 on, or SIZE:SEED, as in 500 or 500:7; got {text!r}"
            )
        return cls(int(found["size"]), int(found["seed"] or 0))

    def indices(self, length: int) -> Sequence[int]:
        """The indices in a split of `length` examples, increasing; all of them where the sample is as large.

        Raises:
            UsageError: the split is larger than one draws from.
        """
        if self.size >= length:
            return range(length)
        if length > MOST_SAMPLED_FROM:
            raise UsageError(
                f"a sample is drawn from {MOST_SAMPLED_FROM:,} examples at most, and the split has {length:,}; take "
                "one "
                "in so many instead (every)"
            )
        return _drawn(self.size, self.seed, length)


@lru_cache(maxsize=8)
def _drawn(size: int, seed: int, length: int) -> Drawn:
    start = hashlib.sha256(f"holdfast-sample 1: {seed} {length} ".encode())

    def rank(index: int) -> bytes:
        content = start.copy()
        content.update(str(index).encode())
        return content.digest()

    return Drawn(heapq.nsmallest(size, range(length), key=rank))


def chosen(length: int, every: int, limit: int | None, sample: Sample | None) -> Sequence[int]:
    """The indices of a subset of a split of `length` examples, increasing.

    Raises:
        UsageError: a sample is asked for together with another choice.
    """
    if sample is None:
        return range(0, length, every)[:limit]
    if every != 1 or limit is not None:
        other = f"every = {every}" if every != 1 else f"limit = {limit}"
        raise UsageError(f"a random sample of {sample.size} takes the place of {other}; leave one of them out")
    return sample.indices(length)
