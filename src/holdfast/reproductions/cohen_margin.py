"""Cohen et al. 2019, Section 3.2.1: the variant of Theorem 1 with a margin, against forced abstentions."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom

from holdfast.errors import UsageError
from holdfast.estimators.margin import probability_needed, radius_with_margin, votes_needed
from holdfast.noises.gaussian import Gaussian
from holdfast.reproductions import measures
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.models import cifar_gaussian, cohen_run, imagenet_gaussian, mnist_gaussian
from holdfast.reproductions.pages import Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import Model, Plan
from holdfast.reproductions.results import Finished
from holdfast.worst_cases import find_worst_case

if TYPE_CHECKING:
    from holdfast.analysis.accuracy import Result
    from holdfast.analysis.runs import CertifiedRun

_SIGMA = {"mnist": 0.5, "cifar10": 0.25, "imagenet": 0.25}
_MODELS = {"mnist": mnist_gaussian, "cifar10": cifar_gaussian, "imagenet": imagenet_gaussian}
_RADII = (0.25, 0.5, 0.75)
# Predict as in the paper's Table 4, and how often it may abstain.
_SAMPLES = (100, 1_000, 10_000)
_ALPHA, _BETA = 0.001, 0.05
_PROBABILITIES = (0.8, 0.99, 0.9999)


def plan(scale: str, kind: str) -> Plan:
    """The model and the run of the tables for this sigma."""
    model = _model(scale, kind)
    return Plan((model,), (cohen_run(scale, model),))


def _model(scale: str, kind: str) -> Model:
    return _MODELS[kind](scale, _SIGMA[kind])


def page(done: Finished) -> Page:
    """The worst classifier, which needs no data; and the price of the margin on a run's votes."""
    worst = _worst()
    kind = done.kind
    run = None if kind is None else done.runs[_model(done.scale, kind).name]
    priced = () if run is None else (_priced(done, run),)
    return Page(
        title="Cohen et al. 2019, Section 3.2.1: a margin against forced abstentions"
        + ("" if kind is None else f", {kind}, scale {done.scale}"),
        intro=(
            "Within the radius R of Theorem 1 the top class stays the most probable one, but its lead may become so "
            "small that Predict abstains. The paper says that a variant could certify a radius in which the lead is "
            f"larger by some margin. Here the margin is what Predict with n samples at alpha = {_ALPHA:g} needs to "
            f"answer with a probability of at least {1 - _BETA:.0%}, whatever the classifier.",
            *([measures.SMOKE] if kind and done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(worst, *priced),
        statements=(*_of_worst(), *(() if run is None else _of_run(run))),
        notes=(
            "With one bound on the top class, the radius with a margin is R - sigma Q(q), q the probability of the top "
            "class that Predict needs and Q the normal quantile: every image loses the same length. The paper prints "
            "no numbers.",
        ),
        warning=measures.UNTRAINED if done.pipeline_check else "",
    )


def _needed(n: int) -> float:
    found = probability_needed(n, _ALPHA, _BETA)
    if found is None:
        raise UsageError(f"Predict with n = {n} never answers at alpha = {_ALPHA}")
    return found


def _answered(n: int, p: float) -> float:
    """How often Predict answers a class of probability p, if all other votes are for one class."""
    return float(binom.sf((votes_needed(n, _ALPHA) or n + 1) - 1, n, p))


def _worst() -> Table:
    """Two half-spaces: how often Predict answers at the unchanged input, just inside R, and at the smaller radius."""
    groups = []
    for n in _SAMPLES:
        rows = []
        for p in _PROBABILITIES:
            case = find_worst_case(Gaussian(1.0), np.zeros(2), p)
            margin = radius_with_margin(Gaussian(1.0), case.bounds, 2 * _needed(n) - 1)
            at = (0.0, case.inside, margin)
            shares = tuple(None if r is None else _answered(n, case.probabilities(r)[0].lower) for r in at)
            rows.append(
                Row(
                    f"p = {p:g}",
                    None,
                    (
                        Measured(case.radius, "radius"),
                        Measured(margin, "radius"),
                        *(Measured(share, "probability") for share in shares),
                    ),
                )
            )
        groups.append(Group(f"n = {n:,}", f"margin {2 * _needed(n) - 1:.4f}", tuple(rows)))
    return Table(
        "How often Predict answers, for the worst classifier",
        ("R", "with margin", "at x", "just inside R", "at the margin's"),
        tuple(groups),
        (
            "Radii in units of sigma, rounded down. p: probability of the top class; all others go to one rival, and "
            "the classifier is that of Theorem 2. Exact, so there are no intervals. N/A: at p there is no such margin.",
        ),
        published=False,
    )


def _of_worst() -> tuple[Statement, ...]:
    case = find_worst_case(Gaussian(1.0), np.zeros(2), _PROBABILITIES[1])
    forced = all(_answered(n, case.probabilities(case.inside)[0].lower) <= 2 * _ALPHA for n in _SAMPLES)
    kept = True
    for n in _SAMPLES:
        radius = radius_with_margin(Gaussian(1.0), case.bounds, 2 * _needed(n) - 1)
        kept &= radius is not None and _answered(n, case.probabilities(radius)[0].lower) >= 1 - _BETA - 1e-6
    return (
        Statement("just inside R an adversary makes Predict abstain nearly always", forced, regardless=True),
        Statement(
            f"within the radius with a margin Predict answers {1 - _BETA:.0%} of the time", kept, regardless=True
        ),
    )


def _priced(done: Finished, run: CertifiedRun) -> Table:
    """Certified accuracy on the same votes, without a margin and with those that Predict needs."""
    variants = {"Theorem 1": run, **{f"margin, n = {n:,}": _with_margin(run, n) for n in _SAMPLES}}
    rows = tuple(Row(name, None, tuple(measures.certified(each, _RADII))) for name, each in variants.items())
    made = measures.settings(run, done.model_of(run.folder.name))
    return Table(
        "Certified accuracy on the same votes",
        tuple(f"r = {radius:g}" for radius in _RADII),
        (Group(f"sigma = {_SIGMA[done.kind or 'cifar10']}", made, rows),),
        ("Within r the answer cannot be changed; with a margin, abstentions cannot be forced either.",),
        published=False,
    )


def _with_margin(run: CertifiedRun, n: int) -> CertifiedRun:
    """The run with the smaller radii; what has no margin at the unchanged image is not certified."""
    noise = run.noise
    if not isinstance(noise, Gaussian):
        raise UsageError(f"a margin is known for Gaussian noise, not for {noise}")

    def changed(each: Result) -> Result:
        if each.certificate is None or each.predicted is None:
            return each
        radius = radius_with_margin(noise, each.certificate.bounds, 2 * _needed(n) - 1)
        return replace(each, predicted=None, radius=0.0) if radius is None else replace(each, radius=radius)

    return replace(run, results=tuple(map(changed, run.results)))


def _of_run(run: CertifiedRun) -> tuple[Statement, ...]:
    shares = [
        [share.value or 0.0 for share in measures.certified(each, _RADII)]
        for each in (*(_with_margin(run, n) for n in _SAMPLES), run)
    ]
    falls = all(a <= b for fewer, more in pairwise(shares) for a, b in zip(fewer, more, strict=True))
    return (
        Statement.compared(
            "the margin costs less with more samples of Predict",
            falls,
            sum(share > 0 for share in shares[-1]),
            "images certified at these radii",
            regardless=True,
        ),
    )


STUDY = register(
    Study(
        name="cohen-margin",
        title="Cohen et al. 2019, Section 3.2.1: a margin against forced abstentions",
        data=("cifar10", "mnist", "imagenet"),
        cost={"smoke": "1 minute", "small": "1 hour on a core (CIFAR-10)", "full": "days on GPUs"},
        plan=plan,
        page=page,
        needs_data=False,
        items=("C44",),
    )
)
