"""The numbers of a finished run for a page, each with its interval, and the words that describe its settings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.analysis.accuracy import certified_correctly, median_interval
from holdfast.analysis.accuracy import median_among_certified as _median_among_certified
from holdfast.analysis.charts import MOST_STEPS
from holdfast.analysis.charts import picture as curve_picture
from holdfast.analysis.curves import curves
from holdfast.analysis.summaries import summarize
from holdfast.models.precision import FLOAT32
from holdfast.reproductions.pages import Measured
from holdfast.spelling import with_fractions
from holdfast.stats.datasets import DEFAULT_CONFIDENCE, proportion
from holdfast.store.subsets import which

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.reproductions.results import Answered, Trained

SMOKE = "This is a smoke run: it shows that everything works, and its numbers mean nothing."
UNTRAINED = (
    "Pipeline check, not a result: the base classifiers have random weights, and the numbers show only that the code "
    "runs on such images."
)
OTHER_NETWORK = "The published figures are for orientation, without differences: they are for another network."
# The run with its own bounds, and with bounds on all classes from the same votes.
COLUMNS = ("here", "same votes, split")
# In MNIST and in CIFAR-10.
_TEST_IMAGES = 10_000


def accuracy(run: CertifiedRun) -> Measured:
    """The share of unchanged images that the smoothed classifier answers correctly."""
    return Measured.share(summarize(run, ()).accuracy)


def abstentions(run: CertifiedRun) -> Measured:
    """The share of unchanged images on which the smoothed classifier abstains."""
    return Measured.share(summarize(run, ()).abstention_rate)


def median(run: CertifiedRun) -> Measured:
    """The median certified radius in pixels, with an interval for the median of all images of this kind."""
    lower, upper = median_interval(run.results, run.alpha)
    return Measured(summarize(run, ()).median_certified_radius, "pixels", lower, upper, True)


def median_among_certified(run: CertifiedRun) -> Measured:
    """The median radius of the images certified for their true class, in pixels.

    Its interval is for the median of all images that this procedure certifies so. It covers the sampling of images
    alone: of the certified ones, more than a share alpha may be certified falsely.
    """
    certified = certified_correctly(run.results)
    lower, upper = median_interval(certified, 0.0) if certified else (None, None)
    return Measured(_median_among_certified(run.results), "pixels", lower, upper, True)


def clean(answers: Answered) -> Measured:
    """The share of images that a classifier answers correctly without noise."""
    return Measured.share(proportion(answers.right, answers.examples))


def share_of(hits: int, examples: int) -> Measured:
    """A share of examples with its exact interval; N/A without any."""
    return Measured.share(proportion(hits, examples)) if examples else Measured(None, "share", interval=True)


def certified(run: CertifiedRun, radii: Sequence[float]) -> list[Measured]:
    """Certified accuracy at each radius."""
    shares = summarize(run, radii).certified_accuracy
    return [Measured.share(shares[radius]) for radius in radii]


def drawn(run: CertifiedRun, name: str, beside: str | None = None) -> CertifiedRun:
    """The run as a chart shows it: under another name, with or without published figures.

    Args:
        run: finished.
        name: in the legend.
        beside: the kind of its data, to mark the published figures for the same noise; None for no marks. A copy of a
            data set need not have the class names of the original.
    """
    classes = tuple(str(label) for label in range(len(run.data.class_names)))
    data = replace(run.data, source=beside or "", class_names=classes)
    return replace(
        run, run=replace(run.run, folder=run.folder.parent / name, manifest=replace(run.manifest, data=data))
    )


def picture(runs: Sequence[CertifiedRun]) -> str:
    """The curves of runs, as SVG text."""
    return curve_picture(curves(runs, MOST_STEPS))


def settings(run: CertifiedRun, model: Trained) -> str:
    """The settings of a run in one sentence: model, training, images and samples."""
    manifest, data = run.manifest, run.data
    chosen = "a random sample" if data.sample else which([result.index for result in run.results], data.size)
    count = f"{len(run.results):,} of {data.size:,} test images{f' ({chosen})' if chosen else ''}"
    trained_for = "" if model.noise == run.method else f", trained for {model.noise}"
    return (
        f"{training(model)}{trained_for}; {count}; n0 = {manifest.n0:,}, n = {run.estimator.most_draws:,}, "
        f"alpha = {run.alpha:g}; {manifest.precision}"
    )


def training(model: Trained) -> str:
    """Architecture and training, in a few words."""
    made = model.training
    if made.get("recipe") == "untrained":
        return f"{model.architecture}, untrained"
    if made.get("recipe") == "imported":
        return f"{model.architecture}, weights of {made.get('file', 'others')}"
    if made.get("recipe") == "given":
        return f"{model.architecture}, as given in {made.get('file', 'a file')}"
    copies = made.get("noise_copies", 1)
    several = "" if copies == 1 else f" x {copies} noisy copies"
    recipe = "" if made.get("recipe") == "noise" else f", {with_fractions(str(made.get('recipe')))}"
    epochs = made["epochs"]
    passes = f"{epochs} epoch{'' if epochs == 1 else 's'} on {made['data']['size']:,} images"
    precision = made.get("precision", FLOAT32)
    computed = "" if precision == FLOAT32 else f", in {precision}"
    return f"{model.architecture}, {passes}{several}{recipe}{computed}"


def under_noise(model: Trained, part: str, confidence: float = DEFAULT_CONFIDENCE) -> Measured:
    """An accuracy of the base classifier on noisy images, as recorded in its training.

    Args:
        model: the base classifier.
        part: "training" for the running mean of the last epoch, or "held_out".
        confidence: of the interval.
    """
    if part == "training":
        count = model.training["data"]["size"]
    else:
        # Older files, which do not record the number, classified all test images.
        count = model.training.get("held_out_images", _TEST_IMAGES)
    share = float(model.training[f"{part}_accuracy_under_noise"])
    return Measured.share(proportion(round(share * count), count, confidence))
