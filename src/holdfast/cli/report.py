"""`holdfast report`: one self-contained HTML file that others can read and check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import options
from holdfast.cli.table import Runs
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
    """Write a report of one or several runs: curves, tables, gallery, and the manifest in plain words."""
    from holdfast.analysis.plots import write_plot
    from holdfast.analysis.report import write_report
    from holdfast.analysis.runs import analyze
    from holdfast.outputs import check_place
    from holdfast.store.attack import read_attack
    from holdfast.store.run import read_run

    for file in (out, *(plot or [])):
        check_place(file)
    loaded = [analyze(read_run(folder)) for folder in runs]
    attacks = [read_attack(folder) for folder in attack or []]
    write_report(loaded, out, None if radii is None else parse_radii(radii), title, attacks)
    console.say(f"report: {out} ({out.stat().st_size / 1e6:.1f} MB, opens without a network)")
    for file in plot or []:
        write_plot(loaded, file)
        console.say(f"plot: {file}")
