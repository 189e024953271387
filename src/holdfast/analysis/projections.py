"""What a run's votes would have given with another number of samples or another alpha. For comparison, no guarantee."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from holdfast.errors import RunError, UsageError
from holdfast.store.run import VoteRecord
from holdfast.store.run_manifest import estimator_of
from holdfast.types import Counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.store.run import Run


def with_alpha(run: Run, alpha: float) -> Run:
    """The same votes at another failure probability.

    Raises:
        RunError: an imported log, which has no votes.
        UsageError: alpha is not between 0 and 1, or the run's estimator stops early.
    """
    return _changed(run, run.manifest.estimator["n"], alpha, lambda counts: counts)


def rescaled(run: Run, n: int) -> Run:
    """As if n votes had been cast with the same shares, rounded toward fewer votes for the class with the most.

    Beyond the votes that were cast this is a projection: shares of more votes would differ.

    Source: Cohen et al. 2019, Figure 8 (middle) and Appendix J.2. Errors as in `with_alpha`.
    """

    def scaled(counts: Counts) -> Counts:
        votes = [vote * n // counts.total for vote in counts.votes]
        # What rounding left over goes to the runner-up, never to the top class.
        votes[counts.top_two()[1]] += n - sum(votes)
        return Counts(tuple(votes))

    return _changed(run, n, run.manifest.estimator["alpha"], scaled)


def thinned(run: Run, n: int, seed: int = 0) -> Run:
    """n of the votes of each example, drawn without replacement: distributed as n samples would have been.

    Errors as in `with_alpha`, and where n exceeds the run's.
    """
    generator = np.random.default_rng(seed)
    return _changed(run, n, run.manifest.estimator["alpha"], lambda counts: parted(counts, n, generator)[0])


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


def _changed(run: Run, n: int, alpha: float, change: Callable[[Counts], Counts]) -> Run:
    manifest = run.manifest
    if manifest.kind == "imported":
        raise RunError(f"{run.folder} is an imported log: it has radii and no votes, so nothing can be projected")
    if manifest.estimator["name"] != "fixed":
        raise UsageError(
            f"the estimator of {run.folder} is {manifest.estimator['name']!r}: only votes of a fixed number, cast with "
            "the estimator fixed, can be projected to another number"
        )
    promised = replace(manifest, estimator={**manifest.estimator, "n": n, "alpha": alpha})
    # Checks n and alpha.
    estimator_of(promised)
    records = tuple(
        replace(record, estimation=change(record.estimation)) if isinstance(record, VoteRecord) else record
        for record in run.records
    )
    return replace(run, manifest=promised, records=records)
