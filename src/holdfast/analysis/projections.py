"""What a run's votes give under other bounds, and would have with other n or alpha. For comparison, no guarantee.

What was promised was promised before the votes were seen; what is picked afterwards for its result is no guarantee.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from holdfast.analysis.runs import analyze
from holdfast.errors import UsageError
from holdfast.estimators import FixedSize
from holdfast.noises.base import find_guarantee
from holdfast.stats.class_bounds import check_method
from holdfast.store.run import VoteRecord
from holdfast.store.run_manifest import estimator_of
from holdfast.types import Counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.analysis.runs import CertifiedRun


def compared(run: CertifiedRun, bounds: str | None = None, guarantee: str | None = None) -> CertifiedRun:
    """The same votes under other class bounds or another theorem than the run promised.

    Raises:
        UsageError: the run's estimator or noise does not have them.
        RunError: an imported log or a deterministic bound, which has no votes.
    """
    run.check_votes("no other bound can be computed")
    estimator = run.manifest.estimator
    if bounds is not None:
        if "method" not in estimator:
            raise UsageError(f"the estimator {estimator['name']!r} of {run.folder} has one kind of class bounds only")
        estimator = {**estimator, "method": check_method(bounds)}
    # Checks the name.
    theorem = run.theorem if guarantee is None or run.noise is None else find_guarantee(run.noise, guarantee)
    return analyze(replace(run.run, manifest=replace(run.manifest, estimator=estimator, guarantee=theorem.name)))


def with_alpha(run: CertifiedRun, alpha: float) -> CertifiedRun:
    """The same votes at another failure probability.

    Raises:
        RunError: an imported log or a deterministic bound, which has no votes.
        UsageError: alpha is not between 0 and 1, or the run's estimator stops early.
    """
    return _changed(run, lambda counts: counts, alpha=alpha)


def rescaled(run: CertifiedRun, n: int) -> CertifiedRun:
    """As if n votes had been cast with the same shares, rounded toward fewer votes for the class with the most.

    Beyond the votes that were cast this is a projection: shares of more votes would differ.

    Source: Cohen et al. 2019, Figure 8 (middle) and Appendix J.2. Errors as in `with_alpha`.
    """

    def scaled(counts: Counts) -> Counts:
        votes = [vote * n // counts.total for vote in counts.votes]
        # What rounding left over goes to the runner-up, never to the top class.
        votes[counts.top_two()[1]] += n - sum(votes)
        return Counts(tuple(votes))

    return _changed(run, scaled, n=n)


def thinned(run: CertifiedRun, n: int, seed: int = 0) -> CertifiedRun:
    """n of the votes of each example, drawn without replacement: distributed as n samples would have been.

    Errors as in `with_alpha`, and where n exceeds the run's.
    """
    generator = np.random.default_rng(seed)
    return _changed(run, lambda counts: parted(counts, n, generator)[0], n=n)


def parted(counts: Counts, n: int, generator: np.random.Generator) -> tuple[Counts, Counts]:
    """n votes drawn without replacement, and the others.

    Raises:
        UsageError: there are fewer than n votes.
    """
    if n > counts.total:
        raise UsageError(f"{n} votes cannot be drawn from {counts.total}; certify with a larger n, or ask for fewer")
    drawn = Counts.of(generator.multivariate_hypergeometric(counts.votes, n, method="marginals"))
    rest = Counts(tuple(all_ - taken for all_, taken in zip(counts.votes, drawn.votes, strict=True)))
    return drawn, rest


def _changed(run: CertifiedRun, change: Callable[[Counts], Counts], **parameters: float) -> CertifiedRun:
    """The run with other votes, and other parameters of its estimator."""
    run.check_votes("nothing can be projected")
    manifest = run.manifest
    if manifest.estimator["name"] != FixedSize.name:
        raise UsageError(
            f"the estimator of {run.folder} is {manifest.estimator['name']!r}: only votes of a fixed number, cast with "
            "the estimator fixed, can be projected to another number"
        )
    promised = replace(manifest, estimator={**manifest.estimator, **parameters})
    # Checks them before the votes are changed.
    estimator_of(promised)
    records = tuple(
        replace(record, estimation=change(record.estimation)) if isinstance(record, VoteRecord) else record
        for record in run.run.records
    )
    return analyze(replace(run.run, manifest=promised, records=records))
