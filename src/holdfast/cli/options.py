"""Options that several commands share: their names, defaults and help, in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.plugged import NOISES, SOURCES
from holdfast.errors import UsageError

DataSpec = Annotated[
    str,
    typer.Option(
        "--data",
        help=f"Data set: {SOURCES}.",
        metavar="SPEC",
    ),
]
NoiseSpec = Annotated[
    str | None,
    typer.Option(
        "--noise",
        help=f"As in {NOISES}. Default: the noise of the model.",
        metavar="SPEC",
    ),
]
ModelFile = Annotated[Path, typer.Option("--model", help="Model bundle (.safetensors).", metavar="FILE")]
Split = Annotated[str, typer.Option("--split", help="Split to take examples from: test or train.")]
Alpha = Annotated[float, typer.Option("--alpha", help="Failure probability of each certificate.")]
Bounds = Annotated[
    str,
    typer.Option("--bounds", help="Class bounds: split (every class) or cohen (top class only, as the papers do)."),
]
UntilRadius = Annotated[
    str | None,
    typer.Option(
        "--until-radius",
        help="Stop each input once these radii are certified or hopeless, as in 0,.25,.5; --n is then the most. 0 asks "
        "whether anything is certified; without it, more inputs end as abstentions.",
        metavar="R,R,...",
    ),
]
UntilPrecision = Annotated[
    str | None,
    typer.Option(
        "--until-precision",
        help="Stop each input once its radius is this close to what all --n samples would give, as in 5%.",
        metavar="SHARE",
    ),
]
EstimatorName = Annotated[
    str,
    typer.Option(
        "--estimator",
        help="auto, fixed, looks, eprocess (one radius) or exact (each realization of the noise once). auto: exact "
        "where the noise has no more realizations than samples would be drawn, looks with --until-radius "
        "or --until-precision, else fixed.",
    ),
]
Samples = Annotated[int, typer.Option("--n", help="Estimation samples of each input.")]
Selection = Annotated[int, typer.Option("--n0", help="Selection samples of each input.")]
Every = Annotated[int, typer.Option("--every", help="Take each such-and-such example of the split.", min=1)]
Limit = Annotated[int | None, typer.Option("--limit", help="Take so many examples at most.", min=1)]
Seed = Annotated[
    int | None,
    typer.Option("--seed", help="Seed of all noise. Default: fresh entropy, recorded in the run.", min=0),
]
PromiseOnly = Annotated[
    bool,
    typer.Option("--promise-only", help="Write the promise, print its digest, and stop before anything is computed."),
]
PromiseDigest = Annotated[
    str | None,
    typer.Option(
        "--promise", help="Refuse to go on unless the promise in --out has this digest, as published.", metavar="DIGEST"
    ),
]
Nonce = Annotated[
    str | None,
    typer.Option(
        "--nonce",
        help="Derive the seed from the promise and this nonce of an auditor, 32 hexadecimal digits or more, named once "
        "the digest is published. With --promise-only: later.",
        metavar="HEX",
    ),
]
BatchSize = Annotated[
    str, typer.Option("--batch-size", help="Noisy copies a batch, or auto: the fastest. Results do not depend on it.")
]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:N.")]
Threads = Annotated[
    int,
    typer.Option("--threads", help="Processor threads. More than 1 helps on an idle machine only.", min=1),
]
EngineSpec = Annotated[
    str,
    typer.Option(
        "--engine",
        help="Where to compute: local, processes:N, ray or ray:N (N workers, --threads each). No result depends on it.",
        metavar="SPEC",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        help="With --engine ray: a cluster that runs already (auto, HOST:PORT). Default: Ray on this machine alone.",
        metavar="ADDRESS",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        help="In which the base classifier computes: float32, bfloat16 or int8 (calibrated on noisy training inputs). "
        "The certificate is for that one.",
    ),
]
PrecisionOrAuto = Annotated[
    str,
    typer.Option(
        "--precision",
        help="In which the base classifier computes: float32, bfloat16 or int8 (calibrated on noisy training inputs), "
        "or auto: that of the run where there is one, otherwise the faster one of float32 and bfloat16, measured where "
        "there is much to do. The certificate is for that one.",
    ),
]
BackendName = Annotated[
    str,
    typer.Option(
        "--backend",
        help="What computes the logits: torch, torch-optimized, torch-compiled, openvino, onnxruntime. auto: that of "
        "the run where there is one, torch where it takes half a minute at most, otherwise the fastest in a short "
        "burst. The certificate is for that one.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines; no progress.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
Radii = Annotated[
    str | None,
    typer.Option("--radii", help="Radii at which to state certified accuracy, as in 0,.25,.5.", metavar="R,R,..."),
]


def check_bundle_name(out: Path) -> None:
    """Raise UsageError unless a bundle can be written under this name, StorageError if it would lie in a run."""
    from holdfast.outputs import check_place

    if out.suffix != ".safetensors":
        raise UsageError(f"--out names a .safetensors file, got {out}")
    check_place(out)
