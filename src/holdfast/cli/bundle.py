"""`holdfast bundle`: freeze a model of another tool into a bundle."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import options
from holdfast.terminal import console
from holdfast.workflows.bundle import freeze
from holdfast.workflows.setup import check_answers, fitted_model
from holdfast.workflows.specs import open_data_spec


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bundle")(bundle_command)


def bundle_command(
    model: options.ModelSpec,
    out: Annotated[Path, typer.Option("--out", help="Bundle to write (.safetensors).", metavar="FILE")],
    data: options.DataSpec = "digits",
    denoiser: options.Denoiser = None,
    split: options.Split = "test",
    json: options.Json = False,
) -> None:
    """Freeze a model into one file that needs only torch, with its normalization, layout and denoiser.

    Inputs and classes are those of --data. A bundle can be a member of an ensemble, or stand behind a denoiser.
    What torch cannot export cannot be frozen: scikit-learn, functions.
    """
    from holdfast.models.source import open_model

    options.check_bundle_name(out)
    examples = open_data_spec(data, split)
    fitted = fitted_model(open_model(model, denoiser=denoiser), examples, data)
    check_answers(fitted, fitted.takes or examples.shape, None, examples)
    info = freeze(fitted, examples, out)
    if json:
        console.print_json({"out": str(out), **asdict(info)})
        return
    size = info.arguments["size"]
    console.say(f"{out}: {model} as a program of torch.export ({size:,} bytes), for inputs of shape {examples.shape}")
