"""Levine & Feizi 2020 compared with Lee et al. 2019: equations 20 and 21 computed, Table 7 and footnote 2."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING

from holdfast.analysis.accuracy import median_certified_radius, median_interval
from holdfast.analysis.published import figure
from holdfast.noises.ablation import Ablation, delta
from holdfast.noises.channel_flip import ChannelFlip, channel_radius
from holdfast.noises.uniform_flip import UniformFlip, threshold
from holdfast.reproductions import measures, recertified
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.models import (
    imagenet_ablation,
    imagenet_ablation_run,
    imagenet_gaussian,
    mnist,
    mnist_run,
)
from holdfast.reproductions.pages import Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import Model, Plan
from holdfast.reproductions.results import Finished
from holdfast.stats.rounding import float_above

if TYPE_CHECKING:
    from holdfast.analysis.published import PublishedFigure
    from holdfast.analysis.runs import CertifiedRun

# An ImageNet image; each colour channel counts as a pixel, as in Lee et al.
_VALUES = 3 * 224 * 224
_LEVELS = 256
_KAPPA = 0.1
# Lee et al. on MNIST: black and white pixels, kept with this probability.
_LEE = "uniform-flip:kappa=0.8,levels=2"
# On ImageNet each channel apart, at the kappa of the example.
_LEE_IMAGENET = f"channel-flip:kappa={_KAPPA}"
_PIXELS = 224 * 224
_DATASETS = {"mnist": "MNIST", "imagenet": "ImageNet"}
_TITLES = {
    "MNIST": "Lee et al., kappa = 0.8, black and white",
    "ImageNet": f"Lee et al., kappa = {_KAPPA}, each channel apart",
}
_KEPT = {"MNIST": 45, "ImageNet": 1000}


def plan(scale: str, kind: str) -> Plan:
    """Ablation and uniform flips at the procedure of Levine & Feizi, and ablation again at that of Lee et al."""
    if kind == "imagenet":
        own, lee = imagenet_ablation(scale, 1000), _imagenet_lee(scale)
        runs = [imagenet_ablation_run(scale, model) for model in (own, lee)]
    else:
        own, lee = mnist(scale, "ablation:k=45", "k45"), mnist(scale, _LEE, "lee", options="levels=2")
        runs = [mnist_run(scale, model) for model in (own, lee)]
    return Plan((own, lee), (*runs, recertified.again(scale, kind, own)))


def _imagenet_lee(scale: str) -> Model:
    """ResNet-50 for flips of channels. The paper's text fixes neither its training nor kappa."""
    # Resized crops are cut from whole images, as 8-bit values: on the levels that are flipped.
    return replace(imagenet_gaussian(scale, 0.25), name="imagenet-lee", noise=_LEE_IMAGENET)


def page(done: Finished) -> Page:
    """The equations and, with data, the medians."""
    equations, more = _equations()
    dataset = _DATASETS[done.kind or "mnist"]
    tables = [equations, _changes()]
    information = "ablation keeps over twice the information of uniform flips at this size"
    statements = [Statement(information, more > 2.0, regardless=True)]
    if done.runs:
        own, lee = _runs(done)
        again = done.runs[recertified.name_of(own.name)]
        tables += [_medians(done), recertified.table(done, own, again, _published(dataset, "randomized ablation"))]
        statements += _statements(dataset, own, lee, again)
    measured = (
        f"Table 7 on {dataset}: Lee et al. change values at random, so that the base classifier does not know which "
        "ones were kept. Footnote 2: ablation again, with as many samples and the alpha of Lee et al."
        if done.runs
        else "Table 7 needs data: give mnist:DIR or imagenet:DIR to train and certify with both noises."
    )
    return Page(
        title=f"Levine & Feizi 2020 and Lee et al. 2019, scale {done.scale}",
        intro=(
            "The information that randomized ablation and uniform flips of pixels leave of an image, if both certify "
            "one pixel at the same probability of the top class. Computed, without data.",
            measured,
            *([measures.SMOKE] if done.scale == "smoke" and done.runs else []),
            *done.notes,
        ),
        tables=tuple(tables),
        statements=tuple(statements),
        notes=(_procedure(done),) if done.runs else (),
        warning=measures.UNTRAINED if done.pipeline_check else "",
    )


def _published(dataset: str, method: str) -> PublishedFigure:
    return figure("Levine", "Table 7", "median certified robustness", dataset, method=method)


def _runs(done: Finished) -> tuple[CertifiedRun, CertifiedRun]:
    """The run with ablation and the one with flips."""
    first, second = ("imagenet-k1000", "imagenet-lee") if done.kind == "imagenet" else ("mnist-k45", "mnist-lee")
    return done.runs[first], done.runs[second]


def _procedure(done: Finished) -> str:
    """How both runs certify, from their manifests."""
    _, run = _runs(done)
    trained = (
        "Both use the network and the training of the ablation."
        if done.kind != "imagenet"
        else "The text gives neither kappa nor the training of Lee et al. on ImageNet: kappa is that of its example, "
        f"{_KAPPA}."
    )
    return (
        f"Both are certified by the procedure of Levine & Feizi, here with n0 = {run.manifest.n0:,}, "
        f"n = {run.estimator.most_draws:,} and alpha = {run.alpha:g} (in the paper 1,000, 10,000 and 0.05). Lee et al. "
        f"use n0 = 100, n = 100,000 and alpha = {recertified.ALPHA:g}; the paper found that this leaves the medians "
        f"unchanged. {trained}"
    )


def _statements(dataset: str, own: CertifiedRun, lee: CertifiedRun, again: CertifiedRun) -> list[Statement]:
    """That ablation certifies more, and that other samples leave its median as it is."""
    medians = [measures.median(run).value for run in (lee, own)]
    known = sum(median is not None for median in medians)
    larger = (-1.0 if medians[1] is None else medians[1]) > (-1.0 if medians[0] is None else medians[0])
    before, after = measures.median(recertified.same_images(own, again)).value, measures.median(again).value
    return [
        Statement.compared(f"ablation has the larger median on {dataset}", larger, known, "medians"),
        Statement.compared(
            "the samples and the alpha of Lee et al. leave the median of ablation unchanged",
            before == after,
            sum(median is not None for median in (before, after)),
            "medians",
        ),
    ]


@lru_cache
def _equations() -> tuple[Table, float]:
    """The equations as published and as computed, and how many times more information ablation keeps."""
    needed = threshold(Fraction(1, 10), _LEVELS - 1, 1)
    kept = _largest_k(needed)
    bits = Ablation(kept).information((_VALUES,), _LEVELS)
    flipped = UniformFlip(_KAPPA, _LEVELS).information((_VALUES,), _LEVELS)
    rows = (
        Row(
            "p for 1 pixel, Lee",
            figure("Levine", "Discussion", "required p_i", kappa=_KAPPA),
            (Measured(float(needed), "probability", digits=3),),
        ),
        Row("k at this p", figure("Levine", "Discussion", "largest k"), (Measured(float(kept), "", digits=0),)),
        Row("ablation (Eq. 20)", figure("Levine", "Eq. 20", "mutual information"), (Measured(bits, "bits", digits=1),)),
        Row("Lee (Eq. 21)", figure("Levine", "Eq. 21", "mutual information"), (Measured(flipped, "bits", digits=1),)),
    )
    note = (
        f"For {_VALUES:,} values of {_LEVELS} levels each, kappa = {_KAPPA}. Information in bits about a uniformly "
        "distributed image. Exact, so there are no intervals."
    )
    return Table("Discussion, Equations 20 and 21", ("here",), (Group("", "", rows),), (note,)), bits / flipped


def _largest_k(p: Fraction) -> int:
    """The largest number of kept values for which probability p certifies one changed value."""
    low, high = 1, _VALUES
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if p - delta(_VALUES, middle, 1) > Fraction(1, 2) else (low, middle - 1)
    return low


@lru_cache
def _changes() -> Table:
    """What certifying one change takes, where channels are counted and where pixels are."""
    kappa, channels = Fraction(1, 10), _VALUES // _PIXELS
    own = _published("ImageNet", "randomized ablation").value or 0.0
    rows = (
        Row("one channel", None, (_probability(threshold(kappa, _LEVELS - 1, 1)),)),
        Row("one pixel: 3 channels", None, (_probability(threshold(kappa, _LEVELS - 1, channels)),)),
        Row("one pixel, kept whole", None, (_probability(threshold(kappa, _LEVELS**channels - 1, 1)),)),
    )
    note = (
        f"The probability of the top class above which flips with kappa = {_KAPPA} certify one change of an ImageNet "
        "image. Lee et al. keep or change each colour channel apart and count channels: their radius of 1 is no whole "
        "pixel, since a changed pixel may change three channels. The last row is for flips that keep or change the "
        f"channels of a pixel together, and counts pixels, as ablation does: its radius of {own:.0f} pixels covers "
        f"{channels * own:.0f} channels if they lie in {own:.0f} pixels, and {own:.0f} wherever they lie. Exact."
    )
    return Table("What one change is", ("p needed",), (Group("", "", rows),), (note,))


def _probability(p: Fraction) -> Measured:
    return Measured(float_above(p), "probability", digits=4)


def _in_channels(run: CertifiedRun) -> Measured:
    """The median number of channels certified, which Lee et al. count; from the same votes."""
    noise = run.noise
    if not isinstance(noise, ChannelFlip):
        raise TypeError(f"channels are counted for flips of channels, and {run.name} has {run.method}")
    values = prod(run.data.shape)
    results = [
        result
        if result.certificate is None or result.predicted is None
        else replace(result, radius=float(channel_radius(noise, result.certificate.bounds, values) or 0))
        for result in run.results
    ]
    lower, upper = median_interval(results, run.alpha)
    return Measured(median_certified_radius(results), "pixels", lower, upper, True)


def _medians(done: Finished) -> Table:
    dataset = _DATASETS[done.kind or "mnist"]
    own, lee = _runs(done)
    groups = []
    for title, run, method in (
        (_TITLES[dataset], lee, "Lee et al. 2019"),
        (f"ablation, k = {_KEPT[dataset]}", own, "randomized ablation"),
    ):
        published = _published(dataset, method)
        by_channel = run is lee and dataset == "ImageNet"
        rows = [
            Row("median", None if by_channel else published, (measures.median(run),)),
            Row("accuracy", None, (measures.accuracy(run),)),
        ]
        if by_channel:
            rows.insert(0, Row("median, in channels", published, (_in_channels(run),)))
        groups.append(Group(title, measures.settings(run, done.model_of(run.name)), tuple(rows)))
    note = (
        "The published medians are for the best of several settings in each paper, that of Lee et al. with its own "
        "network and training. They are shown for orientation."
    )
    return Table(f"Table 7: medians in pixels, {dataset}", ("here",), tuple(groups), (note,), differences=False)


STUDY = register(
    Study(
        name="levine-lee",
        title="Levine & Feizi 2020, Table 7, footnote 2, Equations 20 and 21: compared with Lee et al. 2019",
        data=("mnist", "imagenet"),
        cost={
            "smoke": "1 minute",
            "small": "1 hour on a core, half of it if levine-mnist has made its run; ImageNet: 10 minutes",
            "full": "hours on a GPU; ImageNet: days",
        },
        plan=plan,
        page=page,
        needs_data=False,
        items=("L22", "L23", "L24", "L25", "L26"),
    )
)
