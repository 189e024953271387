"""`holdfast agree`: compare a backend and a precision with the reference in float32, vote by vote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli import options
from holdfast.terminal import console
from holdfast.workflows.agree import compare, radii_of_report
from holdfast.workflows.setup import Setup
from holdfast.workflows.specs import parse_batch_size, parse_drawn, parse_radii

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.execution.agreement import Agreement
    from holdfast.types import Certificate, Example


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("agree")(agree_command)


def agree_command(
    model: options.ModelSpec,
    data: options.DataSpec = "digits",
    noise: options.NoiseSpec = None,
    denoiser: options.Denoiser = None,
    split: options.Split = "test",
    every: options.Every = 1,
    limit: Annotated[
        int | None,
        typer.Option("--limit", help="Take at most this many examples. Default: 20, or --sample.", min=1, metavar="N"),
    ] = None,
    sample: options.SampleSpec = None,
    n0: options.Selection = 100,
    n: options.Samples = 1_000,
    alpha: options.Alpha = 0.001,
    bounds: options.Bounds = "split",
    seed: options.Seed = None,
    batch_size: options.BatchSize = "auto",
    threads: options.Threads = 1,
    precision: options.Precision = "bfloat16",
    backend: options.BackendName = "auto",
    radii: options.Radii = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Compare a backend and a precision with eager torch in float32, on the same noise.

    A graph of ONNX is compared with ONNX Runtime.

    Each makes a different base classifier of the model, so both certificates are valid, each for its own.
    """
    from holdfast.estimators import FixedSize
    from holdfast.store.seeds import CHOSEN, ENTROPY

    setup = Setup.load(model, data, noise, split, "cpu", precision, denoiser=denoiser)
    estimator = FixedSize(n, alpha, bounds)
    at = radii_of_report(setup, estimator) if radii is None else parse_radii(radii)
    with console.count_progress(f"certify twice {Path(model).name}", json or quiet) as show:
        found = compare(
            setup,
            every,
            20 if limit is None and sample is None else limit,
            n0,
            estimator,
            threads=threads,
            batch_size=parse_batch_size(batch_size),
            backend=backend,
            seed=seed,
            sample=parse_drawn(sample),
            on_done=show,
        )
    document = _document(found.agreement, found.examples, at) | {
        "noise": str(setup.noise),
        "precision": precision,
        "backend": found.backend,
        "reference": found.reference,
        "seed": found.seed,
        "seed_origin": ENTROPY if seed is None else CHOSEN,
    }
    if json:
        console.print_json(document)
    else:
        _print(document)


def _document(result: Agreement, examples: Sequence[Example], radii: Sequence[float]) -> dict[str, Any]:
    pairs = list(zip(result.first, result.second, strict=True))
    return {
        "examples": len(examples),
        "votes": result.votes,
        "differing_votes": result.differing,
        "share_differing": result.differing / result.votes,
        "other_labels": sum(first.label != second.label for first, second in pairs),
        "certified_accuracy": {
            str(radius): {
                "float32": _certified(result.first, examples, radius),
                "compared": _certified(result.second, examples, radius),
            }
            for radius in radii
        },
    }


def _certified(certificates: Sequence[Certificate], examples: Sequence[Example], radius: float) -> float:
    """The share of examples that are certified with the right class at `radius`."""
    hits = sum(
        each.label == example.label and each.radius >= radius
        for each, example in zip(certificates, examples, strict=True)
    )
    return hits / len(examples)


def _print(document: Mapping[str, Any]) -> None:
    name = f"{document['backend']['name']} {document['precision']}"
    compared = f"{name} and {document['reference']} float32"
    console.say(
        f"{document['noise']}: {compared} on the same {document['votes']:,} noisy inputs from {document['examples']} "
        "examples"
    )
    console.say(f"  votes that differ: {document['differing_votes']:,} ({100 * document['share_differing']:.3f}%)")
    console.say(f"  examples with another certified class or abstention: {document['other_labels']}")
    rows = [
        (f"r = {radius}", f"{100 * each['float32']:.1f}%", f"{100 * each['compared']:.1f}%")
        for radius, each in document["certified_accuracy"].items()
    ]
    console.print_table(("certified accuracy", "torch float32", name), rows)
