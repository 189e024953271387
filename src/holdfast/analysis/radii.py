"""The radii at which a report looks when none are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis.accuracy import attainable_radius, outcomes, theorem_of
from holdfast.store.run_manifest import BOUND, IMPORTED
from holdfast.types import Norm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.store.run import Run

_MOST = 8
_STEPS = (0.25, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)


def default_radii(norm: Norm, attainable: float | None) -> tuple[float, ...]:
    """Radius 0, then evenly spaced ones (L0: powers of two) up to the largest attainable one.

    Args:
        norm: of the radii.
        attainable: the largest radius that can be certified; None if there is none.
    """
    if attainable is None or attainable <= 0.0:
        return (0.0,)
    if norm is Norm.L0:
        doubled = [float(2**power) for power in range(64) if 2**power <= attainable]
        return (0.0, *doubled)
    step = next((step for step in _STEPS if 2 <= attainable / step < _MOST), attainable / (_MOST - 1))
    # A hundredth of a step from the end, so that no rounding of the multiples exceeds what is attainable.
    return tuple(round(step * number, 10) for number in range(int(attainable / step - 0.01) + 1))


def radii_for(runs: Sequence[Run], asked: Sequence[float] | None) -> list[tuple[float, ...]]:
    """For each run the radii that were asked for, or default ones: the same for all runs of one norm."""
    if asked is not None:
        return [tuple(sorted(asked)) for _ in runs]
    best: dict[Norm, float] = {}
    # Where a deterministic bound says yes or no, its epsilon is the radius to look at.
    asked_of: dict[Norm, set[float]] = {}
    for run in runs:
        norm = theorem_of(run.manifest).norm
        most = attainable_radius(run.manifest)
        if run.manifest.kind == BOUND:
            asked_of.setdefault(norm, set()).update(() if most is None else (most,))
        if most is None and run.manifest.kind in (BOUND, IMPORTED):
            # Nothing but the radii themselves says how far they reach.
            most = max((result.radius for result in outcomes(run)), default=0.0)
        best[norm] = max(best.get(norm, 0.0), most or 0.0)
    chosen = {norm: tuple(sorted({*default_radii(norm, most), *asked_of.get(norm, ())})) for norm, most in best.items()}
    return [chosen[theorem_of(run.manifest).norm] for run in runs]
