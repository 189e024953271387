"""`holdfast certify`: a run with a certificate for each input of a subset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli import console, options
from holdfast.cli.specs import open_data_spec, parse_batch_size, parse_noise, parse_radii
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.data.base import DataSet
    from holdfast.estimators import Estimator, Scale
    from holdfast.models.bundle import Bundle
    from holdfast.noises.base import Noise
    from holdfast.runs.manifest import Manifest
    from holdfast.sampling.engines.local import LocalEngine


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
    estimator: options.EstimatorName = "looks",
    seed: options.Seed = None,
    batch_size: options.BatchSize = "auto",
    device: options.Device = "cpu",
    threads: options.Threads = 1,
    precision: options.Precision = "float32",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Certify the test images. Interrupted? The same command goes on where it stopped, to the same records."""
    from holdfast.cli.table import print_summaries
    from holdfast.stats.rounding import down

    material = Material.load(model, data, noise, split, device, precision, theorem)
    # Bonferroni: under any dependence between the certificates.
    each = down(alpha / len(range(0, len(material.data), every)[:limit])) if joint else alpha
    rule = make_estimator(n, each, bounds, until_radius, estimator, material.scale())
    certify_into(
        out,
        material,
        Settings(
            every,
            limit,
            n0,
            rule,
            seed,
            parse_batch_size(batch_size),
            device,
            threads,
            precision,
            alpha if joint else None,
        ),
        hidden=json or quiet,
    )
    print_summaries([out], None, as_json=json)


@dataclass(frozen=True)
class Material:
    """What is certified: the base classifier, the data and the noise, checked against each other."""

    bundle: Bundle
    data: DataSet
    noise: Noise
    theorem: str

    def scale(self) -> Scale:
        """Class bounds -> radius, for these inputs under this noise."""
        from holdfast.estimators import scale_of

        return scale_of(self.noise, self.theorem, self.data.shape)

    @classmethod
    def load(
        cls,
        model: Path,
        data: str,
        noise: str | None,
        split: str,
        device: str,
        precision: str,
        theorem: str | None = None,
    ) -> Material:
        """Load everything that the options name.

        Raises:
            UsageError: the model does not fit the data.
        """
        from holdfast.models.bundle import load_bundle
        from holdfast.noises.base import find_guarantee, noise_from_dict
        from holdfast.sampling.engines.local import torch_device

        bundle = load_bundle(model, torch_device(device), precision)
        trained_for = noise_from_dict(bundle.info.noise)
        chosen = trained_for if noise is None else parse_noise(noise)
        examples = open_data_spec(data, split)
        space = bundle.info.input_space
        if (examples.shape, examples.low, examples.high) != (space.shape, space.low, space.high):
            raise UsageError(
                f"{model} takes inputs of shape {space.shape} in [{space.low:g}, {space.high:g}]; {data} has "
                f"{examples.shape} in [{examples.low:g}, {examples.high:g}]"
            )
        known, found = bundle.info.class_names, examples.class_names
        if known != found:
            raise UsageError(
                f"{model} knows {len(known)} classes ({', '.join(known[:4])} ...); "
                f"{data} has {len(found)} ({', '.join(found[:4])} ...)"
            )
        if chosen.noisy_shape(space.shape) != trained_for.noisy_shape(space.shape):
            raise UsageError(f"{model} was trained for {trained_for}; its first layer cannot take {chosen}")
        if chosen != trained_for:
            console.warn(f"{model.name} was trained for {trained_for}, and is certified with {chosen}")
        return cls(bundle, examples, chosen, find_guarantee(chosen, theorem).name)


def make_estimator(n: int, alpha: float, bounds: str, until_radius: str | None, name: str, scale: Scale) -> Estimator:
    """The estimator that the options ask for.

    Raises:
        UsageError: options that exclude each other, or a value out of range.
    """
    from holdfast.estimators import EProcess, FixedSize, Looks

    if until_radius is None:
        return FixedSize(n, alpha, bounds)
    radii = tuple(parse_radii(until_radius))
    if name == "looks":
        return Looks(n, alpha, radii, method=bounds, scale=scale)
    if name != "eprocess":
        raise UsageError(f"--estimator is looks or eprocess, got {name!r}")
    if len(radii) != 1:
        raise UsageError(f"an e-process decides one radius, got {until_radius}; use --estimator looks for several")
    return EProcess(n, alpha, radii[0], scale=scale)


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

    def engine(self) -> LocalEngine:
        """The engine that these settings ask for."""
        from holdfast.sampling.engines.local import LocalEngine

        return LocalEngine(self.device, self.batch_size, self.threads)


def certify_into(out: Path, material: Material, settings: Settings, *, hidden: bool) -> None:
    """Start or resume the run in `out`, with a progress bar unless `hidden`."""
    from holdfast.runs.execute import certify_run
    from holdfast.sampling.classifier import VotingClassifier

    manifest = promise_of(out, material, settings)
    bundle, data = material.bundle, material.data
    classifier = VotingClassifier(bundle.module, len(bundle.info.class_names))
    with console.run_progress(f"certify {out.name}", hidden) as show:
        certify_run(
            out, manifest, classifier, lambda indices: (data[index] for index in indices), settings.engine(), show
        )


def promise_of(out: Path, material: Material, settings: Settings) -> Manifest:
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
        model=material.bundle.promise(),
        seed=fresh_seed() if seed is None else check_seed(seed),
        precision=settings.precision,
        device=settings.device,
        joint_alpha=settings.joint_alpha,
    )
