"""From a run's records to certificates, and from certificates to the field's figures."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holdfast.analysis.choices import chosen_in
from holdfast.analysis.claims import claimed, reach_known
from holdfast.analysis.proved import condition
from holdfast.errors import RunError, UsageError
from holdfast.estimators import best_radius, certificate
from holdfast.noises.base import Guarantee, find_guarantee, noise_from_dict
from holdfast.stats.class_bounds import check_method
from holdfast.stats.datasets import DEFAULT_CONFIDENCE, Proportion, certified_proportion, proportion
from holdfast.store.run import BoundRecord, ClaimRecord
from holdfast.store.run_manifest import BOUND, IMPORTED, estimator_of, proved_of
from holdfast.types import Certificate, ClassBounds, Counts, Norm
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.noises.base import Noise
    from holdfast.store.run import Record, Run, VoteRecord
    from holdfast.store.run_manifest import RunManifest
    from holdfast.store.subsets import Subset


@dataclass(frozen=True)
class Result:
    """What a run says about one example.

    Attributes:
        index: of the example in its split.
        label: its true class.
        predicted: the certified class, or None (not certified).
        radius: the certified radius, 0.0 when not certified.
        answer: the class that the estimator answers for the unchanged input at the same alpha, or None (abstain): more
            inputs have an answer than a certificate, which bounds the shares of all votes. For an imported log, which
            has no votes, the certified class.
        certificate: where the votes are known; None for an imported log.
        seconds: that an imported log gives; None otherwise.
    """

    index: int
    label: int
    predicted: int | None
    radius: float
    answer: int | None
    certificate: Certificate | None = None
    seconds: float | None = None

    @property
    def correct(self) -> bool:
        """Certified and right."""
        return self.predicted is not None and self.predicted == self.label

    @property
    def certified_radius(self) -> float:
        """The radius within which the example stays correctly classified: minus infinity if it is not."""
        return self.radius if self.correct else -math.inf


def noise_of(manifest: RunManifest) -> Noise:
    """The noise that a manifest promised; a deterministic bound has none."""
    return noise_from_dict(manifest.noise)


def method_of(manifest: RunManifest) -> str:
    """The noise that smooths, or the deterministic bound, as on the command line."""
    return proved_of(manifest).spelling if manifest.kind == BOUND else str(noise_of(manifest))


def assumption_of(manifest: RunManifest) -> str:
    """What the promised theorem takes for granted."""
    return proved_of(manifest).assumption if manifest.kind == BOUND else noise_of(manifest).assumption


def theorem_of(manifest: RunManifest) -> Guarantee:
    """The guarantee that a manifest promised."""
    if manifest.kind == BOUND:
        proved = proved_of(manifest)
        return Guarantee(manifest.guarantee, Norm(proved.norm), proved.source, _nothing)
    return find_guarantee(noise_of(manifest), manifest.guarantee)


def _nothing(noise: object, bounds: ClassBounds, shape: tuple[int, ...]) -> float | None:
    return None


def attainable_radius(manifest: RunManifest) -> float | None:
    """The largest radius that the promised noise, estimator and theorem can certify; None if not even radius 0.

    For a deterministic bound its epsilon; None where that depends on the input. None, too, where it depends on a shape
    that an imported log does not tell.
    """
    if manifest.kind == BOUND:
        return proved_of(manifest).most
    if not reach_known(manifest, theorem_of(manifest).norm):
        return None
    estimator, classes = estimator_of(manifest), len(manifest.data.class_names)
    return best_radius(noise_of(manifest), estimator, manifest.data.shape, classes, manifest.guarantee)[0]


def compared(run: Run, bounds: str | None = None, guarantee: str | None = None) -> Run:
    """The same votes under other class bounds or another theorem than the run promised, for comparison.

    The promise was made before the votes were seen; what is picked afterwards for its result is no guarantee.

    Raises:
        UsageError: the run's estimator or noise does not have them.
        RunError: an imported log, which has no votes.
    """
    manifest = run.manifest
    if manifest.kind == BOUND:
        raise RunError(f"{run.folder} has a deterministic bound and no votes, so no other bound can be computed")
    if manifest.kind == IMPORTED:
        raise RunError(f"{run.folder} is an imported log: it has radii and no votes, so no other bound can be computed")
    estimator = manifest.estimator
    if bounds is not None:
        if "method" not in estimator:
            raise UsageError(f"the estimator {estimator['name']!r} of {run.folder} has one kind of class bounds only")
        estimator = {**estimator, "method": check_method(bounds)}
    name = find_guarantee(noise_of(manifest), guarantee or manifest.guarantee).name
    return replace(run, manifest=replace(manifest, estimator=estimator, guarantee=name))


def outcomes(run: Run) -> list[Result]:
    """One outcome for each record, in the order of the indices; radii are computed from the votes, here and now."""
    return [_outcome(run.manifest, record) for record in run.records]


def certified_accuracy(results: Sequence[Result], radius: float) -> float:
    """The share of examples that are correct and certified at `radius` at least."""
    return sum(result.certified_radius >= radius for result in results) / len(results)


def median_certified_radius(results: Sequence[Result]) -> float | None:
    """The largest radius at which certified accuracy is at least one half; None if there is none.

    Misclassified examples and abstentions count as minus infinity (Levine & Feizi 2020, "Results").
    """
    ranked = sorted((result.certified_radius for result in results), reverse=True)
    median = ranked[math.ceil(len(ranked) / 2) - 1]
    return None if median == -math.inf else median


def median_interval(
    results: Sequence[Result], alpha: float, confidence: float = DEFAULT_CONFIDENCE
) -> tuple[float | None, float | None]:
    """An interval for the median certified radius of the population; None where it has none.

    Its ends are the largest radii at which the interval of certified accuracy lies above one half, and is not below it.
    """
    ranked = sorted((result.certified_radius for result in results), reverse=True)
    counts = range(1, len(ranked) + 1)

    def reached(end: Callable[[Proportion], float]) -> float | None:
        """The radius of the first example, from the largest on, with which this end reaches one half."""
        place = bisect_left(
            counts,
            True,
            key=lambda count: end(certified_proportion(count, len(ranked), alpha, confidence)) >= 0.5,
        )
        return None if place == len(ranked) or ranked[place] == -math.inf else ranked[place]

    return reached(lambda share: share.lower), reached(lambda share: share.upper)


def average_certified_radius(results: Sequence[Result]) -> float:
    """The mean over all examples of the certified radius, where examples that are not correct count 0 (MACER)."""
    return math.fsum(max(0.0, result.certified_radius) for result in results) / len(results)


def abstention_rate(results: Sequence[Result]) -> float:
    """The share of examples on which Predict abstained."""
    return sum(result.answer is None for result in results) / len(results)


def accuracy(results: Sequence[Result]) -> float:
    """The share of unchanged examples that Predict answers correctly. An abstention is never correct."""
    return sum(result.answer == result.label for result in results) / len(results)


@dataclass(frozen=True)
class Summary:
    """One run in numbers: a row of a table.

    Attributes:
        run: name of the run's folder.
        noise: as on the command line; for a deterministic bound, the bound.
        norm: in which radii are measured.
        guarantee: the theorem and its source.
        bounds: how the class bounds follow from the votes.
        examples: how many have a record.
        subset: in plain words.
        covers: what the intervals cover, as in "alpha and the sampling of the subset".
        sampled: whether that is the sampling of the subset, too, as far as indices and labels show.
        n: estimation samples of each example, at most.
        mean_draws: estimation samples that an example took on average; None for an imported log.
        alpha: failure probability of each certificate.
        accuracy: of the smoothed classifier on unchanged examples: Predict answers, and correctly (Levine & Feizi
            2020, "classification accuracy").
        abstention_rate: share of examples on which Predict abstains.
        average_certified_radius: in the norm's unit.
        median_certified_radius: likewise; None if fewer than half of the examples are correct.
        certified_accuracy: at each radius asked for, with its interval.
        confidence: of all intervals.
        condition: what a changed input must be, besides near, for a certificate to be about it; None for nothing.
        claimed: that the radii are claims of another tool, and how many n and alpha do not allow; None where they are
            derived here.
        seed_origin: "chosen", "entropy" or "derived"; None where it was not noted, or there is no seed.
        chosen: what whoever made the run could have chosen for its result: see `choices.chosen_in`.
        missing: examples that were promised and have no record yet.
        digest: of the manifest.
        results: digest of the results, where the run has it: once it is complete.
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
    certified_accuracy: dict[float, Proportion]
    confidence: float
    condition: str | None
    claimed: str | None
    seed_origin: str | None
    chosen: tuple[str, ...]
    missing: int
    digest: str
    results: str | None


def summarize(run: Run, radii: Sequence[float], confidence: float = DEFAULT_CONFIDENCE) -> Summary:
    """The numbers of one run.

    Args:
        run: with at least one record.
        radii: at which certified accuracy is wanted, each at least 0.
        confidence: of the intervals.

    Raises:
        RunError: the run has no records.
    """
    results = outcomes(run)
    if not results:
        raise RunError(f"{run.folder} has no records yet: `holdfast certify` with the run's own settings adds them")
    estimator = estimator_of(run.manifest)
    theorem = theorem_of(run.manifest)
    subset = subset_of(run)

    def share(hits: int) -> Proportion:
        return certified_proportion(hits, len(results), estimator.alpha, confidence)

    abstained = sum(result.answer is None for result in results)
    return Summary(
        run=visible(run.folder.name),
        noise=method_of(run.manifest),
        norm=theorem.norm.value,
        guarantee=f"{theorem.name} ({theorem.cite})",
        bounds=f"{estimator.method}, {theorem.name}",
        examples=len(results),
        subset=subset.words,
        covers=subset.covers,
        sampled=subset.sampled,
        n=estimator.most_draws,
        mean_draws=_mean_draws(results),
        alpha=estimator.alpha,
        accuracy=share(sum(result.answer == result.label for result in results)),
        abstention_rate=proportion(abstained, len(results), confidence),
        average_certified_radius=average_certified_radius(results),
        median_certified_radius=median_certified_radius(results),
        certified_accuracy={
            radius: share(sum(result.certified_radius >= radius for result in results)) for radius in radii
        },
        confidence=confidence,
        condition=condition(run.manifest),
        claimed=claimed_of(run),
        seed_origin=run.manifest.seed_origin,
        chosen=chosen_in(run.manifest),
        missing=run.missing,
        digest=run.manifest.digest,
        results=run.results,
    )


def claimed_of(run: Run) -> str | None:
    """That the radii of a run are claims of another tool, to be said wherever they stand; None where they are not."""
    if run.manifest.kind != IMPORTED:
        return None
    return claimed(run, theorem_of(run.manifest).norm, attainable_radius(run.manifest))


def subset_of(run: Run) -> Subset:
    """Which examples the numbers are about, decided from the records, and what their intervals cover."""
    return run.manifest.data.there(run.records)


def _mean_draws(results: Sequence[Result]) -> float | None:
    known = [result.certificate.estimation.total for result in results if result.certificate]
    return sum(known) / len(known) if known else None


def _outcome(manifest: RunManifest, record: Record) -> Result:
    if isinstance(record, BoundRecord):
        certain = _proved(manifest, record)
        return Result(record.index, record.label, certain.label, certain.radius, record.answer, certain)
    if isinstance(record, ClaimRecord):
        claimed = record.predicted
        return Result(record.index, record.label, claimed, record.radius, claimed, None, record.seconds)
    proved = _certificate(manifest, record)
    answer = estimator_of(manifest).answer(proved.bounds.top, record.estimation)
    return Result(record.index, record.label, proved.label, proved.radius, answer, proved)


def _certificate(manifest: RunManifest, record: VoteRecord) -> Certificate:
    return certificate(
        noise_of(manifest),
        estimator_of(manifest),
        manifest.data.shape,
        record.selection,
        record.estimation,
        manifest.guarantee,
    )


def _proved(manifest: RunManifest, record: BoundRecord) -> Certificate:
    """The certificate of a deterministic bound: alpha is 0, and there are no votes."""
    none = Counts((0,) * len(manifest.data.class_names))
    certain = record.answer is not None
    bounds = ClassBounds(record.answer or 0, float(certain), float(not certain))
    proved = proved_of(manifest)
    space = (manifest.data.low, manifest.data.high) if proved.in_range else None
    return Certificate(record.answer, record.radius, Norm(proved.norm), 0.0, none, none, bounds, space)
