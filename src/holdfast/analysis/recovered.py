"""Votes recovered from a published log: what its radii say about the top class. For comparison only.

A log prints radii, not votes. With one bound on the top class a radius stands for one count of its votes, so that the
theorems, n and alpha of Figure 8 of Cohen et al. 2019 can be computed again from their logs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.analysis.runs import ImportedRun, analyze
from holdfast.errors import UsageError
from holdfast.estimators import FixedSize, fitting_alpha
from holdfast.store.run import VoteRecord
from holdfast.store.run_manifest import CERTIFY
from holdfast.types import Counts

if TYPE_CHECKING:
    from holdfast.analysis.accuracy import Result
    from holdfast.analysis.runs import CertifiedRun


def recovered(run: CertifiedRun) -> CertifiedRun:
    """A log as if its votes were known, at the alpha that fits its radii.

    The top class gets the votes whose radius comes nearest to the printed one; all others go to one rival. An
    abstention becomes a tie. What the theorem says at the log's own n and alpha is then what the log says, but for the
    digits that it does not print.

    Raises:
        UsageError: not an imported log with a fixed number of samples, or its radii fit no alpha.
    """
    estimator = run.estimator
    if not isinstance(run, ImportedRun) or run.noise is None or not isinstance(estimator, FixedSize):
        raise UsageError(f"votes are recovered from an imported log with a fixed number of samples, not from {run!r}")
    largest = max((each.radius for each in run.results), default=0.0)
    # Printed radii may be rounded upward by half a digit.
    alpha = fitting_alpha(run.noise, estimator.n, largest * (1 - 1e-3), run.data.shape)
    if alpha is None:
        raise UsageError(
            f"no alpha below 1/2 fits the radii of {run.folder}, up to {largest:g}, with n = {estimator.n}"
        )
    rule = FixedSize(estimator.n, max(alpha, estimator.alpha), "cohen")
    counts: dict[float, int] = {}
    records = []
    for each in run.results:
        if each.radius not in counts:
            counts[each.radius] = _votes(run, rule, each.radius)
        records.append(_record(run, each, counts[each.radius], rule.n))
    manifest = replace(run.manifest, kind=CERTIFY, estimator=rule.to_dict())
    return analyze(replace(run.run, manifest=manifest, records=tuple(records)))


def _votes(run: ImportedRun, rule: FixedSize, radius: float) -> int:
    """The votes of the top class whose radius is nearest to this one."""

    def certified(votes: int) -> float:
        bounds = rule.bounds(0, Counts((votes, rule.n - votes)))
        return run.theorem.radius(run.noise, bounds, run.data.shape) or 0.0

    low, high = rule.n // 2, rule.n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if certified(middle) >= radius else (middle, high)
    # A claim is no abstention, so it has a radius above 0.
    return low if certified(low) > 0.0 and radius - certified(low) < certified(high) - radius else high


def _record(run: ImportedRun, each: Result, votes: int, n: int) -> VoteRecord:
    """Votes for the claimed class and for one other; a tie if there is no claim."""
    classes = len(run.data.class_names)
    top = each.label if each.predicted is None else each.predicted
    rival = (top + 1) % classes
    most = n // 2 if each.predicted is None else votes
    selection, estimation = [0] * classes, [0] * classes
    selection[top] = run.manifest.n0
    estimation[top], estimation[rival] = most, n - most
    return VoteRecord(each.index, each.label, Counts(tuple(selection)), Counts(tuple(estimation)))
