"""Certify a subset of a data set into a run that can be interrupted, resumed and verified."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from holdfast.models.precision import AUTO, BFLOAT16, FLOAT32
from holdfast.workflows.commitment import Commitment
from holdfast.workflows.setup import warn_of_class_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.estimators import Estimator
    from holdfast.execution.session import Progress
    from holdfast.folders import Where
    from holdfast.sampling.classifier import VotingClassifier
    from holdfast.sampling.engines.base import Engine
    from holdfast.store.run_manifest import RunManifest
    from holdfast.store.samples import Sample
    from holdfast.workflows.question import Question
    from holdfast.workflows.setup import Setup


@dataclass(frozen=True)
class Settings:
    """How much to sample, and where.

    Attributes:
        every: take one example in this many, from the first on.
        limit: largest number of examples; None for all.
        n0: selection samples of each.
        estimator: what follows from the votes, and when there are enough.
        engine: where the loop runs.
        seed: seed of all noise; None for that of the run, or a fresh one.
        commitment: conditions on the manifest, and the nonce that the seed is derived from.
        backend: what computes the logits, or `auto`.
        joint_alpha: failure probability of all certificates together; None where each has its own.
        sample: random sample in the place of `every` and `limit`; None for none.
    """

    every: int
    limit: int | None
    n0: int
    estimator: Estimator
    engine: Engine
    seed: int | None = None
    commitment: Commitment = field(default_factory=Commitment)
    backend: str = "auto"
    joint_alpha: float | None = None
    sample: Sample | None = None

    @classmethod
    def of(
        cls,
        setup: Setup,
        question: Question,
        *,
        estimator: str = "auto",
        joint: bool = False,
        every: int = 1,
        limit: int | None = None,
        engine: Engine,
        seed: int | None = None,
        commitment: Commitment | None = None,
        backend: str = "auto",
        sample: Sample | None = None,
    ) -> Settings:
        """The settings that answer a question about each example.

        Args:
            setup: model, data and noise.
            question: what is asked of each example; with `joint` its alpha is that of all certificates together.
            estimator: auto, fixed, looks, bets, eprocess or exact.
            joint: all certificates hold together: each has alpha divided by the number of examples.
            every, limit, engine, seed, commitment, backend, sample: see the attributes.

        Raises:
            UsageError: the estimator does not fit the question or the noise.
        """
        from holdfast.stats.rounding import down

        # Bonferroni: under any dependence between the certificates.
        alpha = down(question.alpha / len(setup.indices(every, limit, sample))) if joint else question.alpha
        rule = replace(question, alpha=alpha).estimator(estimator, setup.noise, setup.data.shape, setup.theorem)
        return cls(
            every=every,
            limit=limit,
            n0=0 if rule.exhaustive else question.n0,
            estimator=rule,
            engine=engine,
            seed=seed,
            commitment=commitment or Commitment(),
            backend=backend,
            joint_alpha=question.alpha if joint and not rule.exhaustive else None,
            sample=sample,
        )


def in_precision(
    precision: str, out: Where, setup: Setup, settings: Settings, tell: Callable[[str], None] | None = None
) -> Setup:
    """The setup in the precision of that name; "auto" keeps that of the run in `out`, or takes the faster one here.

    The choice is part of the manifest: it is made before the manifest is written, and never measured again.

    Warns:
        RuntimeWarning: bfloat16 is given for a new run, and is much slower than float32 here.
    """
    from holdfast.models.precision import settled
    from holdfast.store.run_manifest import stored_run_manifest

    if precision not in (AUTO, FLOAT32, BFLOAT16):
        return setup
    before = stored_run_manifest(out)
    earlier = None if before is None else before.precision
    examples = len(setup.indices(settings.every, settings.limit, settings.sample))
    samples = examples * (settings.n0 + settings.estimator.most_draws)
    builder = setup.builder(settings.engine.device, settings.engine.threads)
    chosen = settled(
        precision, earlier, lambda name: None, lambda: builder.speeds(settings.backend, setup.data[0], samples), tell
    )
    return replace(setup, precision=chosen)


def certify_into(
    out: Where, setup: Setup, settings: Settings, on_progress: Callable[[Progress], None] | None = None
) -> None:
    """Start or resume the run in `out`, and return when every example of the subset has a record on the disk.

    Warns:
        HoldfastWarning: the first examples of a sorted split do not represent it.

    Raises:
        RunError: the run in `out` has other settings, or is corrupt.
    """
    from holdfast.execution.certify import certify_run
    from holdfast.execution.factories import base_for

    manifest, classifier = _begun(out, setup, settings)
    base = base_for(settings.engine, classifier, setup.noise)
    certify_run(out, manifest, base, setup.data.examples, settings.engine, on_progress, here=classifier)


def promise_into(out: Where, setup: Setup, settings: Settings) -> None:
    """Only write the manifest of the run in `out`, unless it exists. Errors as in `certify_into`."""
    from holdfast.store.run import RunStore

    manifest, _ = _begun(out, setup, settings)
    RunStore(out, manifest).close()


def _begun(out: Where, setup: Setup, settings: Settings) -> tuple[RunManifest, VotingClassifier]:
    """The manifest of the run and its base classifier, before the first sample."""
    from holdfast.execution.backends import description

    warn_of_class_order(setup.data, settings.every, settings.limit, settings.sample)
    classifier = classifier_for(out, setup, settings)
    return manifest_for(out, setup, settings, description(classifier)), classifier


def classifier_for(out: Where, setup: Setup, settings: Settings) -> VotingClassifier:
    """The base classifier on its backend: a resumed run keeps its backend unless the settings name another."""
    from holdfast.store.run_manifest import backend_of, stored_run_manifest

    builder = setup.builder(settings.engine.device, settings.engine.threads)
    before = stored_run_manifest(out) if settings.backend == "auto" else None
    if before is not None:
        return builder.classifier(backend_of(before))
    examples = len(setup.indices(settings.every, settings.limit, settings.sample))
    samples = examples * (settings.n0 + settings.estimator.most_draws)
    return builder.chosen(settings.backend, setup.data[0], samples)


def manifest_for(out: Where, setup: Setup, settings: Settings, backend: dict[str, Any]) -> RunManifest:
    """The manifest of the run: a resumed run keeps its seed unless the settings give another."""
    from holdfast.execution.certify import describe_certification
    from holdfast.store.data_manifest import DataManifest
    from holdfast.store.run_manifest import RunManifest

    return describe_certification(
        noise=setup.noise,
        guarantee=setup.theorem,
        estimator=settings.estimator,
        n0=settings.n0,
        data=DataManifest.of(setup.data, settings.every, settings.limit, settings.sample),
        model={**setup.model.describe(), "backend": backend},
        seed=settings.commitment.seed(out, RunManifest, settings.seed),
        precision=setup.precision,
        device=settings.engine.device,
        joint_alpha=settings.joint_alpha,
    )
