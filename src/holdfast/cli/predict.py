"""`holdfast predict`: the smoothed classifier's class for each input, or abstention."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli import options
from holdfast.errors import UsageError
from holdfast.terminal import console
from holdfast.workflows.attack import NO_NOISE
from holdfast.workflows.predict import answers, plain_answers
from holdfast.workflows.setup import Setup, check_answers, fitted_model
from holdfast.workflows.specs import open_data_spec, parse_batch_size, parse_drawn, parse_engine

if TYPE_CHECKING:
    from holdfast.store.subsets import Subset
    from holdfast.types import Prediction
    from holdfast.workflows.predict import Answers


_SAMPLES, _ALPHA = 1_000, 0.001


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predict")(predict_command)


def predict_command(
    model: options.ModelSpec,
    data: options.DataSpec = "digits",
    noise: options.NoiseSpec = None,
    denoiser: options.Denoiser = None,
    split: options.Split = "test",
    every: options.Every = 1,
    limit: options.Limit = None,
    sample: options.SampleSpec = None,
    n: options.Samples = _SAMPLES,
    alpha: options.Alpha = _ALPHA,
    fixed: Annotated[
        bool, typer.Option("--fixed", help="Take all --n samples and decide once, as Cohen et al. 2019 do.")
    ] = False,
    seed: options.Seed = None,
    batch_size: options.BatchSize = "auto",
    device: options.Device = "cpu",
    threads: options.Threads = 1,
    engine: options.EngineSpec = "local",
    ray_address: options.RayAddress = None,
    precision: options.Precision = "float32",
    backend: options.BackendName = "auto",
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Predict with the smoothed classifier. It abstains where the top two classes cannot be told apart at alpha.

    Sampling of an input stops as soon as its answer is clear; --n is the largest number of samples. With `--noise none`
    the model answers alone: its clean accuracy.
    """
    from holdfast.analysis import choices
    from holdfast.store.seeds import CHOSEN, ENTROPY

    if noise == NO_NOISE:
        _refuse_sampling(n, alpha, fixed, seed, threads, engine, ray_address, precision, backend)
        _predict_alone(model, denoiser, data, split, every, limit, sample, device, batch_size, json, quiet)
        return
    setup = Setup.load(model, data, noise, split, device, precision, denoiser=denoiser)
    where = parse_engine(engine, ray_address, device, parse_batch_size(batch_size), threads)
    with console.count_progress(f"predict {Path(model).name}", json or quiet) as show:
        found = answers(
            setup,
            every,
            limit,
            n,
            alpha,
            where,
            fixed=fixed,
            seed=seed,
            backend=backend,
            sample=parse_drawn(sample),
            on_done=show,
        )
    if json:
        console.print_json(
            {
                "noise": str(setup.noise),
                "n": found.rule.n,
                "alpha": 0.0 if found.rule.exhaustive else alpha,
                "seed": found.seed,
                "seed_origin": ENTROPY if seed is None else CHOSEN,
                "precision": precision,
                "backend": found.backend,
                "subset": found.subset.words,
                "predictions": [
                    {"index": example.index, "true_label": example.label, **_document(each)}
                    for example, each in zip(found.examples, found.predictions, strict=True)
                ],
            }
        )
        return
    _print(found, setup)
    free = [] if seed is None or found.rule.exhaustive else [choices.SEED]
    note = choices.caution([*free, *([choices.SUBSET] if len(found.examples) < len(setup.data) else [])], "call")
    if note is not None:
        console.say(note)


def _document(prediction: Prediction) -> dict[str, Any]:
    """A prediction for machines; the command has no deadline that could cut it."""
    return {name: value for name, value in asdict(prediction).items() if name != "cut"}


def _refuse_sampling(
    n: int,
    alpha: float,
    fixed: bool,
    seed: int | None,
    threads: int,
    engine: str,
    ray_address: str | None,
    precision: str,
    backend: str,
) -> None:
    """Raise UsageError for an option of sampling that is not at its default: a model alone is asked once."""
    for option, given, default in (
        ("--n", n, _SAMPLES),
        ("--alpha", alpha, _ALPHA),
        ("--fixed", fixed, False),
        ("--seed", seed, None),
        ("--threads", threads, 1),
        ("--engine", engine, "local"),
        ("--ray-address", ray_address, None),
        ("--precision", precision, "float32"),
        ("--backend", backend, "auto"),
    ):
        if given != default:
            raise UsageError(f"{option} would be ignored, since nothing is sampled without noise; leave it out")


def _predict_alone(
    model: str,
    denoiser: str | None,
    data: str,
    split: str,
    every: int,
    limit: int | None,
    sample: str | None,
    device: str,
    batch_size: str,
    json: bool,
    quiet: bool,
) -> None:
    """Print what the model answers without noise."""
    from holdfast.models.source import open_model
    from holdfast.sampling.devices import torch_device

    examples = open_data_spec(data, split)
    fitted = fitted_model(open_model(model, torch_device(device), denoiser=denoiser), examples, data)
    check_answers(fitted, examples.shape, None, examples)
    with console.count_progress(f"predict {Path(model).name}", json or quiet) as show:
        size, drawn = parse_batch_size(batch_size), parse_drawn(sample)
        found = plain_answers(fitted, examples, every, limit, device, size, drawn, show)
    correct = sum(label == example.label for example, label in zip(found.examples, found.labels, strict=True))
    if json:
        answers = zip(found.examples, found.labels, strict=True)
        console.print_json(
            {
                "noise": None,
                "subset": found.subset.words,
                "correct": correct,
                "predictions": [
                    {"index": each.index, "true_label": each.label, "label": label} for each, label in answers
                ],
            }
        )
        return
    names = fitted.classes
    rows = [
        (str(example.index), names[example.label], names[label])
        for example, label in zip(found.examples, found.labels, strict=True)
    ]
    console.print_table(("example", "true", "predicted"), rows)
    console.say(
        f"{_share(correct, len(rows), found.subset)}; {found.subset.words}. Without noise: nothing is certified"
    )


def _share(correct: int, count: int, subset: Subset) -> str:
    """How many are correct, with an interval."""
    from holdfast.stats.datasets import proportion

    share = proportion(correct, count)
    # Accuracy is no statement about alpha: unless the examples are a sample, the interval is about them alone.
    covered = "" if subset.sampled else ", for these examples alone"
    return (
        f"{correct} of {count} correct ({100 * share.value:.1f}%, 95% interval {100 * share.lower:.1f} to "
        f"{100 * share.upper:.1f}{covered})"
    )


def _print(found: Answers, setup: Setup) -> None:
    examples, predictions, subset = found.examples, found.predictions, found.subset
    names = setup.model.classes
    rows = [
        (
            str(example.index),
            names[example.label],
            "abstains" if each.label is None else names[each.label],
            f"{max(each.counts.votes)}/{each.counts.total}",
            "exact" if each.p_value is None else f"{each.p_value:.2g}",
        )
        for example, each in zip(examples, predictions, strict=True)
    ]
    console.print_table(("example", "true", "predicted", "top votes", "p-value"), rows)
    correct = sum(each.label == example.label for example, each in zip(examples, predictions, strict=True))
    abstained = sum(each.label is None for each in predictions)
    spent = sum(each.counts.total for each in predictions) / len(predictions)
    console.say(
        f"{_share(correct, len(examples), subset)}, {abstained} abstentions; {spent:,.0f} samples each on average; "
        f"{subset.words}"
    )
