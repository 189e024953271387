"""`holdfast transfer`: how many of the adversarials made against one model also fool another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import options
from holdfast.terminal import console
from holdfast.workflows.attack import ComputeOptions
from holdfast.workflows.specs import open_data_spec, parse_batch_size
from holdfast.workflows.transfer import data_attacked, read_attacks, target_attacked


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("transfer")(transfer_command)


def transfer_command(
    attacks: Annotated[
        list[Path], typer.Argument(help="Folders of attacks on different models, on one data set.", metavar="ATTACK...")
    ],
    model: Annotated[
        list[str],
        typer.Option("--model", help="Model that was attacked; repeat it for each, in any order.", metavar="SPEC"),
    ],
    denoiser: options.Denoiser = None,
    data: options.DataSpec = "digits",
    seed: options.Seed = None,
    batch_size: options.BatchSize = "auto",
    device: options.Device = "cpu",
    threads: options.Threads = 1,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Show the adversarials of each attack (rows) to each attacked model (columns), and print the transfer matrix."""
    from holdfast.analysis import formats
    from holdfast.analysis.attacks import transfer_matrix
    from holdfast.execution.transfer import transfer
    from holdfast.models.source import open_model
    from holdfast.sampling.devices import torch_device
    from holdfast.sampling.rng import check_seed, fresh_seed

    found = read_attacks(attacks)
    models = [open_model(spec, torch_device(device), denoiser=denoiser) for spec in model]
    computation = ComputeOptions(device, threads, parse_batch_size(batch_size), "float32", "auto")
    for run in found.values():
        data_attacked(run, data)
    targets = {
        name: target_attacked(run, models, lambda: open_data_spec(data, "train"), computation)
        for name, run in found.items()
    }
    needed = {run.manifest.model.get("sha256") for run in found.values()}
    for spec, opened in zip(model, models, strict=True):
        if opened.sha256 not in needed:
            console.warn(f"none of these attacks is on --model {spec}, which is not used; leave it out")
    drawn = fresh_seed() if seed is None else check_seed(seed)
    with console.count_progress("ask", json or quiet) as show:
        result = transfer(found, targets, drawn, show)
    matrix = transfer_matrix(result.answers, result.labels)
    if json:
        console.print_json(
            {
                name: {
                    "adversarials": len(result.labels[name]),
                    "share": {asked: None if share is None else share.value for asked, share in row.items()},
                }
                for name, row in matrix.items()
            }
        )
        return
    rows = [
        (
            f"{name} ({len(result.labels[name])})",
            *(formats.NOT_AVAILABLE if share is None else f"{formats.percent(share.value)}%" for share in row.values()),
        )
        for name, row in matrix.items()
    ]
    console.print_table(("made against", *targets), rows)
    console.say(
        "Each cell is the share of the row's adversarials that the column's model classifies wrong. The number in "
        "brackets counts them: only inputs that the row's own model classifies right unchanged."
    )
