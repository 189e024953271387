"""`holdfast import-log` and `export-log`: read and write the log format of other tools."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import digests, options
from holdfast.errors import UsageError
from holdfast.terminal import console
from holdfast.workflows.specs import parse_noise


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("import-log")(import_command)
    app.command("export-log")(export_command)


def import_command(
    file: Annotated[Path, typer.Argument(help="Log (TSV) with the columns idx label predict radius correct time.")],
    noise: Annotated[
        str, typer.Option("--noise", help="Noise of the other tool, as in gaussian:sigma=0.25.", metavar="SPEC")
    ],
    n: Annotated[int, typer.Option("--n", help="Number of estimation samples behind the log.", min=1, metavar="N")],
    alpha: Annotated[float, typer.Option("--alpha", help="Failure probability behind the log.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the run to write.", metavar="RUN")],
    n0: options.Selection = 100,
    data_name: Annotated[
        str,
        typer.Option("--data-name", help="Name of the data set: cifar10, mnist, imagenet, or another.", metavar="NAME"),
    ] = "unknown",
) -> None:
    """Import another tool's log, so that `table` and `report` read it like a run. Its radii remain claims."""
    from holdfast.estimators import FixedSize
    from holdfast.workflows.logs import import_log

    run = import_log(file, parse_noise(noise), FixedSize(n, alpha, "cohen"), n0, data_name, out)
    words = run.manifest.data.there(run.records).words
    console.say(f"{out}: {len(run.records)} examples imported from {file.name}, {words}")
    digests.say(out)


def export_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    format: Annotated[str, typer.Option("--format", help="Format of the log: tsv, or jsonl with the votes.")] = "tsv",
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write. Default: standard output.", metavar="FILE")
    ] = None,
) -> None:
    """Write a run as the log that other tools read. Radii are rounded down to 6 decimals."""
    from holdfast.analysis.runs import analyze
    from holdfast.outputs import check_place, whole_file
    from holdfast.store.logs import write_jsonl, write_tsv
    from holdfast.store.run import read_run
    from holdfast.workflows.logs import log_lines

    writers = {"tsv": write_tsv, "jsonl": write_jsonl}
    if format not in writers:
        raise UsageError(f"--format is tsv or jsonl, got {format!r}")
    if out is not None:
        check_place(out)
    lines = log_lines(analyze(read_run(run)))
    if out is None:
        writers[format](lines, sys.stdout)
        return
    text = io.StringIO()
    writers[format](lines, text)
    with whole_file(out) as file:
        file.write(text.getvalue().encode())
    console.say(f"{out}: {len(lines)} examples")
