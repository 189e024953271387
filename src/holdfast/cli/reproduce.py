"""`holdfast reproduce`: train and certify for a published table, and print both side by side."""

from __future__ import annotations

import sys
import textwrap
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli import options
from holdfast.errors import HoldfastError, UsageError
from holdfast.terminal import console

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.reproductions.base import Study
    from holdfast.reproductions.index import Index
    from holdfast.reproductions.records import Job
    from holdfast.workflows.study_models import Workspace

_WRAPPER = textwrap.TextWrapper(80, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reproduce")(reproduce_command)


def reproduce_command(
    name: Annotated[
        str | None, typer.Argument(help="Table to reproduce, as in levine-mnist. Without it, the command lists all.")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            help="Data set, as in mnist:DIR. Some tables need none. With --all, once for each kind of data.",
            metavar="SPEC",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Reproduce every table that the data allow, and write index.html.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder to write to. Work in it is reused or continued. Default: reproduction-SCALE.",
            metavar="DIR",
        ),
    ] = None,
    scale: Annotated[
        str, typer.Option("--scale", help="Size: smoke (minutes), small (processor cores) or full (the paper's; GPUs).")
    ] = "small",
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="Model for a base classifier of the table, as in imagenet-plain=net.onnx. Can be repeated.",
            metavar="NAME=SPEC",
        ),
    ] = None,
    device: options.Device = "cpu",
    threads: options.Threads = 1,
    workers: Annotated[
        int,
        typer.Option("--workers", help="Processes that work side by side, with --threads each.", min=1, metavar="N"),
    ] = 1,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Reproduce a published table, or all of them, beside the published figures.

    Run the same command again after an interruption: it continues where it stopped.
    """
    from holdfast.outputs import check_place
    from holdfast.reproductions import find_study, writing
    from holdfast.reproductions.base import check_scale
    from holdfast.workflows.study_pages import page_of, write_page

    specs = data or []
    _check_call(name, everything, specs)
    if name is None and not everything:
        _list(json)
        return
    check_scale(scale)
    folder = Path(f"reproduction-{scale}") if out is None else out
    place = _place(folder, device, threads, workers, json or quiet, model or ())
    if name is None:
        _all(specs, scale, folder, place, json)
        return
    study = find_study(name)
    spec = specs[0] if specs else None
    # Fail now, not after hours of work.
    for kind in ("md", "html"):
        check_place(place.folder / f"{study.name}.{kind}")
    start = time.perf_counter()
    with console.each_warning_once(), console.resumable():
        _check_data(study, spec)
        page = page_of(study, spec, scale, place)
    command = _command(study.name, [spec] if study.data and spec else [], scale, folder, place.given)
    files = write_page(study.name, page, place.folder, command)
    if json:
        paths = [str(place.folder / name) for name in files]
        console.print_json({"name": study.name, "files": paths, **writing.document(page)})
    else:
        sys.stdout.write(writing.text(page))
        console.say(f"{time.perf_counter() - start:.0f} s in all: {folder / study.name}.md and .html")


def _check_call(name: str | None, everything: bool, specs: list[str]) -> None:
    """Refuse options that exclude each other."""
    if everything and name is not None:
        raise UsageError(f"--all reproduces every table, and {name} is one; leave out one of the two")
    if name is not None and len(specs) > 1:
        raise UsageError(f"{name} takes one data set, got {len(specs)}: {', '.join(specs)}. --all takes several")
    if name is None and not everything and specs:
        raise UsageError("--data needs the name of a table, or --all; `holdfast reproduce` alone lists the names")


def _all(specs: list[str], scale: str, folder: Path, place: Workspace, as_json: bool) -> None:
    from holdfast.reproductions.index import FILES, document
    from holdfast.workflows.reproduce_all import reproduce_all

    def command(job: Job | None) -> str:
        if job is None:
            return _command("--all", specs, scale, folder, place.given)
        data = [] if job.spec is None else [job.spec]
        return _command(job.study.name, data, scale, folder, job.given(place.given, scale))

    with console.each_warning_once(), console.resumable():
        index = reproduce_all(specs, scale, place, command, _tell_failure)
    if as_json:
        console.print_json({**document(index), "files": [str(folder / name) for name in FILES]})
    else:
        _print_index(index, folder)
    if index.failed:
        raise typer.Exit(1)


def _tell_failure(job: Job, error: Exception) -> None:
    from holdfast.workflows.reproduce_all import lines_of

    first, *others = lines_of(error)
    console.fail(f"{job.stem} failed: {first}", *others)
    if not isinstance(error, HoldfastError):
        # A fault of the program, which only its trace explains.
        for line in "".join(traceback.format_exception(error)).splitlines():
            console.note(line)
    console.note("The other studies go on. Repeat the same command to try this one again.")


def _print_index(index: Index, folder: Path) -> None:
    from holdfast.reproductions.index import FILES

    rows = [
        (entry.stem, entry.record.status if entry.record else "not run", *entry.counts(), entry.minutes)
        for entry in index.entries
    ]
    console.print_table(("study", "status", "hold", "do not hold", "not judged", "minutes"), rows)
    for entry in index.entries:
        if not entry.has_page:
            console.say(f"{entry.stem}: {entry.status}")
    console.say(index.summary)
    console.say(f"The index is {folder / FILES[0]}")


def _place(
    folder: Path, device: str, threads: int, workers: int, hidden: bool, models: Sequence[str] = ()
) -> Workspace:
    from holdfast.analysis import extras
    from holdfast.folders import Below
    from holdfast.workflows.study_models import Workspace

    # Fail now, not after hours of work.
    for package in ("jinja2", "altair", "vl_convert", "PIL"):
        extras.load(package, "Writing the page of a reproduction")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out names the file {folder}, expected a folder, or a name that does not exist yet")
    return Workspace(Below(folder), device, threads, workers, console.Bars(hidden), _given(models))


def _given(models: Sequence[str]) -> dict[str, str]:
    """The specs of models by the names of the base classifiers that they stand for."""
    pairs = [text.partition("=") for text in models]
    for text, (name, _, spec) in zip(models, pairs, strict=True):
        if not name or not spec:
            raise UsageError(f"--model takes NAME=SPEC, as in imagenet-plain=net.onnx,mean=.5; got {text!r}")
    if len({name for name, _, _ in pairs}) < len(pairs):
        raise UsageError(f"--model names a base classifier twice: {', '.join(models)}; name each once")
    return {name: spec for name, _, spec in pairs}


def _check_data(study: Study, spec: str | None) -> None:
    """Say what data are missing or not used.

    Raises:
        UsageError: the study needs data.
    """
    if not study.data and spec is not None:
        console.note(f"{study.name} needs no data; --data is not used")
    if study.data and spec is None:
        if study.needs_data:
            raise UsageError(f"{study.name} needs data: give --data {study.spelling()}; Holdfast downloads nothing")
        console.note(
            f"Without --data {study.name} computes its equations only; with --data {study.spelling()} its page has "
            "what needs data too"
        )


def _command(what: str, specs: Sequence[str], scale: str, folder: Path, models: Mapping[str, str]) -> str:
    data = "".join(f" --data {spec}" for spec in specs)
    given = "".join(f" --model {name}={spec}" for name, spec in models.items())
    return f"holdfast reproduce {what}{data}{given} --scale {scale} --out {folder}"


def _list(as_json: bool) -> None:
    """Print the names of all tables, with the data that each needs and its cost."""
    from holdfast.reproductions import studies

    known = studies()
    if as_json:
        console.print_json(
            [{"name": s.name, "title": s.title, "data": list(s.data), "cost": dict(s.cost)} for s in known]
        )
        return
    for study in known:
        data = study.spelling() if study.data else "none"
        optional = "" if study.needs_data or not study.data else " (optional)"
        lines = [f"data: {data}{optional}", *(f"{scale}: {cost}" for scale, cost in study.cost.items())]
        sys.stdout.write(f"{study.name}\n")
        for line in (study.title, *lines):
            sys.stdout.write(_WRAPPER.fill(line) + "\n")
    sys.stdout.write("\nholdfast reproduce NAME --data SPEC --scale smoke|small|full --out DIR\n")
    sys.stdout.write("holdfast reproduce --all --data SPEC --data SPEC --scale SCALE --out DIR\n")
