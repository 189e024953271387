"""Cohen et al. 2019, Table 4: Predict with few samples, drawn from a certification's votes; and the time it takes."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from holdfast.analysis.projections import parted
from holdfast.analysis.published import figure
from holdfast.estimators import prediction
from holdfast.reproductions import measures
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.models import cifar_gaussian, cohen_run, imagenet_gaussian
from holdfast.reproductions.pages import Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import Model, Plan, Timing
from holdfast.reproductions.results import Finished
from holdfast.stats.datasets import proportion

if TYPE_CHECKING:
    from holdfast.analysis.runs import CertifiedRun

_SIGMA = 0.25
_ALPHA = 0.001
_SAMPLES = (100, 1_000, 10_000)
# Samples of an answer -> images to time. The paper states the time of 100 and of 10,000 samples.
_TIMED = {"smoke": {100: 2}, "small": {100: 10}, "full": {100: 100, 10_000: 20}}
_OUTCOMES = ("correct, accurate", "correct, inaccurate", "incorrect, accurate", "incorrect, inaccurate", "abstain")


def plan(scale: str, kind: str) -> Plan:
    """The model and the run of the tables for this sigma, and answers to time."""
    model = _model(scale, kind)
    timings = tuple(Timing(_timing(n), model.name, n, _ALPHA, limit) for n, limit in _TIMED[scale].items())
    return Plan((model,), (cohen_run(scale, model),), timings=timings)


def _timing(n: int) -> str:
    return f"predict-n{n}"


def _model(scale: str, kind: str) -> Model:
    return cifar_gaussian(scale, _SIGMA) if kind == "cifar10" else imagenet_gaussian(scale, _SIGMA)


def page(done: Finished) -> Page:
    """The table, for each number of samples that leaves votes to compare with."""
    (name,) = done.runs
    run = done.runs[name]
    made = measures.settings(run, done.model_of(name))
    cast = run.manifest.estimator["n"]
    sizes = [n for n in _SAMPLES if n < cast]
    found = {n: _outcomes(run, n) for n in sizes}
    groups = tuple(
        Group(
            f"n = {n:,}",
            made,
            tuple(
                Row(each, figure("Cohen", "Table 4", each, n=n), (Measured.share(proportion(found[n][each], total)),))
                for each in _OUTCOMES
            ),
        )
        for n in sizes
        for total in [len(run.results)]
    )
    same = done.kind == "imagenet"
    comparable = same and not done.pipeline_check
    abstained = [found[n]["abstain"] for n in sizes]
    return Page(
        title=f"Cohen et al. 2019, Table 4: Predict, on {done.kind}, scale {done.scale}",
        intro=(
            "Predict answers with n samples and abstains if the top two classes cannot be told apart at alpha = "
            "0.001. An answer is correct if it is the image's class, and accurate if it is that of the smoothed "
            "classifier. The n votes are drawn without replacement from the run's votes, which distributes them like "
            "n samples; the smoothed classifier's class is taken to be the one with most of the remaining votes.",
            *([] if same else ["The paper's figures are for ImageNet, and are shown for orientation."]),
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(
            Table("Table 4: answers with n samples", ("here",), groups, _left_out(cast), differences=comparable),
            _times(done),
        ),
        statements=(
            Statement.compared(
                "more samples abstain less",
                abstained == sorted(abstained, reverse=True),
                len(sizes) - 1,
                "two numbers of samples to compare",
            ),
            Statement.compared(
                "inaccurate answers, correct and incorrect ones, are each 1% or less",
                all(
                    found[n][each] <= 0.01 * len(run.results)
                    for n in sizes
                    for each in _OUTCOMES
                    if "inaccurate" in each
                ),
                len(sizes),
                "numbers of samples below the votes cast",
            ),
        ),
        warning=measures.UNTRAINED if done.pipeline_check else "",
    )


def _times(done: Finished) -> Table:
    """Seconds of an answer beside those of the paper; nothing is claimed about them."""
    groups = []
    for each in done.timed.values():
        table = "Sec. 4" if each.n == _SAMPLES[0] else "Appendix E.2"
        printed = figure("Cohen", table, "seconds per image", "ImageNet", method="Predict", n=each.n)
        found = Measured(median(each.seconds), "seconds", min(each.seconds), max(each.seconds), True, 3)
        rows = (Row("seconds per image", printed, (found,)),)
        groups.append(Group(f"n = {each.n:,}", f"{len(each.seconds)} images, one at a time; {each.machine}", rows))
    note = (
        "Median, with the smallest and the largest time in brackets. The paper's times are for ResNet-50 on its "
        "authors' hardware: another machine, so no differences are shown, and nothing is concluded from the times."
    )
    return Table("Time of Predict", ("here",), tuple(groups), (note,), differences=False)


def _outcomes(run: CertifiedRun, n: int) -> Counter[str]:
    """Count the outcomes of Predict with n of the votes."""
    generator = np.random.default_rng(n)
    found: Counter[str] = Counter()
    for result in run.results:
        if result.certificate is None:
            continue
        drawn, remaining = parted(result.certificate.estimation, n, generator)
        answer = prediction(drawn, _ALPHA).label
        if answer is None:
            found["abstain"] += 1
            continue
        correct = "correct" if answer == result.label else "incorrect"
        found[f"{correct}, {'accurate' if answer == remaining.top else 'inaccurate'}"] += 1
    return found


def _left_out(cast: int) -> tuple[str, ...]:
    missing = [f"{n:,}" for n in _SAMPLES if n >= cast]
    if not missing:
        return ()
    return (f"Not shown: n = {', '.join(missing)}, since the run cast {cast:,} votes for each image.",)


STUDY = register(
    Study(
        name="cohen-predict",
        title="Cohen et al. 2019, Table 4: Predict with few samples, and its time",
        data=("imagenet", "cifar10"),
        cost={
            "smoke": "1 minute",
            "small": "5 minutes with random weights (ImageNet), 1 hour on a core (CIFAR-10)",
            "full": "days on GPUs",
        },
        plan=plan,
        page=page,
        items=("C57", "C58"),
    )
)
