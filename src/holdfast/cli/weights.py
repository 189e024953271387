"""`holdfast import-weights`: a bundle from weights that others trained."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.budgets import sha256_of
from holdfast.cli import console, options
from holdfast.errors import UsageError
from holdfast.workflows.specs import open_data_spec, parse_noise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.data.base import DataSet
    from holdfast.models.bundle import BundleInfo
    from holdfast.models.trial import Trial


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import-weights")(import_command)


def import_command(
    file: Annotated[Path, typer.Argument(help="Weights that torch.save wrote (.pth, .th, .pt), or safetensors.")],
    arch: Annotated[str, typer.Option("--arch", help="Architecture, as in resnet20.")],
    layout: Annotated[
        str, typer.Option("--layout", help="Whose names they have: akamaster, cohen, kuangliu, torchvision, plain.")
    ],
    data: Annotated[
        str, typer.Option("--data", help="Data set that has its classes, and inputs of its shape.", metavar="SPEC")
    ],
    out: Annotated[Path, typer.Option("--out", help="Bundle to write (.safetensors).", metavar="FILE")],
    mean: Annotated[
        str | None,
        typer.Option("--mean", help="It subtracts this of each channel, as in .485,.456,.406.", metavar="X,X,..."),
    ] = None,
    std: Annotated[
        str | None, typer.Option("--std", help="Then it divides by this, as in .229,.224,.225.", metavar="X,X,...")
    ] = None,
    noise: Annotated[str, typer.Option("--noise", help="That it was trained for, or none.", metavar="SPEC")] = "none",
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            help="Which weights of the file: where they lie in it, as in state_dict_ema, or how their names begin, as "
            "in teacher. Default: those as they were trained, not an average.",
            metavar="KEY",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Make a bundle of weights that others trained. Nothing that their file names is run.

    Their values are checked, and the network is shown a few examples: a wrong normalization shows in its accuracy.
    """
    from holdfast.models.bundle import save_bundle
    from holdfast.models.checkpoints import chosen as choose
    from holdfast.models.layouts import find_layout, load_into, read_sets
    from holdfast.models.trial import tried

    options.check_bundle_name(out)
    chosen = find_layout(layout)
    fit = chosen.fit(layout, arch)
    info, examples = _described(file, arch, dict(fit.arguments), data, layout, mean, std, noise)
    module = info.build()
    sets = read_sets(file)
    place, found = choose(sets, weights, str(file))
    others = [each for each in sets if each not in (place, "")]
    # Behind the normalization.
    notes = load_into(module.get_submodule("1"), found, chosen, fit)
    trial = tried(module.eval(), info, examples)
    info = replace(info, training={**info.training, "weights": place})
    save_bundle(out, info, module)
    for note in [*notes, *_choice(file, place, others)]:
        console.note(note)
    for doubt in _doubts(trial, data):
        console.warn(doubt)
    if json:
        console.print_json({"out": str(out), **asdict(info), "notes": notes, "tried": asdict(trial)})
        return
    numbers = sum(parameter.numel() for parameter in module.parameters())
    training = f"trained for {info.trained_for}" if info.noise else "trained without noise: certify it with --noise"
    normalized = "normalized first" if info.input_space.mean else "not normalized (give --mean and --std if they were)"
    console.say(f"{out}: {arch} with {numbers:,} weights of {file.name}; inputs are {normalized}; {training}")
    under = f" under {info.trained_for}" if info.noise else ""
    console.say(f"it names {trial.right} of {trial.examples} examples of {data} right{under}")


def _choice(file: Path, place: str, others: Sequence[str]) -> list[str]:
    """Which weights were taken, where there are others."""
    if not others:
        return []
    return [
        f"these are the weights under {place} of {file.name}; it also has {', '.join(others)} (--weights takes them)"
    ]


def _doubts(trial: Trial, data: str) -> list[str]:
    """What looks as if these were not the weights, or not their data."""
    if trial.constant:
        return [
            f"the network says the same of all {trial.examples} examples that it was shown, as weights of 0 do: its "
            "certificates would be those of a constant. Are these the weights that were meant?"
        ]
    if trial.guessing:
        return [
            f"the network names {trial.right} of {trial.examples} examples of {data} right, no more than guessing "
            "would. Are --mean and --std those that it was trained with, and its classes in the order of these data?"
        ]
    return []


def _described(
    file: Path,
    arch: str,
    arguments: dict[str, object],
    data: str,
    layout: str,
    mean: str | None,
    std: str | None,
    noise: str,
) -> tuple[BundleInfo, DataSet]:
    """What the bundle says of the weights, and the data that they are for.

    Raises:
        UsageError: the normalization or the noise does not fit the data.
        BundleError: there is no file.
    """
    from holdfast.errors import BundleError
    from holdfast.models.bundle import BundleInfo, InputSpace

    if not file.is_file():
        raise BundleError(f"there is no file {file}; expected weights that torch.save wrote, or a safetensors file")
    examples = open_data_spec(data, "test")
    space = InputSpace(examples.shape, examples.low, examples.high)
    parsed = None if noise == "none" else parse_noise(noise)
    if parsed is not None:
        parsed.check_inputs(examples.shape, examples.low, examples.high)
    info = BundleInfo(
        architecture=arch,
        arguments=arguments,
        input_space=space,
        noise=None if parsed is None else parsed.to_dict(),
        class_names=examples.class_names,
        training={
            "recipe": "imported",
            "file": file.name,
            "sha256": sha256_of(file, BundleError),
            "layout": layout,
        },
    )
    channels = info.noisy_shape[0] if len(info.noisy_shape) > 1 else 1
    normalization = _normalization(mean, std, channels)
    return replace(info, input_space=InputSpace(space.shape, space.low, space.high, *normalization)), examples


def _normalization(
    mean: str | None, std: str | None, channels: int
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Mean and standard deviation of each channel, or neither.

    Raises:
        UsageError: one without the other, no numbers, or not as many as there are channels.
    """
    if mean is None and std is None:
        return None, None
    if mean is None or std is None:
        raise UsageError("--mean and --std belong together, got one of them; give both or neither")
    means, deviations = _numbers("--mean", mean, channels), _numbers("--std", std, channels)
    if min(deviations) <= 0:
        raise UsageError(f"--std has the value {min(deviations):g}, expected numbers above 0")
    return means, deviations


def _numbers(option: str, text: str, count: int) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise UsageError(
            f"{option} is one finite number for each channel that the network sees, separated by commas, here {count}; "
            f"got {text!r}"
        )
    return numbers
