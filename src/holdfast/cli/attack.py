"""`holdfast attack`: search for adversarial inputs, and compare them with what a certificate rules out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli import digests, options
from holdfast.cli.promises import tell
from holdfast.errors import UsageError
from holdfast.terminal import console
from holdfast.workflows.attack import (
    AttackOptions,
    ComputeOptions,
    attack_into,
    attacked_noise,
    attacked_run,
    check_alarms,
    doubts,
    narrowed,
    refuse_decided,
    warn_of_hidden_gradients,
)
from holdfast.workflows.commitment import Commitment
from holdfast.workflows.setup import fitted_model, warn_of_class_order
from holdfast.workflows.specs import open_data_spec, parse_batch_size, parse_drawn

if TYPE_CHECKING:
    from holdfast.analysis.runs import CertifiedRun
    from holdfast.store.attack import AttackRun


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("attack")(attack_command)


def attack_command(
    run: Annotated[
        Path | None,
        typer.Argument(help="Run of certify or bound whose inputs and certificates to attack.", metavar="[RUN]"),
    ] = None,
    attack: Annotated[
        str | None,
        typer.Option(
            "--attack",
            help="Attack, as in pgd:norm=linf,steps=40 or cw-l0. Without it, the command lists all attacks.",
            metavar="SPEC",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help=options.MODEL_HELP, metavar="SPEC")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the attack. An interrupted attack is resumed.", metavar="FOLDER"),
    ] = None,
    data: options.DataSpec = "digits",
    denoiser: options.Denoiser = None,
    noise: Annotated[
        str | None,
        typer.Option(
            "--noise",
            help="Smoothing noise, as in gaussian:sigma=0.5, or none. Default: that of RUN, or of the model.",
            metavar="SPEC",
        ),
    ] = None,
    split: options.Split = "test",
    every: options.Every = 1,
    limit: options.Limit = None,
    sample: options.SampleSpec = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            help="Largest changes: input units or pixels, as in .25,.5, or certified radii, as in 1x,2x.",
            metavar="B,B,...",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            help="Class that the attack aims at: a number, or next. Default: any other class.",
            metavar="CLASS",
        ),
    ] = None,
    restarts: Annotated[
        int, typer.Option("--restarts", help="Restarts of a randomized attack for each example.", min=1, metavar="N")
    ] = 1,
    n: Annotated[
        int, typer.Option("--n", help="Votes for each answer of a smoothed classifier.", min=1, metavar="N")
    ] = 1_000,
    alpha: Annotated[
        float | None,
        typer.Option("--alpha", help="Failure probability of each answer. Default: that of RUN, or 0.001."),
    ] = None,
    search_alpha: Annotated[
        float, typer.Option("--search-alpha", help="Failure probability of answers during the search.")
    ] = 0.5,
    soft_samples: Annotated[
        int,
        typer.Option(
            "--soft-samples", help="Noisy copies for each gradient of a smoothed classifier.", min=1, metavar="N"
        ),
    ] = 64,
    repeats: Annotated[
        int, typer.Option("--repeats", help="Fresh answers that check a claimed adversarial.", min=1, metavar="N")
    ] = 50,
    confidence: Annotated[
        float, typer.Option("--confidence", help="Confidence that an adversarial needs to count.")
    ] = 0.999,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", help="Also plot certificates and attack together, as .png, .svg or .pdf.", metavar="FILE"
        ),
    ] = None,
    seed: options.Seed = None,
    promise_only: options.PromiseOnly = False,
    promise: options.PromiseDigest = None,
    nonce: options.Nonce = None,
    batch_size: options.BatchSize = "auto",
    device: options.Device = "cpu",
    threads: options.Threads = 1,
    precision: options.Precision = "float32",
    backend: options.BackendName = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Attack a model, or the inputs of a certification RUN.

    Run the same command again after an interruption: it continues where it stopped.

    A claimed adversarial counts once fresh noise has confirmed it. One inside a certified radius is an alarm: the
    command stops with exit code 1 and saves the evidence.

    Without --budget, an attack looks for changes as small as it can find. With RUN, an attack that searches within a
    budget takes 1x,1.5x,2x: one, one and a half, and two certified radii of each input.
    """
    from holdfast.analysis.plots import check_suffix
    from holdfast.models.source import open_model
    from holdfast.outputs import check_place
    from holdfast.sampling.devices import torch_device
    from holdfast.store.attack import read_attack
    from holdfast.store.attack_manifest import AttackManifest
    from holdfast.store.data_manifest import DataManifest

    if attack is None:
        if (run, model, out, plot) != (None,) * 4:
            raise UsageError(
                "--attack is missing, as in --attack pgd; `holdfast attack` without options lists all attacks"
            )
        _print_attacks(json)
        return
    if plot is not None:
        check_suffix(plot)
        check_place(plot)
    if model is None or out is None:
        missing = "--model, the model" if model is None else "--out, the folder of the attack"
        raise UsageError(f"{missing}, is missing: an attack needs both, as in --model m.safetensors --out runs/pgd")
    attack_options = AttackOptions(
        attack=attack,
        budget=budget,
        target=target,
        restarts=restarts,
        n=n,
        alpha=alpha,
        search_alpha=search_alpha,
        soft_samples=soft_samples,
        repeats=repeats,
        confidence=confidence,
        seed=seed,
        commitment=Commitment(promise_only, promise, nonce),
    )
    attack_options.commitment.check(out, AttackManifest)
    computation = ComputeOptions(device, threads, parse_batch_size(batch_size), precision, backend)
    opened = open_model(model, torch_device(device), denoiser=denoiser)
    certification = None if run is None else attacked_run(run)
    if certification is not None:
        refuse_decided(certification, noise, every, split, precision, backend, sample)
    examples = open_data_spec(data, split if certification is None else certification.manifest.data.split)
    fitted = fitted_model(opened, examples, data)
    smoothing = None if certification is not None else attacked_noise(fitted, noise)
    if certification is None:
        warn_of_class_order(examples, every, limit, parse_drawn(sample))
    subset = (
        DataManifest.of(examples, every, limit, parse_drawn(sample))
        if certification is None
        else narrowed(certification, limit)
    )
    with console.run_progress(f"attack {out.name}", json or quiet) as show:
        attack_into(
            out,
            attack_options,
            fitted,
            lambda: open_data_spec(data, "train"),
            examples,
            subset,
            computation,
            smoothing,
            certification,
            show,
        )
    if promise_only:
        tell(out, AttackManifest, json)
        return
    found = read_attack(out)
    _print(found, certification, json)
    if not json:
        digests.say(out)
    warn_of_hidden_gradients(attack, fitted)
    if plot is not None:
        _draw(found, certification, plot)
    check_alarms(found, str(run))


def _draw(found: AttackRun, certification: CertifiedRun | None, plot: Path) -> None:
    from holdfast.analysis.attacks import summarize_attack
    from holdfast.analysis.gap_pictures import write_gap_plot
    from holdfast.analysis.gaps import gap

    write_gap_plot(gap(found, certification), plot, summarize_attack(found).subset)
    console.note(f"plot: {plot}")


def _print_attacks(as_json: bool) -> None:
    """Print all attacks: their norms, what they need and what they look for; with --json also their source."""
    from holdfast.attacks import attack_classes

    known = {
        name: {
            "norms": [norm.value for norm in kind.norms],
            "needs": str(kind.needs),
            "looks for": "small changes" if kind.minimizes else "within a budget",
            "source": kind.source,
        }
        for name, kind in attack_classes().items()
    }
    if as_json:
        console.print_json([{"name": name, **entries} for name, entries in known.items()])
        return
    rows = [
        (name, "/".join(entries["norms"]), *(str(entries[key]) for key in ("needs", "looks for")))
        for name, entries in known.items()
    ]
    console.print_table(("attack", "norms", "needs", "looks for"), rows)
    console.say("--json also prints the sources. docs/how-to/attacks.md explains the parameters.")


def _print(found: AttackRun, certification: CertifiedRun | None, as_json: bool) -> None:
    """The result in numbers."""
    from holdfast.analysis.attacks import summarize_attack
    from holdfast.analysis.wording.attacks import attack_lines

    summary = summarize_attack(found)
    if as_json:
        console.print_json(asdict(summary))
    else:
        console.say(f"{summary.attack} on {summary.subset}")
        for text in attack_lines(summary, found.manifest, certification):
            console.say(text)
    for text in doubts(summary, found.manifest, "--n", "--budget", "--target"):
        console.warn(text)
