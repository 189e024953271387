"""`holdfast certify`: a run with a certificate for each input of a subset."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli import console, digests, options
from holdfast.cli.material import Setup, warn_of_class_order
from holdfast.cli.promises import Beforehand, tell
from holdfast.cli.question import Question
from holdfast.models.precision import AUTO, BFLOAT16, FLOAT32
from holdfast.workflows.specs import parse_batch_size, parse_engine, parse_radii, parse_share

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.estimators import Estimator
    from holdfast.folders import Where
    from holdfast.sampling.classifier import VotingClassifier
    from holdfast.sampling.engines.base import Engine
    from holdfast.store.run_manifest import RunManifest


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("certify")(certify_command)


def certify_command(
    model: options.ModelFile,
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the run; an interrupted one is resumed.", metavar="RUN")
    ],
    data: options.DataSpec = "digits",
    noise: options.NoiseSpec = None,
    split: options.Split = "test",
    every: options.Every = 1,
    limit: options.Limit = None,
    n0: options.Selection = 100,
    n: options.Samples = 10_000,
    alpha: options.Alpha = 0.001,
    bounds: options.Bounds = "split",
    theorem: Annotated[
        str | None, typer.Option("--theorem", help="Guarantee, as in cohen_linf. Default: the noise's first one.")
    ] = None,
    joint: Annotated[
        bool, typer.Option("--joint", help="All certificates of the run hold together at --alpha (alpha/m for each).")
    ] = False,
    until_radius: options.UntilRadius = None,
    until_precision: options.UntilPrecision = None,
    estimator: options.EstimatorName = "auto",
    seed: options.Seed = None,
    promise_only: options.PromiseOnly = False,
    promise: options.PromiseDigest = None,
    nonce: options.Nonce = None,
    batch_size: options.BatchSize = "auto",
    device: options.Device = "cpu",
    threads: options.Threads = 1,
    engine: options.EngineSpec = "local",
    ray_address: options.RayAddress = None,
    precision: options.PrecisionOrAuto = "float32",
    backend: options.BackendName = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Certify the test images. Interrupted? The same command goes on where it stopped, to the same records."""
    from holdfast.cli.table import print_summaries
    from holdfast.stats.rounding import down
    from holdfast.store.run_manifest import RunManifest

    hidden = json or quiet
    beforehand = Beforehand(promise_only, promise, nonce)
    beforehand.check(out, RunManifest)
    # "auto" is settled when it is known how much there is to do.
    first = FLOAT32 if precision == AUTO else precision
    material = Setup.load(model, data, noise, split, device, first, theorem)
    question = Question(
        n0=n0,
        n=n,
        # Bonferroni: under any dependence between the certificates.
        alpha=down(alpha / len(material.indices(every, limit))) if joint else alpha,
        bounds=bounds,
        radii=() if until_radius is None else tuple(parse_radii(until_radius)),
        precision=None if until_precision is None else parse_share(until_precision),
    )
    rule = question.estimator(estimator, material.noise, material.data.shape, material.theorem)
    if rule.exhaustive and not hidden:
        console.note(f"{material.noise} has {rule.most_draws:,} realizations: each is taken once, and alpha is 0")
    settings = Settings(
        every=every,
        limit=limit,
        n0=0 if rule.exhaustive else n0,
        estimator=rule,
        engine=parse_engine(engine, ray_address, device, parse_batch_size(batch_size), threads),
        seed=seed,
        beforehand=beforehand,
        backend=backend,
        joint_alpha=alpha if joint and not rule.exhaustive else None,
    )
    material = in_precision(precision, out, material, settings, None if hidden else console.note)
    if promise_only:
        _promise_into(out, material, settings)
        tell(out, RunManifest, json)
        return
    certify_into(out, material, settings, hidden=hidden)
    print_summaries([out], None, as_json=json)
    if not json:
        digests.say(out)


@dataclass(frozen=True)
class Settings:
    """How much is sampled, and where.

    Attributes:
        every: each such-and-such example is certified.
        limit: so many at most; None for all.
        n0: selection samples of each.
        estimator: what follows from the votes, and when there are enough.
        engine: where the loop runs.
        seed: of all noise; None for that of the run, or a fresh one.
        beforehand: what is said of the promise, and of a nonce that the seed is derived from.
        backend: what computes the logits, or `auto`.
        joint_alpha: failure probability of all certificates together; None where each has its own.
    """

    every: int
    limit: int | None
    n0: int
    estimator: Estimator
    engine: Engine
    seed: int | None = None
    beforehand: Beforehand = field(default_factory=Beforehand)
    backend: str = "auto"
    joint_alpha: float | None = None


def in_precision(
    asked: str, out: Where, material: Setup, settings: Settings, tell: Callable[[str], None] | None = None
) -> Setup:
    """The material in the precision of that name; "auto" is that of the run in `out`, or else the faster one here.

    Which one it is belongs to the promise: it is settled before the manifest is written, and never measured again.

    Warns:
        RuntimeWarning: bfloat16 was named for a new run, and is much slower than float32 here.
    """
    from holdfast.models.precision import settled
    from holdfast.store.run_manifest import stored_run_manifest

    if asked not in (AUTO, FLOAT32, BFLOAT16):
        return material
    before = stored_run_manifest(out)
    kept = None if before is None else before.precision
    examples = len(material.indices(settings.every, settings.limit))
    samples = examples * (settings.n0 + settings.estimator.most_draws)
    place = material.workplace(settings.engine.device, settings.engine.threads)
    with console.resumable():
        chosen = settled(
            asked, kept, lambda name: None, lambda: place.speeds(settings.backend, material.data[0], samples), tell
        )
    return replace(material, precision=chosen)


def certify_into(out: Where, material: Setup, settings: Settings, *, hidden: bool) -> None:
    """Start or resume the run in `out`, with a progress bar unless `hidden`."""
    from holdfast.execution.certify import certify_run
    from holdfast.execution.factories import base_for

    data = material.data
    manifest, classifier = _begun(out, material, settings)
    with console.run_progress(f"certify {out.name}", hidden) as show:
        base = base_for(settings.engine, classifier, material.noise)
        certify_run(out, manifest, base, data.examples, settings.engine, show)


def _promise_into(out: Where, material: Setup, settings: Settings) -> None:
    """Write the promise of the run in `out`, if it is not there, and nothing else."""
    from holdfast.store.run import RunStore

    manifest, _ = _begun(out, material, settings)
    RunStore(out, manifest).close()


def _begun(out: Where, material: Setup, settings: Settings) -> tuple[RunManifest, VotingClassifier]:
    """The manifest of the run and its base classifier: all that precedes the first sample."""
    from holdfast.execution.backends import description

    warn_of_class_order(material.data, settings.every, settings.limit)
    with console.resumable():
        classifier = classifier_for(out, material, settings)
    return manifest_for(out, material, settings, description(classifier)), classifier


def classifier_for(out: Where, material: Setup, settings: Settings) -> VotingClassifier:
    """The base classifier on its backend: a resumed run keeps its own unless another one is asked for."""
    from holdfast.store.run_manifest import backend_of, stored_run_manifest

    place = material.workplace(settings.engine.device, settings.engine.threads)
    before = stored_run_manifest(out) if settings.backend == "auto" else None
    if before is not None:
        return place.classifier(backend_of(before))
    examples = len(material.indices(settings.every, settings.limit))
    samples = examples * (settings.n0 + settings.estimator.most_draws)
    return place.chosen(settings.backend, material.data[0], samples)


def manifest_for(out: Where, material: Setup, settings: Settings, backend: dict[str, Any]) -> RunManifest:
    """The manifest of the run: a resumed run keeps its seed unless another one is asked for."""
    from holdfast.execution.certify import describe_certification
    from holdfast.store.data_manifest import DataManifest
    from holdfast.store.run_manifest import RunManifest

    return describe_certification(
        noise=material.noise,
        guarantee=material.theorem,
        estimator=settings.estimator,
        n0=settings.n0,
        data=DataManifest.of(material.data, settings.every, settings.limit),
        model={**material.bundle.describe(), "backend": backend},
        seed=settings.beforehand.seed(out, RunManifest, settings.seed),
        precision=material.precision,
        device=settings.engine.device,
        joint_alpha=settings.joint_alpha,
    )
