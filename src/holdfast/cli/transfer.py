"""`holdfast transfer`: how many of the adversarials made against one model are wrong for another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli import console, options
from holdfast.cli.adversaries import Asked, Computation, target_of
from holdfast.cli.specs import open_data_spec, parse_batch_size
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.attacks import Target
    from holdfast.models.bundle import Bundle
    from holdfast.runs.attack_store import AttackRun


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("transfer")(transfer_command)


def transfer_command(
    attacks: Annotated[
        list[Path], typer.Argument(help="Attacks of different models on one data set.", metavar="ATTACK...")
    ],
    model: Annotated[
        list[Path], typer.Option("--model", help="The models that were attacked, in any order.", metavar="FILE")
    ],
    data: options.DataSpec = "digits",
    seed: options.Seed = None,
    batch_size: options.BatchSize = "auto",
    device: options.Device = "cpu",
    threads: options.Threads = 1,
    json: options.Json = False,
) -> None:
    """The transfer matrix: adversarials of each attack (rows), shown to each attacked model (columns)."""
    from holdfast.analysis import formats
    from holdfast.analysis.attacked import transfer_matrix
    from holdfast.models.bundle import load_bundle
    from holdfast.runs.attack_store import read_attack
    from holdfast.runs.transfer import transfer
    from holdfast.sampling.engines.local import torch_device
    from holdfast.sampling.rng import check_seed, fresh_seed

    found = {folder.name: read_attack(folder) for folder in attacks}
    if len(found) < len(attacks):
        raise UsageError("the attacks' folders need different names, which are those of the matrix")
    bundles = {bundle.sha256: bundle for bundle in (load_bundle(path, torch_device(device)) for path in model)}
    computation = Computation(device, threads, parse_batch_size(batch_size), "float32", "auto")
    targets = {name: _target(run, bundles, data, computation) for name, run in found.items()}
    result = transfer(found, targets, fresh_seed() if seed is None else check_seed(seed))
    matrix = transfer_matrix(result.answers, result.labels)
    if json:
        console.print_json(
            {
                name: {"adversarials": len(result.labels[name])}
                | {asked: None if share is None else share.value for asked, share in row.items()}
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
        "Share of the adversarials of a row that the model of a column does not answer right. Their number is in "
        "brackets: those of inputs that the row's own model answers right unchanged."
    )


def _target(run: AttackRun, bundles: dict[str, Bundle], data: str, computation: Computation) -> Target:
    """The classifier that an attack was made against.

    Raises:
        UsageError: its model is not among those given, or the data are others.
    """
    from dataclasses import replace

    from holdfast.noises.base import noise_from_dict

    manifest = run.manifest
    bundle = bundles.get(manifest.model["sha256"])
    if bundle is None:
        raise UsageError(f"none of the models is the one that {run.folder} attacked ({manifest.model['sha256']})")
    examples = open_data_spec(data, manifest.data.split)
    if examples.sha256 != manifest.data.sha256:
        raise UsageError(f"--data has the SHA-256 {examples.sha256}, {run.folder} attacked {manifest.data.sha256}")
    backend = manifest.model["backend"]["name"]
    where = replace(computation, precision=manifest.precision, backend=backend)
    asked = Asked(n=manifest.n, alpha=manifest.alpha or None, search_alpha=manifest.search_alpha or 0.5)
    smoothing = None if manifest.noise is None else noise_from_dict(manifest.noise)
    return target_of(bundle, data, smoothing, asked, where)[0]
