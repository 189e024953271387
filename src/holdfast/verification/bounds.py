"""Compute enclosed bounds on the class probabilities from votes, by the rules of docs/formats.md."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import RunError
from holdfast.verification.binomial import lower_bound, upper_bound
from holdfast.verification.intervals import Share

if TYPE_CHECKING:
    from collections.abc import Sequence

# Of alpha, with "split": what the top class gets; the rivals share the rest evenly.
TOP_SHARE = Fraction(9, 10)


class Bounds(NamedTuple):
    """Enclosures of the largest valid lower bound for the top class and the smallest valid upper one for all others."""

    lower: Share
    upper: Share

    def relaxed(self, by: Fraction) -> Bounds:
        """Both bounds moved away from each other."""
        return Bounds(self.lower.moved(-by), self.upper.moved(by))

    def tightened(self, other: Bounds) -> Bounds:
        """The better of both, each by itself."""
        return Bounds(
            Share(self.lower.p.max(other.lower.p), self.lower.q.min(other.lower.q)),
            Share(self.upper.p.min(other.upper.p), self.upper.q.max(other.upper.q)),
        )


def class_bounds(method: str, top: int, votes: Sequence[int], alpha: Fraction, bits: int) -> Bounds:
    """The bounds by a method, "cohen" or "split".

    Raises:
        RunError: another method.
    """
    if method not in ("cohen", "split"):
        raise RunError(f"verify does not know the class bounds {method!r}; it knows cohen and split")
    n = sum(votes)
    rivals = [count for label, count in enumerate(votes) if label != top]
    if method == "cohen" or len(rivals) < 2:
        lower = lower_bound(votes[top], n, alpha, bits)
        return Bounds(lower, lower.complement)
    lower = lower_bound(votes[top], n, TOP_SHARE * alpha, bits)
    rival = upper_bound(max(rivals), n, (1 - TOP_SHARE) * alpha / len(rivals), bits)
    return Bounds(lower, lower.complement).tightened(Bounds(lower, rival))
