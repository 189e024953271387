"""`holdfast import-weights`: make a bundle of weights that others trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import options
from holdfast.terminal import console
from holdfast.workflows.import_weights import import_weights


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import-weights")(import_command)


def import_command(
    file: Annotated[Path, typer.Argument(help="Weights that torch.save wrote (.pth, .th, .pt), or safetensors.")],
    arch: Annotated[str, typer.Option("--arch", help="Architecture of the weights, as in resnet20.")],
    layout: Annotated[
        str, typer.Option("--layout", help="Naming of the weights: akamaster, cohen, kuangliu, torchvision or plain.")
    ],
    data: Annotated[
        str, typer.Option("--data", help="Data set with the classes and the input shape of the model.", metavar="SPEC")
    ],
    out: Annotated[Path, typer.Option("--out", help="Bundle to write (.safetensors).", metavar="FILE")],
    mean: Annotated[
        str | None,
        typer.Option(
            "--mean", help="Mean that the model subtracts from each channel, as in .485,.456,.406.", metavar="X,X,..."
        ),
    ] = None,
    std: Annotated[
        str | None,
        typer.Option(
            "--std", help="Standard deviation that the model then divides by, as in .229,.224,.225.", metavar="X,X,..."
        ),
    ] = None,
    noise: Annotated[
        str, typer.Option("--noise", help="Noise that the model was trained for, or none.", metavar="SPEC")
    ] = "none",
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            help="Which weights of the file: an entry, as in state_dict_ema, or a prefix of names, as in teacher.",
            metavar="KEY",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Make a bundle of weights that others trained. No code in their file is run.

    The command checks the values, and shows the network a few examples: a wrong normalization shows in its accuracy.
    Of several sets of weights in the file, it takes the trained ones, not an average, unless --weights names others.
    """
    options.check_bundle_name(out)
    made = import_weights(file, arch, layout, data, out, mean, std, noise, weights)
    for note in [*made.notes, *made.choice]:
        console.note(note)
    info, trial = made.info, made.trial
    if json:
        console.print_json({"out": str(out), **asdict(info), "notes": made.notes, "tried": asdict(trial)})
        return
    training = f"trained for {info.trained_for}" if info.noise else "trained without noise: certify it with --noise"
    normalized = (
        "normalized first"
        if info.input_space.mean
        else "not normalized (give --mean and --std if they were in training)"
    )
    console.say(f"{out}: {arch} with {made.numbers:,} weights of {file.name}; inputs are {normalized}; {training}")
    under = f" under {info.trained_for}" if info.noise else ""
    console.say(f"it classifies {trial.right} of {trial.examples} examples of {data} right{under}")
