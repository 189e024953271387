"""`holdfast report`: one self-contained HTML file that others can read and check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import options
from holdfast.cli.table import Runs
from holdfast.errors import UsageError
from holdfast.terminal import console
from holdfast.workflows.specs import parse_radii


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report_command)


def report_command(
    runs: Runs,
    out: Annotated[Path, typer.Option("--out", help="HTML file to write.", metavar="FILE")] = Path("report.html"),
    plot: Annotated[
        list[Path] | None,
        typer.Option("--plot", help="Also write the curves as .png, .svg or .pdf. It can be repeated.", metavar="FILE"),
    ] = None,
    attack: Annotated[
        list[Path] | None,
        typer.Option(
            "--attack", help="Also show this attack on one of the runs. It can be repeated.", metavar="FOLDER"
        ),
    ] = None,
    radii: options.Radii = None,
    title: Annotated[str | None, typer.Option("--title", help="Heading of the report.")] = None,
) -> None:
    """Write a report of one or several runs: curves, tables, gallery, and the manifest in plain words.

    The folder of an attack instead of a run gives a report on the attack by itself.
    """
    from holdfast.analysis.plots import write_plot
    from holdfast.analysis.report import write_report
    from holdfast.analysis.runs import analyze
    from holdfast.outputs import check_place
    from holdfast.store.attack import read_attack
    from holdfast.store.attack_manifest import stored_attack_manifest
    from holdfast.store.run import read_run

    for file in (out, *(plot or [])):
        check_place(file)
    if any(stored_attack_manifest(folder) is not None for folder in runs):
        _report_attack(runs, out, bool(plot or attack or radii), title)
        return
    loaded = [analyze(read_run(folder)) for folder in runs]
    attacks = [read_attack(folder) for folder in attack or []]
    write_report(loaded, out, None if radii is None else parse_radii(radii), title, attacks)
    console.say(f"report: {out} ({out.stat().st_size / 1e6:.1f} MB, opens without a network)")
    for file in plot or []:
        write_plot(loaded, file)
        console.say(f"plot: {file}")


def _report_attack(folders: list[Path], out: Path, more: bool, title: str | None) -> None:
    """The report on one attack by itself."""
    from holdfast.analysis.attack_report import write_attack_report
    from holdfast.store.attack import read_attack

    if len(folders) > 1 or more:
        raise UsageError(
            f"an attack is reported alone, got {len(folders)} folders or options of runs; to show an attack beside the "
            "run whose certificates it attacked, give that run, and the attack with --attack"
        )
    write_attack_report(read_attack(folders[0]), out, title)
    console.say(f"report: {out} ({out.stat().st_size / 1e6:.1f} MB, opens without a network)")
