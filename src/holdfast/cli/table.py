"""`holdfast table`: certified accuracy of runs, or which of several attacks is stronger, for people and machines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from holdfast.cli import options
from holdfast.errors import UsageError
from holdfast.terminal import console
from holdfast.workflows.specs import parse_numbers, parse_radii

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.analysis.tables import Table
    from holdfast.folders import Where

Runs = Annotated[list[Path], typer.Argument(help="Folders of runs, or of attacks.", metavar="RUN...")]

_FORMATS = ("text", "markdown", "latex", "csv")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("table")(table_command)


def table_command(
    runs: Runs,
    radii: options.Radii = None,
    bounds: Annotated[
        str | None,
        typer.Option(
            "--bounds", help="Compare with other bounds on the same votes: split, cohen; majority: no run-off."
        ),
    ] = None,
    theorem: Annotated[
        str | None, typer.Option("--theorem", help="Compare with another theorem on the same votes: lecuyer or li.")
    ] = None,
    epsilon: Annotated[
        str | None,
        typer.Option("--epsilon", help="Budgets within which to compare attacks, as in 0.1,8/255.", metavar="E,E,..."),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Tell which of several runs on the same images certifies more.")
    ] = False,
    by_class: Annotated[
        bool, typer.Option("--by-class", help="Show each class, their mean (balanced), and the worst class.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="With --compare: also draw it as .png, .svg or .pdf.", metavar="FILE"),
    ] = None,
    format: Annotated[
        str, typer.Option("--format", help="Format of the table: text, markdown, latex or csv.")
    ] = "text",
    json: options.Json = False,
) -> None:
    """Print accuracy, abstention, certified radii, p_A and certified accuracy, with subset and intervals.

    --compare gives paired differences of runs on the same images instead, --by-class a table of the classes of each
    run. Folders of attacks on the same inputs of one classifier give a table of which attack is stronger, pair by pair.
    """
    from holdfast.store.attack_manifest import stored_attack_manifest

    if format not in _FORMATS:
        raise UsageError(f"--format is one of {', '.join(_FORMATS)}, got {format!r}")
    attacks = [folder for folder in runs if stored_attack_manifest(folder) is not None]
    if attacks:
        if len(attacks) < len(runs) or radii or bounds or theorem or compare or by_class or plot:
            raise UsageError(
                "attacks are compared with attacks alone, and --epsilon is their only option beside --format and "
                f"--json; got {len(attacks)} of {len(runs)} folders with attacks, or options of runs. `holdfast report "
                "RUN --attack FOLDER` shows an attack beside the run whose certificates it attacked"
            )
        _print_attacks(attacks, epsilon, as_json=json, style=format)
        return
    if epsilon is not None:
        raise UsageError("--epsilon is for folders of attacks; certified accuracy is at --radii")
    if compare and by_class:
        raise UsageError("--compare and --by-class are two tables: ask for one at a time")
    if plot is not None and not compare:
        raise UsageError("--plot draws what --compare tells; `holdfast report RUN --plot FILE` draws curves alone")
    if compare:
        _print_comparison(_loaded(runs, bounds, theorem), radii, plot, as_json=json, style=format)
        return
    if by_class:
        _print_classes(_loaded(runs, bounds, theorem), radii, as_json=json, style=format)
        return
    print_summaries(runs, radii, as_json=json, style=format, bounds=bounds, theorem=theorem)


def _print_attacks(folders: Sequence[Path], epsilon: str | None, *, as_json: bool, style: str) -> None:
    """Print which of several attacks is stronger."""
    from holdfast.analysis.attack_comparison import compare_attacks
    from holdfast.store.attack import read_attack

    epsilons = None if epsilon is None else parse_numbers("--epsilon", epsilon)
    found = compare_attacks(list(map(read_attack, folders)), epsilons)
    parts = [part for pair in zip(found.tables, found.captions, strict=True) for part in pair]
    _print_found(found, parts, as_json=as_json, style=style)


class _Found(Protocol):
    """What is printed: with warnings, for machines, and in each style."""

    @property
    def warnings(self) -> Sequence[str]: ...
    def to_dict(self) -> dict[str, Any]: ...
    def to_markdown(self) -> str: ...
    def to_latex(self) -> str: ...
    def to_csv(self) -> str: ...


def _print_found(found: _Found, parts: Iterable[Table | str], *, as_json: bool, style: str) -> None:
    """Print something for machines, or as text: its warnings, then its parts, tables and lines."""
    # As for runs: output for machines has no lines for people.
    for text in found.warnings if as_json or style == "csv" else []:
        console.warn(text)
    if as_json:
        console.print_json(found.to_dict())
    elif style == "text":
        _say(found, parts)
    else:
        sys.stdout.write(_written(found, style))


def _say(found: _Found, parts: Iterable[Table | str]) -> None:
    for part in (*found.warnings, *parts):
        if isinstance(part, str):
            console.say(part)
        else:
            console.print_table(*part)


def _written(found: _Found, style: str) -> str:
    return {"markdown": found.to_markdown, "latex": found.to_latex, "csv": found.to_csv}[style]()


def _loaded(folders: Sequence[Where], bounds: str | None = None, theorem: str | None = None) -> list[CertifiedRun]:
    """The runs, by other bounds or another theorem on the same votes where one is asked for."""
    from holdfast.analysis.runs import analyze
    from holdfast.store.run import read_run

    runs = [analyze(read_run(folder)) for folder in folders]
    if bounds or theorem:
        from holdfast.analysis.projections import compared

        runs = [compared(run, bounds, theorem) for run in runs]
        console.warn("these are not the bounds in the manifests of the runs: they are for comparison on the same votes")
    return runs


def _print_comparison(
    runs: Sequence[CertifiedRun], radii: str | None, plot: Path | None, *, as_json: bool, style: str
) -> None:
    """Print which of several runs certifies more, and draw it."""
    from holdfast.analysis.run_comparison import compare_runs
    from holdfast.outputs import check_place

    if plot is not None:
        check_place(plot)
    found = compare_runs(runs, None if radii is None else parse_radii(radii))
    parts = [part for pair in zip(found.captions, found.tables, strict=True) for part in pair]
    _print_found(found, [*parts, found.caption], as_json=as_json, style=style)
    if plot is not None:
        from holdfast.analysis.difference_plots import write_comparison_plot

        write_comparison_plot(found, plot)
        console.note(f"plot: {plot}")


def _print_classes(runs: Sequence[CertifiedRun], radii: str | None, *, as_json: bool, style: str) -> None:
    """Print the classes of each run."""
    at = None if radii is None else parse_radii(radii)
    found = [run.by_class(at) for run in runs]
    for text in [text for each in found for text in each.warnings] if as_json or style == "csv" else []:
        console.warn(text)
    if as_json:
        console.print_json([each.to_dict() for each in found])
        return
    for number, each in enumerate(found):
        if style == "text":
            _say(each, [*each.tables, each.caption])
        else:
            text = _written(each, style)
            # One header for all runs.
            sys.stdout.write(text.partition("\n")[2] if style == "csv" and number else text)


def print_summaries(
    folders: Sequence[Where],
    radii: str | None,
    *,
    as_json: bool,
    style: str = "text",
    bounds: str | None = None,
    theorem: str | None = None,
) -> None:
    """Print the summaries of runs at the radii of a spec, or at radii that suit them; a table for each norm."""
    from holdfast.analysis import tables
    from holdfast.analysis.radii import radii_for
    from holdfast.analysis.summaries import summarize

    runs = _loaded(folders, bounds, theorem)
    at = radii_for(runs, None if radii is None else parse_radii(radii))
    summaries = [summarize(run, chosen) for run, chosen in zip(runs, at, strict=True)]
    # Output for machines has no lines for people: they go to stderr.
    for text in tables.unfinished(summaries) if as_json or style == "csv" else []:
        console.warn(text)
    if as_json:
        console.print_json(tables.as_json(summaries))
        return
    if style == "csv":
        sys.stdout.write(tables.csv_text(summaries))
        return
    writers = {"markdown": tables.markdown, "latex": tables.latex}
    for text in tables.unfinished(summaries) if style == "text" else []:
        console.say(text)
    for norm in dict.fromkeys(summary.norm for summary in summaries):
        group = [summary for summary in summaries if summary.norm == norm]
        if style == "text":
            console.print_table(*tables.fitted(group))
            console.say(tables.caption(group))
        else:
            sys.stdout.write(writers[style](group))
