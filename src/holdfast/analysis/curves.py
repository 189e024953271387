"""Certified accuracy as a step function of the radius, with its pointwise interval."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from holdfast.analysis.published import comparable
from holdfast.errors import RunError, UsageError
from holdfast.stats.datasets import DEFAULT_CONFIDENCE, Proportion, certified_proportion
from holdfast.types import Norm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.analysis.published import PublishedFigure
    from holdfast.analysis.runs import CertifiedRun

# Colours of Okabe & Ito, distinct under the common colour vision deficiencies; dashes tell curves apart in grey.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ((1, 0), (7, 3), (2, 2), (9, 2, 2, 2), (4, 4), (12, 3))
_MOST_MARKED = 60
# Up to this L0 radius, every whole number is a step.
_MOST_WHOLE = 10_000


@dataclass(frozen=True)
class Step:
    """A range of radii with constant certified accuracy.

    Attributes:
        start: where the step starts; it ends where the next one starts.
        radius: a radius at which the certified accuracy is exactly `accuracy`: in L0 the left end of the step, since a
            radius between two whole numbers of pixels means the smaller one; in other norms its right end.
        accuracy: with its interval.
    """

    start: float
    radius: float
    accuracy: Proportion


@dataclass(frozen=True)
class Curve:
    """The curve of one run.

    Attributes:
        name: of the run, unique among the curves.
        norm: of the radii.
        steps: from radius 0 to the end of the curve.
        attainable: the largest radius that n and alpha allow; None if not even radius 0.
        published: figures of papers for the same data and noise.
    """

    name: str
    norm: Norm
    steps: tuple[Step, ...]
    attainable: float | None
    published: tuple[PublishedFigure, ...]

    @property
    def end(self) -> float:
        """The radius that the axis must reach."""
        return max(self.steps[-1].start, self.attainable or 0.0)

    @property
    def whole(self) -> bool:
        """Whether the radii are whole numbers, and few enough to mark each."""
        return self.norm.whole and len(self.steps) <= _MOST_MARKED

    def points(self) -> list[tuple[float, float, str]]:
        """Published certified accuracies up to the end of the axis: radius, share and citation."""
        return [
            (figure.radius, figure.share, figure.cite)
            for figure in self.published
            if figure.radius is not None and figure.share is not None and figure.radius <= self.end
        ]

    def median(self) -> tuple[float, str] | None:
        """A published median certified radius with its citation, if there is one."""
        for figure in self.published:
            if figure.metric.startswith("median") and figure.value is not None:
                return figure.value, figure.cite
        return None


def curves(runs: Sequence[CertifiedRun], most: int | None = None) -> list[Curve]:
    """One curve for each run.

    Args:
        runs: at least one, each with records, all of the same norm.
        most: if given, radii are rounded down to about this many values, which can only lower the curve.

    Raises:
        UsageError: no runs, or runs of different norms.
        RunError: a run has no records.
    """
    norms = {run.norm for run in runs}
    if len(norms) != 1:
        found = ", ".join(sorted(norm.value for norm in norms)) or "no run"
        raise UsageError(f"one curve chart shows runs of one norm, got {found}; draw one chart for each norm")
    return [_curve(run, name, most) for run, name in zip(runs, distinct_names(runs), strict=True)]


def distinct_names(runs: Sequence[CertifiedRun]) -> list[str]:
    """The names of the runs' folders, with a number added to repeated ones."""
    names: list[str] = []
    for run in runs:
        name, number = run.name, 1
        while name in names:
            number += 1
            name = f"{run.name} ({number})"
        names.append(name)
    return names


def axis_title(norm: Norm) -> str:
    """The title of the axis of radii."""
    return f"certified {norm.value} radius ({norm.unit})"


def _curve(run: CertifiedRun, name: str, most: int | None) -> Curve:
    if not run.results:
        raise RunError(f"{run.folder} has no records yet: `holdfast certify` with the same settings adds them")
    radii = sorted(result.certified_radius for result in run.results)
    steps = _steps(radii, run.norm, run.alpha, run.sampling_limit or 0.0, most)
    return Curve(name, run.norm, tuple(steps), run.sampling_limit, tuple(comparable(run)))


def _steps(radii: list[float], norm: Norm, alpha: float, attainable: float, most: int | None) -> list[Step]:
    """The share of `radii` that reach a radius, as steps; `radii` are sorted, minus infinity where not correct."""

    @lru_cache
    def share(certified: int) -> Proportion:
        return certified_proportion(certified, len(radii), alpha, DEFAULT_CONFIDENCE)

    reached = [value for value in radii if value > -math.inf]
    last = max([attainable, *reached[-1:]])
    if norm.whole:
        end = math.floor(last) + 1
        # For very large inputs, list only the radii at which the share changes and the ones after them.
        changes = {0, end, *(int(value) for value in reached), *(int(value) + 1 for value in reached)}
        whole = range(end + 1) if end <= _MOST_WHOLE else sorted(changes)
        return [Step(float(rho), float(rho), share(sum(value >= rho for value in reached))) for rho in whole]
    if most is not None and len(set(reached)) > most:
        grid = last / most
        reached = [math.floor(value / grid) * grid for value in reached]
    steps, start, left = [], 0.0, len(reached)
    for value, times in sorted(Counter(reached).items()):
        steps.append(Step(start, value, share(left)))
        start, left = value, left - times
    return [*steps, Step(start, math.inf, share(0))]
