"""`holdfast bound`: prove radii of a model without noise, as a run like those of smoothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import digests, options
from holdfast.cli.promises import tell
from holdfast.errors import UsageError
from holdfast.terminal import console
from holdfast.workflows.bound import bound_into
from holdfast.workflows.commitment import Commitment
from holdfast.workflows.setup import fitted_model
from holdfast.workflows.specs import open_data_spec, parse_bound, parse_drawn, parse_radii


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bound")(bound_command)


def bound_command(
    bound: Annotated[
        str | None,
        typer.Option(
            "--bound",
            help="Bound, as in convex:epsilon=0.1,norm=linf or lipschitz. Without it, the command lists all.",
            metavar="SPEC",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help=options.MODEL_HELP, metavar="SPEC")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the run. An interrupted run is resumed.", metavar="RUN"),
    ] = None,
    denoiser: options.Denoiser = None,
    data: options.DataSpec = "digits",
    split: options.Split = "test",
    every: options.Every = 1,
    limit: options.Limit = None,
    sample: options.SampleSpec = None,
    radii: options.Radii = None,
    promise_only: options.PromiseOnly = False,
    promise: options.PromiseDigest = None,
    device: options.Device = "cpu",
    threads: options.Threads = 1,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Prove, without noise and sampling, how far each input is from another answer: alpha is 0."""
    from holdfast.cli.table import print_summaries
    from holdfast.models.source import open_model
    from holdfast.sampling.devices import torch_device
    from holdfast.store.run_manifest import RunManifest

    commitment = Commitment(promise_only, promise)
    if bound is None:
        if (model, out) != (None, None):
            raise UsageError(
                "--bound is missing, as in --bound lipschitz; `holdfast bound` without options lists all bounds"
            )
        _print_bounds(json)
        return
    if radii is not None:
        parse_radii(radii)
    if model is None or out is None:
        missing = "--model, the model" if model is None else "--out, the folder of the run"
        raise UsageError(f"{missing}, is missing: a bound needs both, as in --model m.safetensors --out runs/convex")
    chosen = parse_bound(bound)
    commitment.check(out, RunManifest)
    opened, examples = open_model(model, torch_device(device), denoiser=denoiser), open_data_spec(data, split)
    fitted = fitted_model(opened, examples, data)
    with console.run_progress(f"bound {out.name}", json or quiet) as show:
        bound_into(
            out,
            chosen,
            fitted,
            examples,
            every,
            limit,
            device,
            threads,
            on_progress=show,
            promise_only=promise_only,
            sample=parse_drawn(sample),
        )
    if promise_only:
        tell(out, RunManifest, json)
        return
    print_summaries([out], radii, as_json=json)
    if not json:
        digests.say(out)


def _print_bounds(as_json: bool) -> None:
    """Print all bounds with their norms and sources."""
    from holdfast.bounds import bound_classes

    known = bound_classes()
    if as_json:
        console.print_json(
            [
                {"name": name, "norms": [norm.value for norm in kind.norms], "source": kind.source}
                for name, kind in known.items()
            ]
        )
        return
    rows = [(name, ", ".join(norm.value for norm in kind.norms), kind.source) for name, kind in known.items()]
    console.print_table(("Bound", "Norms", "Source"), rows)
    console.say("holdfast bound --bound SPEC --model FILE --data SPEC --out RUN")
