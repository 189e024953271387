"""Looks at the votes during sampling: their sample sizes, and their shares of alpha."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from holdfast.errors import UsageError
from holdfast.estimators.base import check_samples
from holdfast.plain import Plain, is_real
from holdfast.stats.binomial import lower_bound, upper_bound
from holdfast.stats.rounding import down
from holdfast.types import Counts

# No look below this many samples: nothing of interest is decided there.
FIRST_LOOK = 30
# Most looks: with more, steps are smaller than a thousandth, and each look has next to nothing of alpha.
MOST_LOOKS = 10_000
# Share of alpha for the last look, where inputs end that no earlier look decided.
_LAST_SHARE = 0.8
# One-sided level at which to give up an input.
_GIVE_UP = 1e-3


@dataclass(frozen=True)
class Schedule(Plain):
    """Looks at n_1 < ... < n_K = n samples in geometric steps; the last has 0.8 alpha, the earlier ones share the rest.

    A conclusion at look k holds with probability at least 1 - alpha_k; by a union bound the conclusions of all looks
    hold together with probability at least 1 - alpha, so sampling may stop at any of them.

    Args:
        n: the largest number of samples.
        ratio: between the sizes of successive looks, above 1 and up to 10; None for one look, at n, with all of alpha.

    Raises:
        UsageError: an argument is out of range.
    """

    n: int
    ratio: float | None

    def __post_init__(self) -> None:
        check_samples("n", self.n)
        if self.ratio is not None and not (is_real(self.ratio) and 1.0 < self.ratio <= 10.0):
            raise UsageError(f"the ratio of successive looks lies above 1 and up to 10, got {self.ratio!r}")
        if len(self.looks) > MOST_LOOKS:
            raise UsageError(
                f"the ratio {self.ratio!r} of successive looks makes more than {MOST_LOOKS:,} looks of n = {self.n:,}, "
                "expected fewer; take a larger ratio, such as 1.5"
            )

    @cached_property
    def looks(self) -> tuple[int, ...]:
        """The sample sizes, increasing; the last is n. If there are too many, enough of them to show that."""
        sizes = [self.n]
        while self.ratio is not None and sizes[-1] / self.ratio >= FIRST_LOOK and len(sizes) <= MOST_LOOKS:
            sizes.append(math.floor(sizes[-1] / self.ratio))
        return tuple(reversed(sizes))

    def missing(self, total: int) -> int:
        """The number of samples from `total` to the next look; 0 at the last one."""
        return next((look for look in self.looks if look > total), self.n) - total

    def share(self, total: int, alpha: float) -> float:
        """The failure probability allotted to the look at `total` samples.

        Raises:
            UsageError: there is no look at `total`.
        """
        if total not in self.looks:
            looks = f"exactly n = {self.n}" if len(self.looks) == 1 else f"one of the looks {self.looks}"
            raise UsageError(f"the bounds hold at {looks} estimation votes, got {total}")
        if self.ratio is None:
            return alpha
        share = _LAST_SHARE if total == self.n else (1.0 - _LAST_SHARE) / (len(self.looks) - 1)
        return down(share * alpha)


def outlook(top: int, counts: Counts, n: int, level: float = _GIVE_UP, others: Counts | None = None) -> Counts:
    """The votes that an optimist expects after n samples, given those so far.

    The top class continues at the upper end of a one-sided interval at `level`, and the strongest rival has no more
    than its lower end or its even share of the remaining votes. An input that this would not certify is given up.

    Args:
        top: the class in question.
        counts: votes so far.
        n: samples at the end.
        level: of the intervals, in (0, 1).
        others: further votes for the same input, which count for the intervals and not among the n.
    """
    votes, total = counts.votes, counts.total
    known = votes if others is None else tuple(map(sum, zip(votes, others.votes, strict=True)))
    strongest = max(count for label, count in enumerate(known) if label != top)
    p_top, p_rival = upper_bound(known[top], sum(known), level), lower_bound(strongest, sum(known), level)
    expected = min(n, votes[top] + math.ceil(p_top * (n - total)))
    remaining, rivals = n - expected, len(votes) - 1
    largest = max(min(math.floor(p_rival * n), remaining), math.ceil(remaining / rivals))
    spread = [min(largest, max(0, remaining - rival * largest)) for rival in range(rivals)]
    return Counts((*spread[:top], expected, *spread[top:]))
