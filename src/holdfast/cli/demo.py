"""`holdfast demo`: train, certify and report on real images that come with Holdfast."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import options
from holdfast.terminal import console
from holdfast.workflows.specs import parse_noise

# For each noise: its spec, and the training that suits it on 8x8 digits.
_JOBS = {
    "gaussian": ("gaussian:sigma=0.25", {"epochs": 80, "learning_rate": 0.1, "weight_decay": 1e-3}),
    "ablation": ("ablation:k=16", {"epochs": 100, "learning_rate": 0.1, "batch_size": 64}),
}
_N0, _N, _ALPHA = 100, 1_000, 0.001


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo_command)


def demo_command(
    out: Annotated[
        Path, typer.Option("--out", help="Folder to write to. Models and runs in it are reused.", metavar="DIR")
    ] = Path("demo-output"),
    threads: options.Threads = 1,
    quiet: options.Quiet = False,
) -> None:
    """Train on 1,437 handwritten digits, certify the other 360 against L2 and L0 changes, and write a report."""
    from holdfast.analysis.report import write_report
    from holdfast.analysis.runs import analyze
    from holdfast.cli.table import print_summaries
    from holdfast.estimators import FixedSize
    from holdfast.folders import Below, lies
    from holdfast.outputs import check_place
    from holdfast.sampling.engines.local import LocalEngine
    from holdfast.store.run import read_run
    from holdfast.training.config import TrainConfig
    from holdfast.workflows.certify import Settings, certify_into
    from holdfast.workflows.setup import Setup
    from holdfast.workflows.train import train_bundle

    start = time.perf_counter()
    runs = []
    folder = Below(out)
    report = folder / "report.html"
    check_place(report)
    for name, (spec, training) in _JOBS.items():
        model, run = folder / f"{name}.safetensors", folder / "runs" / name
        if lies(model):
            console.say(f"{model} exists and is reused; delete {out} to start again")
        else:
            config = TrainConfig(**training)  # type: ignore[arg-type]
            with console.train_progress(f"train {name}", quiet) as show:
                train_bundle("digits", parse_noise(spec), model, config, None, "cpu", threads, on_progress=show)
        setup = Setup.load(model, "digits", None, "test", "cpu", "float32")
        settings = Settings(
            every=1,
            limit=None,
            n0=_N0,
            estimator=FixedSize(_N, _ALPHA),
            engine=LocalEngine(threads=threads),
            backend="torch",
        )
        with console.run_progress(f"certify {name}", quiet) as show_run:
            certify_into(run, setup, settings, show_run)
        runs.append(run)
    print_summaries(runs, None, as_json=False)
    write_report([analyze(read_run(run)) for run in runs], report, None, "Holdfast demo: handwritten digits")
    console.say(f"{time.perf_counter() - start:.0f} s in all. Open {report} in a browser.")
