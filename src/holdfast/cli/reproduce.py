"""`holdfast reproduce`: a published table, made anew: train, certify, and print both side by side."""

from __future__ import annotations

import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli import console, options
from holdfast.errors import UsageError
from holdfast.models.precision import AUTO, FLOAT32

if TYPE_CHECKING:
    from holdfast.cli.trainings import Place, Splits
    from holdfast.data.base import DataSet
    from holdfast.folders import Below, Where
    from holdfast.reproductions.base import Certification, Finished, Model, Study, Trained
    from holdfast.reproductions.pages import Page
    from holdfast.store.run import Run

# So much work is worth the start of other processes.
_SAMPLES_FOR_PROCESSES = 200_000
# At smoke scale no time is spent on finding the fastest batch and backend.
_SMOKE_BATCH = 64
_WRAPPER = textwrap.TextWrapper(80, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reproduce")(reproduce_command)


def reproduce_command(
    name: Annotated[
        str | None, typer.Argument(help="What to reproduce, as in levine-mnist. Without it, all are listed.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Data set, as in mnist:DIR; some need none.", metavar="SPEC")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder to write to; what is there is reused, what is half done is gone on with. "
            "Default: reproduction-SCALE.",
            metavar="DIR",
        ),
    ] = None,
    scale: Annotated[
        str, typer.Option("--scale", help="smoke (minutes), small (processor cores) or full (the paper's; GPUs).")
    ] = "small",
    device: options.Device = "cpu",
    threads: options.Threads = 1,
    workers: Annotated[int, typer.Option("--workers", help="Processes side by side, with --threads each.", min=1)] = 1,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make a published table anew, beside the published figures. Interrupted? The same command goes on."""
    from holdfast.outputs import check_place
    from holdfast.reproductions import find_study
    from holdfast.reproductions.base import check_scale

    if name is None:
        _list(json)
        return
    study = find_study(name)
    check_scale(scale)
    folder = Path(f"reproduction-{scale}") if out is None else out
    place = _place(folder, device, threads, workers, json or quiet)
    # Not after hours of work.
    for kind in ("md", "html"):
        check_place(place.folder / f"{study.name}.{kind}")
    start = time.perf_counter()
    with console.each_warning_once(), console.resumable():
        page = _page(study, data, scale, place)
    _write(study, page, place.folder, _command(study, data, scale, folder), json)
    if not json:
        console.say(f"{time.perf_counter() - start:.0f} s in all: {folder / study.name}.md and .html")


def _place(folder: Path, device: str, threads: int, workers: int, hidden: bool) -> Place:
    from holdfast.analysis import extras
    from holdfast.cli.trainings import Place
    from holdfast.folders import Below

    # Not after hours of work.
    for package in ("jinja2", "altair", "vl_convert"):
        extras.load(package, "Writing the page of a reproduction")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out names the file {folder}, expected a folder, or a name that is free")
    return Place(Below(folder), device, threads, workers, hidden)


def _page(study: Study, spec: str | None, scale: str, place: Place) -> Page:
    from holdfast.reproductions.base import Finished
    from holdfast.reproductions.chance import judged

    if not study.data and spec is not None:
        console.note(f"{study.name} needs no data; --data is not used")
    if study.data and spec is None:
        if study.needs_data:
            raise UsageError(f"{study.name} needs data: give them as --data {study.spelling()}; nothing is downloaded")
        console.note(
            f"Without --data {study.name} computes its equations only; with --data {study.spelling()} it trains and "
            "certifies too"
        )
    if not study.data or spec is None:
        return study.page(Finished(scale))
    done = _finished(study, spec, scale, place)
    return judged(study.page(done), done)


def _finished(study: Study, spec: str, scale: str, place: Place) -> Finished:
    """Train, certify, bound and attack all that the study asks for."""
    from holdfast.analysis.runs import analyze
    from holdfast.cli.attacking import attacked, bounded, transferred
    from holdfast.cli.trainings import Splits, train_all
    from holdfast.reproductions.base import Finished

    splits = Splits(spec)
    test = splits.open("test")
    kind = study.kind_of(test)
    plan = study.plan(scale, kind)
    trained = train_all(plan.models, splits, place)
    models = {model.name: model for model in plan.models}
    runs = {
        each.name: analyze(_certified(each, models[each.model], trained[each.model], splits, place, scale))
        for each in plan.runs
    }
    for bound in plan.bounds:
        runs[bound.name] = analyze(bounded(bound, models[bound.model], trained[bound.model], splits, place))
    attacks = {
        each.name: attacked(
            each,
            models[each.model],
            trained[each.model],
            None if each.run is None else runs[each.run],
            splits,
            place,
        )
        for each in plan.attacks
    }
    matrix = transferred(plan.transfer, attacks, {each.name: each for each in plan.attacks}, models, splits, place)
    return Finished(scale, kind, runs, trained, _notes(test), attacks, matrix)


def _certified(wanted: Certification, model: Model, trained: Trained, splits: Splits, place: Place, scale: str) -> Run:
    """The finished run: as it is there, or gone on with, or made."""
    from holdfast.cli.certify import Settings, certify_into, in_precision
    from holdfast.cli.material import Setup
    from holdfast.estimators import FixedSize
    from holdfast.store.run import read_run
    from holdfast.workflows.specs import parse_engine

    folder = place.run(wanted.name)
    data = splits.open("test", model.options)
    found = _reusable(folder, wanted, trained, data)
    if found is not None:
        return found
    material = Setup.load(
        place.bundle(wanted.model),
        splits.spec_for(model.options),
        wanted.noise,
        "test",
        place.device,
        FLOAT32 if wanted.precision == AUTO else wanted.precision,
    )
    samples = (wanted.n0 + wanted.n) * len(material.indices(wanted.every, wanted.limit))
    aside = place.workers > 1 and samples >= _SAMPLES_FOR_PROCESSES
    settings = Settings(
        every=wanted.every,
        limit=wanted.limit,
        n0=wanted.n0,
        estimator=FixedSize(wanted.n, wanted.alpha, wanted.bounds),
        engine=parse_engine(
            f"processes:{place.workers}" if aside else "local",
            None,
            place.device,
            _SMOKE_BATCH if scale == "smoke" else None,
            place.threads,
        ),
        backend="torch" if scale == "smoke" else "auto",
    )
    tell = None if place.hidden else (lambda text: console.note(f"{wanted.name}: {text}"))
    material = in_precision(wanted.precision, folder, material, settings, tell)
    certify_into(folder, material, settings, hidden=place.hidden)
    return read_run(folder)


def _reusable(folder: Where, wanted: Certification, trained: Trained, data: DataSet) -> Run | None:
    """The run in a folder if it is complete; None if there is none or some of it is missing.

    Raises:
        RunError: it promised something else.
    """
    from holdfast.cli.trainings import check_entries
    from holdfast.store.run import read_run
    from holdfast.store.run_manifest import stored_run_manifest
    from holdfast.workflows.specs import parse_noise

    if stored_run_manifest(folder) is None:
        return None
    run = read_run(folder, to_go_on=True)
    manifest, promised = run.manifest, run.manifest.estimator
    entries: dict[str, tuple[Any, Any]] = {
        "model": (manifest.model.get("sha256"), trained.sha256),
        "images": (manifest.data.sha256, data.sha256),
        "every": (manifest.data.every, wanted.every),
        "limit": (manifest.data.limit, wanted.limit),
        "n0": (manifest.n0, wanted.n0),
        "n": (promised.get("n"), wanted.n),
        "alpha": (promised.get("alpha"), wanted.alpha),
        "bounds": (promised.get("method"), wanted.bounds),
    }
    if wanted.precision != AUTO:
        entries["precision"] = (manifest.precision, wanted.precision)
    if wanted.noise is not None:
        entries["noise"] = (manifest.noise, parse_noise(wanted.noise).to_dict())
    check_entries(f"{folder} is a run with other settings", entries)
    return None if run.missing else run


def _notes(data: DataSet) -> tuple[str, ...]:
    """What is to be known of the data, for the page."""
    encoded = f"The images are decoded from files by {data.decoder}, not the published pixels." if data.decoder else ""
    return (*((encoded,) if encoded else ()), *(f"Of the data: {note}." for note in data.notes))


def _write(study: Study, page: Page, folder: Below, command: str, as_json: bool) -> None:
    """Markdown, HTML and charts into the folder; the tables, or one JSON document, to the terminal."""
    from holdfast.outputs import whole_file
    from holdfast.reproductions.writing import document, html, markdown, text

    files = {f"{study.name}.md": markdown(page), f"{study.name}.html": html(page, command)}
    files |= {chart.file: chart.draw() for chart in page.charts}
    for name, content in files.items():
        with whole_file(folder / name) as file:
            file.write(content.encode())
    if as_json:
        console.print_json({"name": study.name, "files": [str(folder / name) for name in files], **document(page)})
    else:
        sys.stdout.write(text(page))


def _command(study: Study, spec: str | None, scale: str, folder: Path) -> str:
    data = f" --data {spec}" if study.data and spec else ""
    return f"holdfast reproduce {study.name}{data} --scale {scale} --out {folder}"


def _list(as_json: bool) -> None:
    """What can be reproduced, from what, at which cost."""
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
