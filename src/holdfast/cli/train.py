"""`holdfast train`: a base classifier for a noise, as a bundle."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli import options
from holdfast.spelling import with_fractions
from holdfast.terminal import console
from holdfast.workflows.specs import parse_noise, parse_numbers, parse_recipe, parse_whole_numbers
from holdfast.workflows.train import train_bundle

if TYPE_CHECKING:
    from holdfast.models.bundle import BundleInfo


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(train_command)


def train_command(
    out: Annotated[Path, typer.Option("--out", help="Bundle to write (.safetensors).", metavar="FILE")],
    data: options.DataSpec = "digits",
    noise: Annotated[
        str | None,
        typer.Option(
            "--noise",
            help="Noise to train for, as in gaussian:sigma=0.5. Leave it out for a recipe without noise.",
            metavar="SPEC",
        ),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe",
            help="Training loss. With noise: noise, consistency, stability, smoothadv:epsilon=E, macer, "
            "vote-margin, mixture, block-votes, denoise:classifier=FILE. Without noise: standard, "
            "adversarial:epsilon=E, convex:epsilon=E, intervals:epsilon=E, lipschitz-margin:margin=C, "
            "prototypes:target=R, autoencoder, memorize, abs, magnet, squeezing, distillation, "
            "cascade:source=FILE,epsilon=E, dimension:epsilon=E, projection.",
            metavar="SPEC",
        ),
    ] = "noise",
    arch: Annotated[
        str | None,
        typer.Option(
            "--arch",
            help="Architecture, as in sparse-cnn:blocks=1. Default: one that fits the inputs.",
            metavar="SPEC",
        ),
    ] = None,
    epochs: Annotated[
        int, typer.Option("--epochs", help="Passes over the training examples.", min=1, metavar="N")
    ] = 20,
    train_batch: Annotated[int, typer.Option("--train-batch", help="Examples in each step.", min=1, metavar="N")] = 128,
    optimizer: Annotated[str, typer.Option("--optimizer", help="Optimizer: sgd or adamw.")] = "sgd",
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", help="Largest learning rate of the schedule.")
    ] = 0.05,
    weight_decay: Annotated[float, typer.Option("--weight-decay", help="Weight decay of the optimizer.")] = 5e-4,
    schedule: Annotated[
        str, typer.Option("--schedule", help="How the learning rate changes: one-cycle, cosine, step or constant.")
    ] = "one-cycle",
    milestones: Annotated[
        str | None,
        typer.Option(
            "--milestones",
            help="With --schedule step: the epochs after which the learning rate falls, as in 100,150.",
            metavar="N,N,...",
        ),
    ] = None,
    factor: Annotated[
        float, typer.Option("--factor", help="With --schedule step: what the learning rate is multiplied by.")
    ] = 0.1,
    momentum: Annotated[float, typer.Option("--momentum", help="Momentum of sgd.")] = 0.9,
    plain_momentum: Annotated[
        bool, typer.Option("--no-nesterov", help="Give sgd plain momentum instead of Nesterov's.")
    ] = False,
    label_smoothing: Annotated[
        float, typer.Option("--label-smoothing", help="Share of each label that is spread over all classes.")
    ] = 0.0,
    noise_copies: Annotated[
        int, typer.Option("--noise-copies", help="Noisy copies of each example in a step.", min=1, metavar="N")
    ] = 1,
    shared_noise: Annotated[
        bool, typer.Option("--shared-noise", help="Draw noise once for each minibatch, not for each copy.")
    ] = False,
    crop: Annotated[
        int, typer.Option("--crop", help="Move each image by up to this many pixels.", metavar="PIXELS", min=0)
    ] = 0,
    flip: Annotated[bool, typer.Option("--flip", help="Mirror each image half of the time.")] = False,
    resized_crop: Annotated[
        str | None,
        typer.Option(
            "--resized-crop",
            help="Resize a random rectangle of each image, with a share of its area between these, as in 0.08,1.",
            metavar="LEAST,MOST",
        ),
    ] = None,
    crop_ratio: Annotated[
        str,
        typer.Option("--crop-ratio", help="Its smallest and largest ratio of width to height.", metavar="LEAST,MOST"),
    ] = "3/4,4/3",
    ema: Annotated[
        float, typer.Option("--ema", help="Keep a moving average of the weights with this decay, as in 0.999.")
    ] = 0.0,
    seed: Annotated[
        int, typer.Option("--seed", help="Seed of initialization, order, augmentation and noise.", min=0, metavar="N")
    ] = 0,
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            help="Precision of the training: float32, bfloat16 (autocast), or auto for the faster one.",
        ),
    ] = "float32",
    device: options.Device = "cpu",
    devices: Annotated[
        int,
        typer.Option(
            "--devices", help="GPUs, or processes on processor cores, that share each step.", min=1, metavar="N"
        ),
    ] = 1,
    threads: options.Threads = 1,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a base classifier on noisy inputs.

    Run the same command again after an interruption: it continues after the last whole epoch, in the same precision.
    `--precision auto` measures a few steps of a long training; a short one takes float32.
    """
    from holdfast.training.config import TrainConfig

    options.check_bundle_name(out)
    config = TrainConfig(
        epochs=epochs,
        batch_size=train_batch,
        optimizer=optimizer,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        schedule=schedule,
        milestones=() if milestones is None else parse_whole_numbers("--milestones", milestones),
        factor=factor,
        momentum=momentum,
        nesterov=not plain_momentum,
        label_smoothing=label_smoothing,
        precision=precision,
        noise_copies=noise_copies,
        shared_noise=shared_noise,
        recipe=parse_recipe(recipe),
        crop=crop,
        flip=flip,
        resized_crop=() if resized_crop is None else parse_numbers("--resized-crop", resized_crop),
        crop_ratio=parse_numbers("--crop-ratio", crop_ratio),
        ema=ema,
        seed=seed,
    )
    hidden, parsed = json or quiet, None if noise is None else parse_noise(noise)
    # Training and test split have the same warnings: each is printed once.
    with (
        console.each_warning_once(),
        console.train_progress(f"train {parsed.name if parsed else config.recipe.name}", hidden) as show,
    ):
        trained = train_bundle(
            data,
            parsed,
            out,
            config,
            arch,
            device,
            threads,
            devices=devices,
            on_progress=show,
            on_precision=None if hidden else console.note,
        )
    if json:
        console.print_json({"out": str(out), **asdict(trained)})
        return
    _say(out, trained)


def _say(out: Path, trained: BundleInfo) -> None:
    """Print what was trained, and how well."""
    figures = trained.training
    purpose, under = f"for {trained.trained_for}", " under noise"
    if trained.noise is None:
        purpose, under = "without noise", ""
    console.say(
        f"{out}: {trained.architecture} {purpose}; recipe {with_fractions(figures['recipe'])}, {figures['precision']}; "
        f"accuracy{under} "
        f"{100 * figures['training_accuracy_under_noise']:.1f}% on the training split (mean of the last epoch), "
        f"{100 * figures['held_out_accuracy_under_noise']:.1f}% on the held-out split"
    )
