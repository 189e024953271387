"""`holdfast train`: a base classifier for a noise, as a bundle."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli import console, options
from holdfast.errors import UsageError
from holdfast.spelling import with_fractions
from holdfast.workflows.specs import open_data_spec, parse_architecture, parse_noise, parse_recipe

if TYPE_CHECKING:
    from holdfast.data.base import DataSet
    from holdfast.folders import Where
    from holdfast.models.bundle import BundleInfo
    from holdfast.noises.base import Noise
    from holdfast.training.config import TrainConfig
    from holdfast.training.devices import Team

# The architecture for a data set when none is given, by height and width of its images; features have neither.
_DEFAULT_ARCHITECTURES: dict[tuple[int, ...], str] = {
    (): "digits-mlp",
    (8, 8): "digits-cnn",
    (28, 28): "mnist-cnn",
    (32, 32): "resnet20",
}


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
            help="As in gaussian:sigma=0.5 or ablation:k=45; leave it out for a recipe without noise.",
            metavar="SPEC",
        ),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe",
            help="With noise: noise, consistency, stability, smoothadv:epsilon=E, macer, vote-margin, "
            "denoise:classifier=FILE. Without noise: standard, adversarial:epsilon=E, convex:epsilon=E, autoencoder, "
            "memorize.",
            metavar="SPEC",
        ),
    ] = "noise",
    arch: Annotated[
        str | None,
        typer.Option(
            "--arch",
            help="Architecture, as in sparse-cnn:blocks=1. Default: one that fits the images.",
            metavar="SPEC",
        ),
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1)] = 20,
    train_batch: Annotated[int, typer.Option("--train-batch", help="Images a step.", min=1)] = 128,
    optimizer: Annotated[str, typer.Option("--optimizer", help="sgd or adamw.")] = "sgd",
    learning_rate: Annotated[float, typer.Option("--learning-rate")] = 0.05,
    weight_decay: Annotated[float, typer.Option("--weight-decay")] = 5e-4,
    schedule: Annotated[str, typer.Option("--schedule", help="one-cycle, cosine or constant.")] = "one-cycle",
    label_smoothing: Annotated[float, typer.Option("--label-smoothing")] = 0.0,
    noise_copies: Annotated[
        int, typer.Option("--noise-copies", help="Noisy copies of each image in a step.", min=1)
    ] = 1,
    shared_noise: Annotated[
        bool, typer.Option("--shared-noise", help="One noise draw for each minibatch, not for each copy.")
    ] = False,
    crop: Annotated[
        int, typer.Option("--crop", help="Move each image by up to this many pixels.", metavar="PIXELS", min=0)
    ] = 0,
    flip: Annotated[bool, typer.Option("--flip", help="Mirror each image half of the time.")] = False,
    ema: Annotated[
        float, typer.Option("--ema", help="Keep a moving average of the weights with this decay, as 0.999.")
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", help="Of initialization, order, augmentation and noise.", min=0)] = 0,
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            help="float32, bfloat16 for autocast, or auto: the faster one, measured in a few steps where the training "
            "is long. A training that is gone on with keeps its own.",
        ),
    ] = "float32",
    device: options.Device = "cpu",
    devices: Annotated[
        int, typer.Option("--devices", help="Processes that share each step: GPUs, or processor cores.", min=1)
    ] = 1,
    threads: options.Threads = 1,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a base classifier on noisy images. Interrupted? The same command goes on after the last whole epoch."""
    from holdfast.training.config import TrainConfig

    options.check_bundle_name(out)
    config = TrainConfig(
        epochs=epochs,
        batch_size=train_batch,
        optimizer=optimizer,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        schedule=schedule,
        label_smoothing=label_smoothing,
        precision=precision,
        noise_copies=noise_copies,
        shared_noise=shared_noise,
        recipe=parse_recipe(recipe),
        crop=crop,
        flip=flip,
        ema=ema,
        seed=seed,
    )
    trained = train_bundle(
        data,
        None if noise is None else parse_noise(noise),
        out,
        config,
        arch,
        device,
        threads,
        hidden=json or quiet,
        devices=devices,
    )
    if json:
        console.print_json({"out": str(out), **asdict(trained)})
        return
    _say(out, trained)


def _say(out: Path, trained: BundleInfo) -> None:
    """What was trained, and how well, in a sentence."""
    figures = trained.training
    purpose, under = f"for {trained.trained_for}", " under noise"
    if trained.noise is None:
        purpose, under = "without noise", ""
    console.say(
        f"{out}: {trained.architecture} {purpose}; recipe {with_fractions(figures['recipe'])}, {figures['precision']}; "
        f"accuracy{under} "
        f"{100 * figures['training_accuracy_under_noise']:.1f}% on training images (running mean of the last epoch), "
        f"{100 * figures['held_out_accuracy_under_noise']:.1f}% on the held-out split"
    )


def train_bundle(
    data_spec: str,
    noise: Noise | None,
    out: Where,
    config: TrainConfig,
    arch: str | None,
    device: str,
    threads: int,
    *,
    hidden: bool,
    devices: int = 1,
    team: Team | None = None,
) -> BundleInfo:
    """Train on the training split of a data set, with a progress bar unless `hidden`, and write the bundle."""
    import torch

    from holdfast.sampling.devices import torch_device
    from holdfast.training.devices import team as team_of
    from holdfast.training.loop import train

    if devices > 1 and team is None:
        arguments = (data_spec, noise, out, config, arch, device, threads)
        with team_of(devices, device, _train_along, arguments) as made:
            return train_bundle(*arguments, hidden=hidden, team=made)
    where = torch_device(device)
    torch.set_num_threads(threads)
    # What is to be said of both splits is said once.
    with console.each_warning_once():
        training_set, held_out = (open_data_spec(data_spec, split) for split in ("train", "test"))
    info = describe(training_set, noise, arch or config.recipe.architecture)
    with console.train_progress(f"train {noise.name if noise else config.recipe.name}", hidden) as show:
        return train(
            info,
            config,
            training_set,
            out,
            held_out=held_out,
            device=where,
            on_progress=show,
            team=team,
            on_precision=None if hidden else console.note,
        )


def _train_along(team: Team, *arguments: Any) -> None:
    """What the other processes of a team do with the arguments of `train_bundle`: the same, in silence."""
    train_bundle(*arguments, hidden=True, team=team)


def describe(data: DataSet, noise: Noise | None, arch: str | None) -> BundleInfo:
    """The bundle that a training on `data` for `noise` starts from.

    Where noise is added to the values, or there is none, inputs are normalized by the training set's mean and standard
    deviation, unless the architecture takes them as they are; under other noises they are not: ablation's encoding
    tells NULL apart by its values.

    Raises:
        UsageError: the noise does not fit the data, or no architecture was given and none is known to fit.
    """
    from holdfast.models.architectures.base import takes_raw_inputs
    from holdfast.models.bundle import BundleInfo, InputSpace

    mean, std = data.channel_statistics()
    fitted = None if noise is None else noise.fitted(mean)
    if fitted is not None:
        fitted.check_inputs(data.shape, data.low, data.high)
    chosen = arch or _DEFAULT_ARCHITECTURES.get(data.shape[1:])
    if chosen is None:
        raise UsageError(f"no default architecture for inputs of shape {data.shape}; name one with --arch")
    name, arguments = parse_architecture(chosen)
    normalized = (fitted is None or fitted.normalizable) and not takes_raw_inputs(name)
    return BundleInfo(
        architecture=name,
        arguments=arguments,
        input_space=InputSpace(data.shape, data.low, data.high, *((mean, std) if normalized else (None, None))),
        noise=None if fitted is None else fitted.to_dict(),
        class_names=data.class_names,
        training={},
    )
