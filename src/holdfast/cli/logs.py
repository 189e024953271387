"""`holdfast import-log` and `export-log`: the field's log format in and out."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli import console, digests, options
from holdfast.errors import RunError, UsageError
from holdfast.visible import visible
from holdfast.workflows.specs import parse_noise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.estimators import FixedSize
    from holdfast.noises.base import Noise
    from holdfast.store.logs import Log, LogLine
    from holdfast.store.run import Record
    from holdfast.store.run_manifest import RunManifest


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("import-log")(import_command)
    app.command("export-log")(export_command)


def import_command(
    file: Annotated[Path, typer.Argument(help="Log with the columns idx label predict radius correct time (TSV).")],
    noise: Annotated[str, typer.Option("--noise", help="As in gaussian:sigma=0.25.", metavar="SPEC")],
    n: Annotated[int, typer.Option("--n", help="Estimation samples that the log was made with.", min=1)],
    alpha: Annotated[float, typer.Option("--alpha", help="Failure probability that the log was made with.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the run to write.", metavar="RUN")],
    n0: options.Selection = 100,
    data_name: Annotated[
        str, typer.Option("--data-name", help="cifar10, mnist, imagenet, or another name.", metavar="NAME")
    ] = "unknown",
) -> None:
    """Import another tool's log, so that `table` and `report` read it like a run. Its radii stay claims."""
    from holdfast.estimators import FixedSize
    from holdfast.noises.base import find_guarantee
    from holdfast.store.logs import imported_manifest, read_log
    from holdfast.store.run import RunStore

    parsed, estimator = parse_noise(noise), FixedSize(n, alpha, "cohen")
    theorem = find_guarantee(parsed)
    log = read_log(file, theorem.norm)
    manifest = imported_manifest(log, parsed, theorem.name, estimator, n0, data_name, visible(file.name))
    with RunStore(out, manifest) as store:
        _check_kept(out, store.records(), log)
        store.append(claim for claim in log.claims if claim.index not in store.done)
        store.conclude()
    if log.disagreements:
        console.warn(
            f"{log.disagreements} lines have a `correct` that is not label = predict (cumulative in some tools); "
            "it was recomputed"
        )
    if log.open_end is not None:
        console.warn(
            f"the last line of {file.name} has no newline at its end: its {log.open_end} may be cut off and was not "
            "taken, and lines after it may be missing. Compare the number of lines with what its tool wrote"
        )
    _warn_if_too_large(log, parsed, estimator, manifest)
    console.say(f"{out}: {len(log.claims)} examples imported from {file.name}, {manifest.data.there(log.claims).words}")
    digests.say(out)


def _check_kept(out: Path, records: Sequence[Record], log: Log) -> None:
    """Raise RunError if the run holds other claims than the log: what was imported before is never changed."""
    kept = {record.index: record for record in records}
    claims = {claim.index: claim for claim in log.claims}
    # An example that the log does not have would be counted among its own.
    others = sorted(index for index, claim in kept.items() if claims.get(index) != claim)
    if others:
        raise RunError(
            f"{out} holds other claims than the log for {len(others)} examples, the first of index {others[0]}: "
            "another log with the same settings was imported there. Choose another --out, or delete the folder"
        )


def _warn_if_too_large(log: Log, noise: Noise, estimator: FixedSize, manifest: RunManifest) -> None:
    from holdfast.analysis.runs import limit_known
    from holdfast.estimators import best_radius, fitting_alpha
    from holdfast.noises.base import find_guarantee

    if not limit_known(manifest.data, find_guarantee(noise).norm):
        console.warn(
            "whether n and alpha allow the radii of the log depends on the number of pixels of an input, which is not "
            "known: it was not checked. Name the data set with --data-name, if it is a published one"
        )
        return
    shape = manifest.data.shape
    best, norm = best_radius(noise, estimator, shape, num_classes=2)
    if log.largest <= (best or 0.0):
        return
    fitting = fitting_alpha(noise, estimator.n, log.largest, shape)
    advice = "no alpha below 1/2 would fit" if fitting is None else f"alpha = {fitting:g} would fit"
    console.warn(
        f"the largest radius in the log is {log.largest:g} or more; n = {estimator.n} and alpha = {estimator.alpha:g} "
        f"allow {best or 0.0:.4g} {norm.unit} at most: {advice}"
    )


def export_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    format: Annotated[str, typer.Option("--format", help="tsv, or jsonl with the votes.")] = "tsv",
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write. Default: standard output.", metavar="FILE")
    ] = None,
) -> None:
    """Write a run as the log that other tools read. Radii are rounded down to 6 decimals."""
    from holdfast.analysis.runs import analyze
    from holdfast.outputs import check_place, whole_file
    from holdfast.store.logs import write_jsonl, write_tsv
    from holdfast.store.run import read_run

    writers = {"tsv": write_tsv, "jsonl": write_jsonl}
    if format not in writers:
        raise UsageError(f"--format is tsv or jsonl, got {format!r}")
    if out is not None:
        check_place(out)
    found = analyze(read_run(run))
    if found.condition is not None:
        console.warn(f"a log has no place for what its radii rest on: they hold as long as {found.condition}")
    if found.claimed is not None:
        console.warn(f"a log has no place for whose claims its radii are: {found.claimed}")
    lines = _lines(found)
    if out is None:
        writers[format](lines, sys.stdout)
        return
    text = io.StringIO()
    writers[format](lines, text)
    with whole_file(out) as file:
        file.write(text.getvalue().encode())
    console.say(f"{out}: {len(lines)} examples")


def _lines(run: CertifiedRun) -> list[LogLine]:
    from holdfast.stats.rounding import show_down
    from holdfast.store.logs import LogLine

    # Examples share batches, so a run of ours knows the mean time only.
    sessions = run.run.sessions
    examples = sum(session.examples for session in sessions)
    mean = sum(session.seconds for session in sessions) / examples if examples else None

    def time(seconds: float | None) -> str:
        known = mean if seconds is None else seconds
        return "" if known is None else f"{known:.4g}"

    return [
        LogLine(
            idx=each.index,
            label=each.label,
            predict=-1 if each.predicted is None else each.predicted,
            radius=show_down(each.radius, 6),
            correct=int(each.correct),
            time=time(each.seconds),
            selection=each.certificate.selection.votes if each.certificate else None,
            estimation=each.certificate.estimation.votes if each.certificate else None,
        )
        for each in run.results
    ]
