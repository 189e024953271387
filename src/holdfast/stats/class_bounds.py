"""Bounds on all class probabilities at once, from the votes for each class. Derivation: docs/guarantees.md.

Each function takes the class in question, the votes for every class and alpha, and returns (p_lower, p_upper): a lower
bound for that class and an upper bound for every other one, jointly valid with probability at least 1 - alpha.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.stats.binomial import lower_bound, upper_bound
from holdfast.stats.rounding import complement_upper, down

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# The top class's share of alpha; the rivals share the rest. An even split would lose at small n.
TOP_SHARE = 0.9

Bounds = tuple[float, float]


def cohen(top: int, votes: Sequence[int], alpha: float) -> Bounds:
    """One-sided Clopper-Pearson at alpha for the top class; all others together get the rest (Cohen et al. 2019)."""
    p_lower = lower_bound(votes[top], sum(votes), alpha)
    return p_lower, complement_upper(p_lower)


def split(top: int, votes: Sequence[int], alpha: float) -> Bounds:
    """0.9 alpha for the top class and 0.1 alpha / (classes - 1) for each rival; the same as `cohen` for two classes.

    The upper bound increases with the votes, so the largest over the rivals is that of the one with the most votes.
    """
    rivals = [count for label, count in enumerate(votes) if label != top]
    if len(rivals) < 2:
        return cohen(top, votes, alpha)
    total = sum(votes)
    p_lower = lower_bound(votes[top], total, down(TOP_SHARE * alpha))
    each = down((1.0 - TOP_SHARE) * alpha / len(rivals))
    return p_lower, min(complement_upper(p_lower), upper_bound(max(rivals), total, each))


METHODS: dict[str, Callable[[int, Sequence[int], float], Bounds]] = {"cohen": cohen, "split": split}


def check_method(name: str) -> str:
    """`name` if it is one of the methods, UsageError otherwise."""
    if not isinstance(name, str) or name not in METHODS:
        raise UsageError(f"the class bounds are one of {', '.join(sorted(METHODS))}, got {name!r}")
    return name
