"""`holdfast plan`: the largest radius that n, alpha and the noise can certify, and how long sampling takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli import options
from holdfast.errors import UsageError
from holdfast.models.precision import AUTO, FLOAT32
from holdfast.store.samples import chosen as subset_of
from holdfast.terminal import console
from holdfast.workflows.plan import attainable, measured_speed
from holdfast.workflows.question import Question
from holdfast.workflows.setup import Setup, warn_of_class_order
from holdfast.workflows.specs import open_data_spec, parse_batch_size, parse_drawn, parse_noise

if TYPE_CHECKING:
    from collections.abc import Mapping


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan")(plan_command)


def plan_command(
    noise: options.NoiseSpec = None,
    denoiser: options.Denoiser = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Model whose speed to measure in a short burst.", metavar="SPEC"),
    ] = None,
    data: options.DataSpec = "digits",
    split: options.Split = "test",
    every: options.Every = 1,
    limit: options.Limit = None,
    sample: options.SampleSpec = None,
    n0: options.Selection = 100,
    n: options.Samples = 10_000,
    alpha: options.Alpha = 0.001,
    bounds: options.Bounds = "split",
    batch_size: options.BatchSize = "auto",
    device: options.Device = "cpu",
    threads: options.Threads = 1,
    precision: options.PrecisionOrAuto = "float32",
    backend: options.BackendName = "auto",
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Print the largest radius that can be certified, warn when there is none, and estimate the time.

    Nothing is sampled: give --model to measure its speed in a short burst. `--precision auto` and `--backend auto` pick
    what `holdfast certify` would pick.
    """
    setup = (
        None
        if model is None
        else Setup.load(
            model, data, noise, split, device, FLOAT32 if precision == AUTO else precision, denoiser=denoiser
        )
    )
    if setup is None and noise is None:
        raise UsageError("a plan needs --noise, or --model with the noise it was trained for")
    chosen = setup.noise if setup else parse_noise(str(noise))
    examples = setup.data if setup else open_data_spec(data, split)
    chosen.check_inputs(examples.shape, examples.low, examples.high)
    drawn = parse_drawn(sample)
    warn_of_class_order(examples, every, limit, drawn)
    rule = Question(n0, n, alpha, bounds).estimator("auto", chosen, examples.shape)
    document = attainable(chosen, examples, rule)
    document["examples"] = len(subset_of(len(examples), every, limit, drawn))
    document["n0"] = 0 if rule.exhaustive else n0
    document["samples"] = document["examples"] * (document["n0"] + rule.most_draws)
    if setup:
        if not (json or quiet):
            console.note(f"measuring how fast {model} is here")
        place = setup.builder(device, threads)
        if precision == AUTO:
            found = place.speeds(backend, setup.data[0], document["samples"])
            place = replace(place, precision=FLOAT32 if found is None else found.faster)
        document["precision"] = place.precision
        classifier = place.chosen(backend, setup.data[0], document["samples"])
        speed = measured_speed(setup, classifier, parse_batch_size(batch_size), device, threads)
        document |= {**speed, "seconds": document["samples"] / speed["samples_per_second"]}
    if json:
        console.print_json(document)
    else:
        _print(document)


def _print(document: Mapping[str, Any]) -> None:
    from holdfast.analysis import formats
    from holdfast.stats.rounding import show_down
    from holdfast.types import Norm

    radius = document["largest_radius"]
    console.say(f"{document['noise']}, n = {document['n']:,}, alpha = {document['alpha']:g}")
    if radius is None:
        console.warn(
            f"nothing can be certified: even if all {document['n']} votes agree, p_lower is "
            f"{show_down(document['best_p_lower'], 3)}, and more than 0.5 is needed. "
            f"At this alpha n must be at least {document['least_n']}"
        )
    else:
        norm = Norm(document["norm"])
        most = formats.with_unit(norm, formats.radius(norm, radius))
        console.say(
            f"  at most: {norm.value} radius {most}, where all votes agree "
            f"(p_lower = {show_down(document['best_p_lower'], 6)})"
        )
    if document["information_bits"] is not None:
        console.say(
            f"  information: a noisy copy holds {document['information_bits']:,.0f} of the {document['input_bits']:,} "
            "bits of a uniformly distributed 8-bit input"
        )
    console.say(
        f"  work: {document['examples']:,} examples x ({document['n0']:,} + {document['n']:,}) = "
        f"{document['samples']:,} samples"
    )
    if "seconds" in document:
        console.say(
            f"  time: about {_duration(document['seconds'])}, at {document['samples_per_second']:,.0f} samples/s "
            f"measured in a burst with batches of {document['batch_size']} on the backend {document['backend']} in "
            f"{document['precision']}"
        )
    else:
        console.say("  time: give --model to have the speed measured")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
