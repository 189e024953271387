"""What a run's votes give under other bounds, alpha or n. For comparison only.

The manifest was fixed before the votes were seen. Settings picked afterwards for their result give no guarantee.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from holdfast.analysis.runs import analyze
from holdfast.errors import UsageError
from holdfast.estimators import Exact, FixedSize, RunOff
from holdfast.noises.base import find_guarantee
from holdfast.stats.class_bounds import check_method
from holdfast.store.run import VoteRecord
from holdfast.store.run_manifest import estimator_of
from holdfast.types import Counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.analysis.runs import CertifiedRun

# Beside the methods of class bounds.
_MAJORITY = "majority"


def compared(run: CertifiedRun, bounds: str | None = None, guarantee: str | None = None) -> CertifiedRun:
    """The same votes under other class bounds or another theorem than the manifest names.

    The bounds "majority" are those of the class that the votes of a run-off name without a second round: another
    classifier, and its certificate.

    Raises:
        UsageError: the run's estimator or noise does not offer them.
        RunError: an imported log or a deterministic bound, which has no votes.
    """
    run.check_votes("no other bound can be computed")
    estimator = run.manifest.estimator
    if bounds == _MAJORITY:
        return _by_majority(run)
    if bounds is not None:
        if "method" not in estimator:
            raise UsageError(f"the estimator {estimator['name']!r} of {run.folder} has only one kind of class bounds")
        estimator = {**estimator, "method": check_method(bounds)}
    # `find_guarantee` checks the name.
    theorem = run.theorem if guarantee is None or run.noise is None else find_guarantee(run.noise, guarantee)
    return analyze(replace(run.run, manifest=replace(run.manifest, estimator=estimator, guarantee=theorem.name)))


def _by_majority(run: CertifiedRun) -> CertifiedRun:
    """The run as if the class with the most votes were the answer: without what only a run-off needs."""
    manifest = run.manifest
    if not isinstance(run.estimator, RunOff):
        raise UsageError(f"{run.folder} has no run-off: its answers are those of the majority")
    noise = {key: value for key, value in manifest.noise.items() if key != "decision"}
    changed = replace(manifest, noise=noise, estimator=Exact(run.estimator.n).to_dict())
    records = tuple(
        replace(record, estimation=Counts(record.estimation.votes)) if isinstance(record, VoteRecord) else record
        for record in run.run.records
    )
    return analyze(replace(run.run, manifest=changed, records=records))


def with_alpha(run: CertifiedRun, alpha: float) -> CertifiedRun:
    """The same votes at another failure probability.

    Raises:
        RunError: an imported log or a deterministic bound, which has no votes.
        UsageError: alpha is not between 0 and 1, or the run's estimator stops early.
    """
    return _changed(run, lambda counts: counts, alpha=alpha)


def rescaled(run: CertifiedRun, n: int) -> CertifiedRun:
    """The run as if n votes had been cast with the same shares, rounded against the class with the most votes.

    For more votes than were cast this is a projection: the shares of more votes would differ.

    Source: Cohen et al. 2019, Figure 8 (middle) and Appendix J.2. Errors as in `with_alpha`.
    """

    def scaled(counts: Counts) -> Counts:
        votes = [vote * n // counts.total for vote in counts.votes]
        # The votes left over by rounding go to the runner-up, never to the top class.
        votes[counts.top_two()[1]] += n - sum(votes)
        return Counts(tuple(votes))

    return _changed(run, scaled, n=n)


def thinned(run: CertifiedRun, n: int, seed: int = 0) -> CertifiedRun:
    """The run with n votes of each example, drawn without replacement: distributed like n samples.

    Errors as in `with_alpha`; also a UsageError if n exceeds the run's votes.
    """
    generator = np.random.default_rng(seed)
    return _changed(run, lambda counts: parted(counts, n, generator)[0], n=n)


def parted(counts: Counts, n: int, generator: np.random.Generator) -> tuple[Counts, Counts]:
    """Split the votes into n drawn without replacement and the remaining ones.

    Raises:
        UsageError: there are fewer than n votes.
    """
    if n > counts.total:
        raise UsageError(f"{n} votes cannot be drawn from {counts.total}; certify with a larger n, or ask for fewer")
    drawn = Counts.of(generator.multivariate_hypergeometric(counts.votes, n, method="marginals"))
    remaining = Counts(tuple(all_ - taken for all_, taken in zip(counts.votes, drawn.votes, strict=True)))
    return drawn, remaining


def _changed(run: CertifiedRun, change: Callable[[Counts], Counts], **parameters: float) -> CertifiedRun:
    """The run with changed votes and estimator parameters."""
    run.check_votes("nothing can be projected")
    manifest = run.manifest
    if manifest.estimator["name"] != FixedSize.name:
        raise UsageError(
            f"the estimator of {run.folder} is {manifest.estimator['name']!r}: only a fixed number of votes, cast with "
            "the estimator fixed, can be projected to another n or alpha"
        )
    changed = replace(manifest, estimator={**manifest.estimator, **parameters})
    # Checks the parameters before the votes are changed.
    estimator_of(changed)
    records = tuple(
        replace(record, estimation=change(record.estimation)) if isinstance(record, VoteRecord) else record
        for record in run.run.records
    )
    return analyze(replace(run.run, manifest=changed, records=records))
