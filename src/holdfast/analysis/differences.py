"""The difference of two curves of certified accuracy over the radius, with its pointwise paired interval."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from holdfast.analysis.curves import distinct_names
from holdfast.stats.pairs import Difference, paired_difference
from holdfast.types import Norm

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.analysis.accuracy import Result
    from holdfast.analysis.runs import CertifiedRun


@dataclass(frozen=True)
class DifferenceStep:
    """A range of radii in which the same images are certified.

    Attributes:
        start: where the range starts; it ends where the next one starts.
        difference: with its interval.
    """

    start: float
    difference: Difference


@dataclass(frozen=True)
class DifferenceCurve:
    """The first run minus another one.

    Attributes:
        name: of both, as in "a - b".
        norm: of the radii.
        steps: from radius 0 to beyond the largest certified radius of either.
    """

    name: str
    norm: Norm
    steps: tuple[DifferenceStep, ...]

    @property
    def end(self) -> float:
        """The radius that the axis must reach."""
        return self.steps[-1].start


def differences(runs: Sequence[CertifiedRun], most: int | None = None) -> list[DifferenceCurve]:
    """The first run minus each of the others.

    Args:
        runs: two or more on the same images, in one norm (`run_comparison.same_images`).
        most: if given, ends of ranges are rounded down to about this many values.
    """
    (first, *others), (name, *names) = runs, distinct_names(runs)
    return [
        DifferenceCurve(f"{name} - {other_name}", first.norm, tuple(_steps(first, other, most)))
        for other_name, other in zip(names, others, strict=True)
    ]


def _steps(first: CertifiedRun, second: CertifiedRun, most: int | None) -> Iterator[DifferenceStep]:
    size = len(first.results)
    both, ours, theirs = _reached(first.results, second.results)
    ends = sorted({*ours, *theirs})
    if first.norm.whole:
        # A radius between two whole numbers of pixels means the smaller one.
        ends = sorted({0.0, *(value for end in ends for value in (end, end + 1.0))})
    elif most is not None and len(ends) > most:
        grid = ends[-1] / most
        ends = sorted({math.floor(end / grid) * grid for end in ends})

    @lru_cache
    def difference(only_first: int, only_second: int) -> Difference:
        return paired_difference(only_first, only_second, size)

    start = 0.0
    for end in ends:
        counts = [len(values) - bisect_left(values, end) for values in (both, ours, theirs)]
        yield DifferenceStep(
            end if first.norm.whole else start, difference(counts[1] - counts[0], counts[2] - counts[0])
        )
        start = end
    if not first.norm.whole or not ends:
        yield DifferenceStep(start, difference(0, 0))


def _reached(first: Sequence[Result], second: Sequence[Result]) -> tuple[list[float], list[float], list[float]]:
    """Radii up to which an image is certified correctly by both runs, by the first and by the second, in order."""
    pairs = [(one.certified_radius, other.certified_radius) for one, other in zip(first, second, strict=True)]
    columns = ([min(pair) for pair in pairs], [one for one, _ in pairs], [other for _, other in pairs])
    both, ours, theirs = (sorted(value for value in column if value > -math.inf) for column in columns)
    return both, ours, theirs
