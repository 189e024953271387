"""The radii that a report shows by default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.types import Norm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.analysis.runs import CertifiedRun

_MOST = 8
_STEPS = (0.25, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)


def default_radii(norm: Norm, attainable: float | None) -> tuple[float, ...]:
    """Radius 0, then evenly spaced radii (L0: powers of two) up to the largest attainable one.

    Args:
        norm: of the radii.
        attainable: the largest radius that can be certified; None if there is none.
    """
    if attainable is None or attainable <= 0.0:
        return (0.0,)
    if norm.whole:
        doubled = [float(2**power) for power in range(64) if 2**power <= attainable]
        return (0.0, *doubled)
    step = next((step for step in _STEPS if 2 <= attainable / step < _MOST), attainable / (_MOST - 1))
    # Stop a hundredth of a step early, so that no rounded multiple exceeds the largest attainable radius.
    return tuple(round(step * number, 10) for number in range(int(attainable / step - 0.01) + 1))


def radii_for(runs: Sequence[CertifiedRun], requested: Sequence[float] | None) -> list[tuple[float, ...]]:
    """The requested radii for each run, or default ones: the same for all runs of one norm."""
    if requested is not None:
        return [tuple(sorted(requested)) for _ in runs]
    chosen = {norm: _default([run for run in runs if run.norm is norm]) for norm in {run.norm for run in runs}}
    return [chosen[run.norm] for run in runs]


def _default(runs: Sequence[CertifiedRun]) -> tuple[float, ...]:
    """Default radii as far as those of any run reach, and the radii that deterministic bounds decided."""
    furthest = max(run.furthest or 0.0 for run in runs)
    decided = {radius for run in runs for radius in run.asked}
    return tuple(sorted({*default_radii(runs[0].norm, furthest), *decided}))
