"""`holdfast transfer`: how many of the adversarials made against one model are wrong for another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli import console, options
from holdfast.cli.adversaries import AttackOptions, ComputeOptions, target_of
from holdfast.errors import RunError, UsageError
from holdfast.workflows.specs import open_data_spec, parse_batch_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.attacks import Target
    from holdfast.data.base import DataSet
    from holdfast.models.bundle import Bundle
    from holdfast.store.attack import AttackRun


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
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """The transfer matrix: adversarials of each attack (rows), shown to each attacked model (columns)."""
    from holdfast.analysis import formats
    from holdfast.analysis.attacks import transfer_matrix
    from holdfast.execution.transfer import transfer
    from holdfast.models.bundle import load_bundle
    from holdfast.sampling.devices import torch_device
    from holdfast.sampling.rng import check_seed, fresh_seed

    found = _attacks(attacks)
    bundles = [load_bundle(path, torch_device(device)) for path in model]
    computation = ComputeOptions(device, threads, parse_batch_size(batch_size), "float32", "auto")
    for run in found.values():
        data_attacked(run, data)
    targets = {name: target_attacked(run, bundles, data, computation) for name, run in found.items()}
    needed = {run.manifest.model["sha256"] for run in found.values()}
    for path, bundle in zip(model, bundles, strict=True):
        if bundle.sha256 not in needed:
            console.warn(f"--model {path} is none that these attacks attacked, and is not asked; leave it out")
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
        "Share of the adversarials of a row that the model of a column does not answer right. Their number is in "
        "brackets: those of inputs that the row's own model answers right unchanged."
    )


def _attacks(folders: Sequence[Path]) -> dict[str, AttackRun]:
    """The attacks by the names of their folders.

    Raises:
        UsageError: two of one name.
        RunError: no attack, a corrupt one, or one without records.
    """
    from holdfast.store.attack import read_attack

    found: dict[str, AttackRun] = {}
    for folder in folders:
        # A folder may be named ".", and has a name all the same.
        name, run = folder.resolve().name, read_attack(folder)
        if name in found:
            raise UsageError(
                f"two of these attacks lie in folders named {name!r}, and the matrix names them so: give each attack "
                "once, and folders different names"
            )
        if not run.records:
            raise RunError(
                f"{folder} has no records yet, so there is nothing to transfer: `holdfast attack` with its own "
                "settings adds them"
            )
        if run.missing:
            console.warn(
                f"the attack {folder} is not finished: {len(run.records)} so far of "
                f"{len(run.records) + run.missing} examples. The shares are about adversarials of these alone"
            )
        found[name] = run
    return found


def data_attacked(run: AttackRun, spec: str) -> DataSet:
    """The data set that an attack was made on, of which `spec` is the place.

    Raises:
        UsageError: there is another one.
    """
    promised = run.manifest.data
    examples = open_data_spec(spec, promised.split)
    if examples.sha256 != promised.sha256:
        raise UsageError(f"--data has the SHA-256 {examples.sha256}, {run.folder} attacked {promised.sha256}")
    return examples


def target_attacked(run: AttackRun, bundles: Sequence[Bundle], data: str, computation: ComputeOptions) -> Target:
    """The classifier that an attack was made against, in the precision and on the backend of then.

    Args:
        run: the attack.
        bundles: models, of which it is one.
        data: that were attacked, as on the command line; see `data_attacked`.
        computation: where to compute.

    Raises:
        UsageError: its model is not among those given.
        RunError: the code of its model is not what it was.
    """
    from dataclasses import replace

    from holdfast.execution.replay import check_code
    from holdfast.noises.base import noise_from_dict

    manifest = run.manifest
    bundle = next((each for each in bundles if each.sha256 == manifest.model["sha256"]), None)
    if bundle is None:
        raise UsageError(f"none of the models is the one that {run.folder} attacked ({manifest.model['sha256']})")
    check_code(manifest.model, bundle.describe(), manifest.versions, str(run.folder))
    where = replace(computation, precision=manifest.precision, backend=manifest.model["backend"]["name"])
    asked = AttackOptions(
        n=manifest.n,
        alpha=manifest.alpha or None,
        search_alpha=manifest.search_alpha or AttackOptions.search_alpha,
        soft_samples=manifest.soft_samples or AttackOptions.soft_samples,
    )
    smoothing = None if manifest.noise is None else noise_from_dict(manifest.noise)
    return target_of(bundle, data, smoothing, asked, where)[0]
