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
        help=f"Data set: {SOURCES}; or a path alone, as in table.csv. All take classes=N|FILE and split=all.",
        metavar="SPEC",
    ),
]
NoiseSpec = Annotated[
    str | None,
    typer.Option(
        "--noise",
        help=f"Smoothing noise: {NOISES}. Default: the noise of the model.",
        metavar="SPEC",
    ),
]
# Written out, since the sources of models need torch, and help does not.
MODEL_HELP = "Model: .safetensors, .onnx, .pt2, .skops, python:FILE.py:NAME, hf:DIR, timm:NAME, torchscript:FILE."
ModelSpec = Annotated[str, typer.Option("--model", help=MODEL_HELP, metavar="SPEC")]
Denoiser = Annotated[
    str | None,
    typer.Option(
        "--denoiser",
        help="Denoiser in front of the model, smoothed with it: ffdnet:FILE,level=SIGMA, or a model.",
        metavar="SPEC",
    ),
]
Split = Annotated[str, typer.Option("--split", help="Split of the data set: test or train.")]
Alpha = Annotated[float, typer.Option("--alpha", help="Failure probability of each certificate.")]
Bounds = Annotated[
    str,
    typer.Option("--bounds", help="Class bounds: split (every class) or cohen (top class only, as in the papers)."),
]
UntilRadius = Annotated[
    str | None,
    typer.Option(
        "--until-radius",
        help="Stop sampling an input once these radii are certified or out of reach, as in 0,.25,.5.",
        metavar="R,R,...",
    ),
]
UntilPrecision = Annotated[
    str | None,
    typer.Option(
        "--until-precision",
        help="Stop sampling an input once its radius is this close to what all --n would give, as in 5%.",
        metavar="SHARE",
    ),
]
EstimatorName = Annotated[
    str,
    typer.Option(
        "--estimator",
        help="How votes become bounds: auto, fixed, looks, bets, eprocess (one radius) or exact.",
    ),
]
Samples = Annotated[int, typer.Option("--n", help="Samples for each input that estimate the class bounds.")]
Selection = Annotated[int, typer.Option("--n0", help="Samples for each input that select its top class.")]
Every = Annotated[
    int, typer.Option("--every", help="Take one example in this many, from the first on.", min=1, metavar="N")
]
Limit = Annotated[int | None, typer.Option("--limit", help="Take at most this many examples.", min=1, metavar="N")]
SampleSpec = Annotated[
    str | None,
    typer.Option(
        "--sample",
        help="Take N examples at random, in the place of --every and --limit. The seed is 0 and is recorded.",
        metavar="N[:SEED]",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", help="Seed of all noise. Default: a fresh one, which is recorded.", min=0, metavar="N"),
]
PromiseOnly = Annotated[
    bool,
    typer.Option("--promise-only", help="Write the manifest, print its digest, and stop before any sampling."),
]
PromiseDigest = Annotated[
    str | None,
    typer.Option(
        "--promise", help="Stop unless the manifest in --out has this digest, as published.", metavar="DIGEST"
    ),
]
Nonce = Annotated[
    str | None,
    typer.Option(
        "--nonce",
        help="Derive the seed from the manifest and this auditor's nonce; `later` with --promise-only.",
        metavar="HEX",
    ),
]
BatchSize = Annotated[
    str,
    typer.Option("--batch-size", help="Noisy copies in a batch, or auto for the fastest size. It changes no result."),
]
Device = Annotated[str, typer.Option("--device", help="Device that computes: cpu, cuda or cuda:N.")]
Threads = Annotated[
    int,
    typer.Option("--threads", help="Processor threads. More than 1 helps only on an idle machine.", min=1, metavar="N"),
]
EngineSpec = Annotated[
    str,
    typer.Option(
        "--engine",
        help="Where to compute: local, processes:N, ray or ray:N (N workers). It changes no result.",
        metavar="SPEC",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        help="With --engine ray: a running cluster (auto, HOST:PORT). Default: Ray on this machine only.",
        metavar="ADDRESS",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        help="Precision of the base classifier: float32, bfloat16 or int8. The result holds for it only.",
    ),
]
PrecisionOrAuto = Annotated[
    str,
    typer.Option(
        "--precision",
        help="Precision of the base classifier: float32, bfloat16, int8, or auto (the faster of the first two).",
    ),
]
BackendName = Annotated[
    str,
    typer.Option(
        "--backend",
        help="What computes the logits: auto, torch, torch-optimized, torch-compiled, openvino, onnxruntime.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and no progress.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Radii = Annotated[
    str | None,
    typer.Option("--radii", help="Radii at which to report certified accuracy, as in 0,.25,.5.", metavar="R,R,..."),
]


def check_bundle_name(out: Path) -> None:
    """Raise UsageError unless a bundle can be written under this name, StorageError if it would lie in a run."""
    from holdfast.outputs import check_place

    if out.suffix != ".safetensors":
        raise UsageError(f"--out names a .safetensors file, got {out}")
    check_place(out)
