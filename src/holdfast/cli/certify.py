"""`holdfast certify`: a run with a certificate for each input of a subset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import digests, options
from holdfast.cli.promises import tell
from holdfast.models.precision import AUTO, FLOAT32
from holdfast.terminal import console
from holdfast.workflows.certify import Settings, certify_into, in_precision, promise_into
from holdfast.workflows.commitment import Commitment
from holdfast.workflows.question import Question
from holdfast.workflows.setup import Setup
from holdfast.workflows.specs import parse_batch_size, parse_drawn, parse_engine, parse_radii, parse_share


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("certify")(certify_command)


def certify_command(
    model: options.ModelSpec,
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the run. An interrupted run is resumed.", metavar="RUN")
    ],
    data: options.DataSpec = "digits",
    noise: options.NoiseSpec = None,
    denoiser: options.Denoiser = None,
    split: options.Split = "test",
    every: options.Every = 1,
    limit: options.Limit = None,
    sample: options.SampleSpec = None,
    n0: options.Selection = 100,
    n: options.Samples = 10_000,
    alpha: options.Alpha = 0.001,
    bounds: options.Bounds = "split",
    theorem: Annotated[
        str | None, typer.Option("--theorem", help="Guarantee, as in cohen_linf. Default: the first one of the noise.")
    ] = None,
    joint: Annotated[
        bool,
        typer.Option("--joint", help="Let all certificates of the run hold together at --alpha (alpha/m for each)."),
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
    """Certify examples, one record each.

    Run the same command again after an interruption: it continues where it stopped, to the same records.

    Precision and backend are part of the base classifier: a certificate holds for these only. A resumed run keeps them.
    int8 is calibrated on noisy training inputs; `--precision auto` measures float32 and bfloat16 where there is much to
    do; `--backend auto` takes torch for half a minute of work or less, else the fastest in a short burst.

    With --until-radius or --until-precision, --n is the most samples for an input. `--until-radius 0` asks whether
    anything can be certified. An input that stops early may end as an abstention.

    `--estimator auto` is exact where the noise has no more realizations than samples would be drawn, looks with
    --until-radius or --until-precision, and fixed otherwise. `--estimator bets` needs fewer samples than looks.

    A nonce has 32 hexadecimal digits or more, and is named after the digest is published (docs/how-to/verify.md).
    """
    from holdfast.cli.table import print_summaries
    from holdfast.store.run_manifest import RunManifest

    hidden = json or quiet
    commitment = Commitment(promise_only, promise, nonce)
    commitment.check(out, RunManifest)
    # What "auto" stands for is decided below, once the amount of work is known.
    first = FLOAT32 if precision == AUTO else precision
    setup = Setup.load(model, data, noise, split, device, first, theorem, denoiser)
    question = Question(
        n0=n0,
        n=n,
        alpha=alpha,
        bounds=bounds,
        radii=() if until_radius is None else tuple(parse_radii(until_radius)),
        precision=None if until_precision is None else parse_share(until_precision),
    )
    settings = Settings.of(
        setup,
        question,
        estimator=estimator,
        joint=joint,
        every=every,
        limit=limit,
        sample=parse_drawn(sample),
        engine=parse_engine(engine, ray_address, device, parse_batch_size(batch_size), threads),
        seed=seed,
        commitment=commitment,
        backend=backend,
    )
    rule = settings.estimator
    if rule.exhaustive and not hidden:
        console.note(f"{setup.noise} has {rule.most_draws:,} realizations: each is classified once, and alpha is 0")
    with console.run_progress(f"certify {out.name}", hidden) as show:
        setup = in_precision(precision, out, setup, settings, None if hidden else console.note)
        if promise_only:
            promise_into(out, setup, settings)
        else:
            certify_into(out, setup, settings, show)
    if promise_only:
        tell(out, RunManifest, json)
        return
    print_summaries([out], None, as_json=json)
    if not json:
        digests.say(out)
