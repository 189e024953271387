"""The metrics of one run, as a table shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.analysis.accuracy import (
    abstention_rate,
    accuracy,
    average_certified_radius,
    certified_accuracy,
    median_certified_radius,
)
from holdfast.analysis.probabilities import probabilities_of
from holdfast.errors import RunError
from holdfast.stats.datasets import DEFAULT_CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.analysis.accuracy import Result
    from holdfast.analysis.probabilities import Probabilities
    from holdfast.analysis.runs import CertifiedRun
    from holdfast.stats.datasets import Proportion


@dataclass(frozen=True)
class Summary:
    """The metrics of one run: a row of a table.

    Attributes:
        run: name of the run's folder.
        noise: as on the command line; for a deterministic bound, the bound.
        norm: of the radii.
        guarantee: the theorem and its source.
        bounds: how the class bounds follow from the votes.
        examples: how many have a record.
        subset: in plain words.
        covers: what the intervals account for, as in "alpha and the sampling of the subset".
        sampled: whether they account for the sampling of the subset, as far as indices and labels show.
        n: most estimation samples per example.
        mean_draws: estimation samples that an example took on average; None for an imported log.
        alpha: failure probability of each certificate.
        accuracy: share of unchanged examples that Predict answers correctly (Levine & Feizi 2020, "classification
            accuracy").
        abstention_rate: share of examples on which Predict abstains.
        average_certified_radius: in the norm's unit.
        median_certified_radius: in the norm's unit; None if fewer than half of the examples are correct.
        probabilities: the distribution of p_A; None where there are no votes.
        certified_accuracy: at each requested radius, with its interval.
        confidence: of all intervals.
        condition: what a certificate requires of a changed input besides being near; None for nothing.
        claimed: a note that the radii are claims of another tool, and how many n and alpha do not allow; None if they
            were computed here.
        seed_origin: "chosen", "entropy" or "derived"; None if not recorded, or if there is no seed.
        chosen: what the author of the run could have picked for its result; see `choices.chosen_in`.
        missing: examples in the manifest that have no record yet.
        digest: of the manifest.
        results: digest of the results; None until the run is complete.
    """

    run: str
    noise: str
    norm: str
    guarantee: str
    bounds: str
    examples: int
    subset: str
    covers: str
    sampled: bool
    n: int
    mean_draws: float | None
    alpha: float
    accuracy: Proportion
    abstention_rate: Proportion
    average_certified_radius: float
    median_certified_radius: float | None
    probabilities: Probabilities | None
    certified_accuracy: dict[float, Proportion]
    confidence: float
    condition: str | None
    claimed: str | None
    seed_origin: str | None
    chosen: tuple[str, ...]
    missing: int
    digest: str
    results: str | None


def summarize(run: CertifiedRun, radii: Sequence[float], confidence: float = DEFAULT_CONFIDENCE) -> Summary:
    """Compute the metrics of one run.

    Args:
        run: with at least one record.
        radii: at which certified accuracy is computed, each at least 0.
        confidence: of the intervals.

    Raises:
        RunError: the run has no records.
    """
    results, alpha = run.results, run.alpha
    if not results:
        raise RunError(f"{run.folder} has no records yet: `holdfast certify` with the same settings adds them")
    return Summary(
        run=run.name,
        noise=run.method,
        norm=run.norm.value,
        guarantee=f"{run.theorem.name} ({run.theorem.cite})",
        bounds=f"{run.estimator.method}, {run.theorem.name}",
        examples=len(results),
        subset=run.subset.words,
        covers=run.subset.covers,
        sampled=run.subset.sampled,
        n=run.estimator.most_draws,
        mean_draws=_mean_draws(results),
        alpha=alpha,
        accuracy=accuracy(results, alpha, confidence),
        abstention_rate=abstention_rate(results, confidence),
        average_certified_radius=average_certified_radius(results),
        median_certified_radius=median_certified_radius(results),
        probabilities=probabilities_of(results, alpha, confidence),
        certified_accuracy={radius: certified_accuracy(results, radius, alpha, confidence) for radius in radii},
        confidence=confidence,
        condition=run.condition,
        claimed=run.claimed,
        seed_origin=run.manifest.seed_origin,
        chosen=run.chosen,
        missing=run.run.missing,
        digest=run.manifest.digest,
        results=run.run.results,
    )


def _mean_draws(results: Sequence[Result]) -> float | None:
    known = [result.certificate.estimation.total for result in results if result.certificate]
    return sum(known) / len(known) if known else None
