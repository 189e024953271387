"""Cohen et al. 2019, Figure 14: certified accuracy as counted, and high-probability lower bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis.lines import Line, picture
from holdfast.reproductions import measures
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.models import cifar_gaussian, cohen_run, imagenet_gaussian
from holdfast.reproductions.pages import Chart, Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import Model, Plan
from holdfast.reproductions.results import Finished
from holdfast.stats.datasets import robust_share_cohen, robust_share_exact

if TYPE_CHECKING:
    from holdfast.analysis.runs import CertifiedRun

_SIGMA = 0.25
_RHO = 0.001
_RADII = (0.0, 0.25, 0.5, 0.75)
_STEPS = 60


def plan(scale: str, kind: str) -> Plan:
    """The model and the run of the tables for this sigma."""
    model = _model(scale, kind)
    return Plan((model,), (cohen_run(scale, model),))


def _model(scale: str, kind: str) -> Model:
    return cifar_gaussian(scale, _SIGMA) if kind == "cifar10" else imagenet_gaussian(scale, _SIGMA)


class _Bounds:
    """Certified accuracy on a run's own images, as counted and as high-probability lower bounds."""

    def __init__(self, run: CertifiedRun) -> None:
        self._radii = [result.certified_radius for result in run.results]
        self._alpha = run.alpha

    def at(self, radius: float) -> tuple[float, float, float]:
        """The share as counted, by the paper's formula, and by the exact quantile."""
        hits, count = sum(each >= radius for each in self._radii), len(self._radii)
        formula, exact = (bound(hits, count, self._alpha, _RHO) for bound in (robust_share_cohen, robust_share_exact))
        return hits / count, formula, exact


def page(done: Finished) -> Page:
    """The curves, as numbers and as a chart."""
    (name,) = done.runs
    run = done.runs[name]
    bounds = _Bounds(run)
    rows = tuple(
        Row(f"r = {radius:g}", None, (found, *(Measured(share, "share") for share in bounds.at(radius)[1:])))
        for radius, found in zip(_RADII, measures.certified(run, _RADII), strict=True)
    )
    grid = [step / _STEPS for step in range(_STEPS + 1)]
    counted = [bounds.at(radius) for radius in grid]
    worst = 100.0 * max(share - formula for share, formula, _ in counted)
    lines = [
        Line(label, tuple((radius, found[column]) for radius, found in zip(grid, counted, strict=True)))
        for column, label in enumerate(("as counted", "lower bound, Appendix D", "lower bound, exact quantile"))
    ]
    return Page(
        title=f"Cohen et al. 2019, Figure 14: high-probability bounds, on {done.kind}, scale {done.scale}",
        intro=(
            "Each certificate may be false with probability alpha, so the counted share of certified images may be too "
            f"high. The lower bounds hold for these images themselves, at each radius with probability 1 - {_RHO:g}: "
            "by the paper's formula (Appendix D), and by the exact binomial quantile. The paper does this for "
            "ImageNet, sigma = 0.25; it prints no numbers and calls the difference negligible.",
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(
            Table(
                "Figure 14 in numbers",
                ("as counted", "Appendix D", "exact"),
                (Group(f"sigma = {_SIGMA}", measures.settings(run, done.model_of(name)), rows),),
                ("The interval is for all images of this kind, the lower bounds for these images.",),
                published=False,
            ),
        ),
        charts=(
            Chart(
                f"cohen-high-prob-{done.kind}.svg",
                "Figure 14: as counted, and with high probability",
                "Certified accuracy over the radius.",
                lambda: picture(lines, "radius", "certified accuracy", share=True),
            ),
        ),
        statements=(
            Statement(
                f"the bound of Appendix D is nowhere more than 2 points lower ({worst:.2f} at most)", worst <= 2.0
            ),
            Statement(
                "the exact quantile is nowhere lower than the formula",
                all(e >= f for _, f, e in counted),
                regardless=True,
            ),
        ),
        notes=(f"The formula loses less with more images; here there are {len(run.results):,}.",),
        warning=measures.UNTRAINED if done.pipeline_check else "",
    )


STUDY = register(
    Study(
        name="cohen-high-prob",
        title="Cohen et al. 2019, Figure 14: high-probability certified accuracy",
        data=("cifar10", "imagenet"),
        cost={
            "smoke": "1 minute",
            "small": "1 hour on a core (CIFAR-10), seconds if cohen-cifar10 has made its run",
            "full": "days on a GPU",
        },
        plan=plan,
        page=page,
    )
)
