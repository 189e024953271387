"""`holdfast plan`: the largest radius that n, alpha and the noise can certify, and what a question is going to cost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli import options
from holdfast.errors import UsageError
from holdfast.models.precision import AUTO, FLOAT32
from holdfast.store.samples import chosen as subset_of
from holdfast.terminal import console
from holdfast.workflows.plan import Asked, assumption, attainable, measured_speed, pilot
from holdfast.workflows.question import Question
from holdfast.workflows.setup import Setup, warn_of_class_order
from holdfast.workflows.specs import (
    open_data_spec,
    parse_batch_size,
    parse_drawn,
    parse_noise,
    parse_probabilities,
    parse_radii,
    parse_share,
)

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
    until_radius: options.UntilRadius = None,
    until_precision: options.UntilPrecision = None,
    estimator: options.EstimatorName = "auto",
    probabilities: Annotated[
        str | None,
        typer.Option(
            "--probabilities",
            help="Assumed probabilities of the top class, as in .6,.9,.99, or their distribution, as in beta:8,1.",
            metavar="P,P,...",
        ),
    ] = None,
    pilot_size: Annotated[
        int | None,
        typer.Option(
            "--pilot",
            help="In their place: sample this many examples a little, with noise that no run has.",
            min=2,
            metavar="N",
        ),
    ] = None,
    simulate: Annotated[
        int, typer.Option("--simulate", help="Inputs to simulate for each estimator.", min=2, max=100_000, metavar="N")
    ] = 200,
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

    With --until-radius or --until-precision it states the samples that each estimator is expected to take, by
    simulation from --probabilities or from a --pilot, whose votes are never used again.
    """
    question = Question(
        n0,
        n,
        alpha,
        bounds,
        () if until_radius is None else tuple(parse_radii(until_radius)),
        None if until_precision is None else parse_share(until_precision),
    )
    asks = bool(question.radii) or question.precision is not None
    top = None if probabilities is None else parse_probabilities(probabilities)
    if asks == (top is None and pilot_size is None) or (top is not None and pilot_size is not None):
        raise UsageError(
            "how many samples a question takes depends on the inputs: give --until-radius or --until-precision "
            "together with either --probabilities or --pilot"
        )
    if pilot_size is not None and model is None:
        raise UsageError("a pilot samples a model: give --model")
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
    indices = subset_of(len(examples), every, limit, drawn)
    asked = Asked.of(question, estimator, chosen, examples.shape) if asks else None
    rule = replace(question, radii=(), precision=None).estimator("auto", chosen, examples.shape)
    document = attainable(chosen, examples, rule)
    document["examples"] = len(indices)
    document["n0"] = 0 if rule.exhaustive else n0
    document["samples"] = document["examples"] * (document["n0"] + rule.most_draws)
    votes = None
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
        if pilot_size is not None:
            votes = pilot(setup, classifier, indices, pilot_size, device, speed["batch_size"], threads)
    if asked is not None:
        if not (json or quiet):
            console.note(f"simulating {simulate} inputs for each estimator")
        classes = len(examples.class_names)
        document |= asked.answered(document, assumption(top, votes, classes, simulate))
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
    if "questions" in document:
        _print_questions(document)


def _print_questions(document: Mapping[str, Any]) -> None:
    """A line for each question and estimator: samples of an example, of all, the time, and what is certified."""
    from holdfast.analysis import formats
    from holdfast.types import Norm

    assumed = document["assumed"]
    basis = (
        f"a pilot of {assumed['examples']} examples, {assumed['samples']:,} samples, which no run uses"
        if assumed["by"] == "pilot"
        else f"{len(assumed['probabilities'])} assumed probabilities of the top class, and one rival with the rest"
    )
    console.say(f"  expected samples, by simulation of {document['simulated']:,} inputs from {basis}:")
    rows = []
    for part in document["questions"]:
        for place, each in enumerate(part["estimators"]):
            error = f" \u00b1 {each['error']:,.0f}" if each["error"] else ""
            seconds = "-" if each["seconds"] is None else _duration(each["seconds"])
            shares = ", ".join(f"{formats.percent(share, 0)}%" for share in each["certified"].values())
            found = shares or formats.mean_radius(Norm(document["norm"]), each["mean_radius"])
            question = "" if place else _question(part)
            rows.append([question, each["estimator"], f"{each['samples']:,.0f}{error}", seconds, found])
    console.print_table(["question", "estimator", "samples each", "time", "finds"], rows)
    console.say(
        "  \u00b1 one standard error. finds: the share certified at each radius, or the mean radius. "
        f"The time has {document['n0']:,} samples more for each example, which select, and that of the bounds"
    )


def _question(part: Mapping[str, Any]) -> str:
    parts = [f"r = {', '.join(f'{radius:g}' for radius in part['radii'])}"] if part["radii"] else []
    return ", ".join([*parts, *([] if part["precision"] is None else [f"within {100 * part['precision']:.3g}%"])])


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
