"""`holdfast import-weights`: a bundle from weights that others trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import console, options
from holdfast.workflows.import_weights import import_weights


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
    options.check_bundle_name(out)
    made = import_weights(file, arch, layout, data, out, mean, std, noise, weights)
    for note in [*made.notes, *made.choice]:
        console.note(note)
    info, trial = made.info, made.trial
    if json:
        console.print_json({"out": str(out), **asdict(info), "notes": made.notes, "tried": asdict(trial)})
        return
    training = f"trained for {info.trained_for}" if info.noise else "trained without noise: certify it with --noise"
    normalized = "normalized first" if info.input_space.mean else "not normalized (give --mean and --std if they were)"
    console.say(f"{out}: {arch} with {made.numbers:,} weights of {file.name}; inputs are {normalized}; {training}")
    under = f" under {info.trained_for}" if info.noise else ""
    console.say(f"it names {trial.right} of {trial.examples} examples of {data} right{under}")
