"""`holdfast certify`: a run with a certificate for each input of a subset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli import console, options
from holdfast.cli.material import Material
from holdfast.cli.specs import parse_batch_size, parse_engine, parse_radii, parse_share
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.estimators import Estimator
    from holdfast.noises.base import Noise, Shape
    from holdfast.runs.manifest import Manifest
    from holdfast.sampling.classifier import VotingClassifier
    from holdfast.sampling.engines.base import Engine


_ESTIMATORS = ("exact", "fixed", "looks", "eprocess")


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
    batch_size: options.BatchSize = "auto",
    device: options.Device = "cpu",
    threads: options.Threads = 1,
    engine: options.EngineSpec = "local",
    ray_address: options.RayAddress = None,
    precision: options.Precision = "float32",
    backend: options.BackendName = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Certify the test images. Interrupted? The same command goes on where it stopped, to the same records."""
    from holdfast.cli.table import print_summaries
    from holdfast.stats.rounding import down

    material = Material.load(model, data, noise, split, device, precision, theorem)
    # Bonferroni: under any dependence between the certificates.
    each = down(alpha / len(range(0, len(material.data), every)[:limit])) if joint else alpha
    question = Question(
        n0,
        n,
        each,
        bounds,
        () if until_radius is None else tuple(parse_radii(until_radius)),
        None if until_precision is None else parse_share(until_precision),
    )
    rule = question.estimator(estimator, material.noise, material.data.shape, material.theorem)
    if rule.exhaustive and not (json or quiet):
        console.note(f"{material.noise} has {rule.most_draws:,} realizations: each is taken once, and alpha is 0")
    certify_into(
        out,
        material,
        Settings(
            every,
            limit,
            0 if rule.exhaustive else n0,
            rule,
            seed,
            parse_batch_size(batch_size),
            device,
            threads,
            precision,
            alpha if joint and not rule.exhaustive else None,
            backend,
            engine,
            ray_address,
        ),
        hidden=json or quiet,
    )
    print_summaries([out], None, as_json=json)


@dataclass(frozen=True)
class Question:
    """What is asked of each input, and at what cost and risk.

    Attributes:
        n0: selection samples.
        n: estimation samples, at most.
        alpha: failure probability of each certificate.
        bounds: how class bounds follow from votes.
        radii: that are to be decided; empty for none.
        precision: of the radius that is wanted; None for the radius that n samples give.
    """

    n0: int
    n: int
    alpha: float
    bounds: str
    radii: tuple[float, ...]
    precision: float | None

    def estimator(self, name: str, noise: Noise, shape: Shape, theorem: str | None = None) -> Estimator:
        """The estimator of that name for this question; "auto" takes the cheapest one that fits.

        Raises:
            UsageError: an unknown name, one that does not fit the question, or a value out of range.
        """
        from holdfast.estimators import EProcess, Exact, FixedSize, Looks, scale_of

        early = bool(self.radii) or self.precision is not None
        count = noise.realizations(shape)
        if name == "auto":
            few = count is not None and count <= self.n0 + self.n
            name = "exact" if few else "looks" if early else "fixed"
        if name not in _ESTIMATORS:
            raise UsageError(f"--estimator is auto, {', '.join(_ESTIMATORS)}; got {name!r}")
        if name == "exact":
            if count is None:
                raise UsageError(f"{noise} has no end of realizations to take once each; choose another --estimator")
            return Exact(count)
        if name == "fixed":
            if early:
                raise UsageError("--estimator fixed does not stop early: leave it out, or leave out --until-...")
            return FixedSize(self.n, self.alpha, self.bounds)
        if not early:
            raise UsageError(f"--estimator {name} stops early: say when with --until-radius or --until-precision")
        scale = scale_of(noise, theorem, shape)
        if name == "looks":
            return Looks(self.n, self.alpha, self.radii, self.precision, method=self.bounds, scale=scale)
        if len(self.radii) != 1 or self.precision is not None:
            raise UsageError("an e-process decides one radius; use --estimator looks for several, or for a precision")
        return EProcess(self.n, self.alpha, self.radii[0], scale=scale)


@dataclass(frozen=True)
class Settings:
    """How much is sampled, and where."""

    every: int
    limit: int | None
    n0: int
    estimator: Estimator
    seed: int | None
    batch_size: int | None
    device: str
    threads: int
    precision: str
    joint_alpha: float | None = None
    backend: str = "auto"
    engine_spec: str = "local"
    ray_address: str | None = None

    def engine(self) -> Engine:
        """The engine that these settings ask for."""
        return parse_engine(self.engine_spec, self.ray_address, self.device, self.batch_size, self.threads)


def certify_into(out: Path, material: Material, settings: Settings, *, hidden: bool) -> None:
    """Start or resume the run in `out`, with a progress bar unless `hidden`."""
    from holdfast.runs.backends import description
    from holdfast.runs.execute import certify_run
    from holdfast.runs.recipe import base_for

    data = material.data
    with console.resumable():
        classifier = classifier_for(out, material, settings)
    engine = settings.engine()
    manifest = promise_of(out, material, settings, description(classifier))
    with console.run_progress(f"certify {out.name}", hidden) as show:
        base = base_for(engine, classifier)
        certify_run(out, manifest, base, lambda indices: (data[index] for index in indices), engine, show)


def classifier_for(out: Path, material: Material, settings: Settings) -> VotingClassifier:
    """The base classifier on its backend: a resumed run keeps its own unless another one is asked for."""
    from holdfast.runs.manifest import FILE_NAME, backend_of, read_manifest

    place = material.workplace(settings.device, settings.threads)
    if settings.backend == "auto" and (out / FILE_NAME).is_file():
        return place.classifier(backend_of(read_manifest(out)))
    examples = len(range(0, len(material.data), settings.every)[: settings.limit])
    samples = examples * (settings.n0 + settings.estimator.most_draws)
    return place.chosen(settings.backend, material.data[0], samples)


def promise_of(out: Path, material: Material, settings: Settings, backend: dict[str, Any]) -> Manifest:
    """The manifest of the run: a resumed run keeps its seed unless another one is asked for."""
    from holdfast.runs.execute import promise
    from holdfast.runs.manifest import FILE_NAME, DataPromise, read_manifest
    from holdfast.sampling.rng import check_seed, fresh_seed

    seed = settings.seed
    if seed is None and (out / FILE_NAME).is_file():
        seed = read_manifest(out).seed
    data = material.data
    return promise(
        noise=material.noise,
        guarantee=material.theorem,
        estimator=settings.estimator,
        n0=settings.n0,
        data=DataPromise(
            source=data.source,
            split=data.split,
            sha256=data.sha256,
            size=len(data),
            shape=data.shape,
            low=data.low,
            high=data.high,
            class_names=data.class_names,
            decoder=data.decoder,
            every=settings.every,
            limit=settings.limit,
        ),
        model={**material.bundle.promise(), "backend": backend},
        seed=fresh_seed() if seed is None else check_seed(seed),
        precision=settings.precision,
        device=settings.device,
        joint_alpha=settings.joint_alpha,
    )
