"""`holdfast ensemble`: several base classifiers as one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import options
from holdfast.terminal import console
from holdfast.workflows.ensemble import make_ensemble


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ensemble")(ensemble_command)


def ensemble_command(
    models: Annotated[list[Path], typer.Argument(help="Model bundles for the same noise.", metavar="FILE...")],
    out: Annotated[Path, typer.Option("--out", help="Bundle to write (.safetensors).", metavar="FILE")],
    json: options.Json = False,
) -> None:
    """Make one base classifier of several: the mean of their logits. It takes the time of all of them."""
    options.check_bundle_name(out)
    info = make_ensemble(models, out)
    if json:
        console.print_json({"out": str(out), **asdict(info)})
        return
    purpose = "trained without noise" if info.noise is None else f"for {info.trained_for}"
    console.say(f"{out}: the mean of the logits of {len(models)} base classifiers, {purpose}")
