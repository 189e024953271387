"""Levine & Feizi 2020, Figure 2: the constant Delta of Theorem 1 for MNIST images. Needs no data and no sampling."""

from __future__ import annotations

from fractions import Fraction

from holdfast.analysis.lines import Line, picture
from holdfast.analysis.published import figure
from holdfast.estimators import FixedSize, best_radius
from holdfast.noises.ablation import Ablation, delta
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.pages import Chart, Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import no_plan
from holdfast.reproductions.results import Finished
from holdfast.stats.rounding import float_above

_SHAPE = (1, 28, 28)
_PIXELS = 784
_KEPT = (5, 15, 25, 45, 75, 100)
_ALL_KEPT = tuple(range(5, 101, 5))
_RADII = (1, 4, 8, 16)
_LAST = 60


def page(done: Finished) -> Page:
    """Delta as numbers and curves, and the largest radius that it allows."""
    values = tuple(
        Row(f"k = {k}", None, tuple(Measured(float_above(delta(_PIXELS, k, rho)), "probability") for rho in _RADII))
        for k in _KEPT
    )
    most = tuple(
        Row(
            f"k = {k}",
            figure("Levine", "Table 1", "median certified robustness", k=k),
            (Measured(float(_largest(k)), "pixels"), Measured(_with_samples(k), "pixels")),
        )
        for k in _ALL_KEPT
    )
    below = all(row.gap is None or row.gap >= 0.0 for row in most)
    return Page(
        title="Levine & Feizi 2020, Figure 2: Delta",
        intro=(
            f"Delta = 1 - C(d - rho, k) / C(d, k) for d = {_PIXELS} pixels: the probability that the k kept pixels "
            "include one of rho changed pixels. Exact. A prediction with probability p survives rho changes if "
            "p - Delta exceeds 1/2 (Corollary 1).",
        ),
        tables=(
            Table(
                "Figure 2 in numbers: Delta",
                tuple(f"rho = {rho}" for rho in _RADII),
                (Group("", "", values),),
                ("The paper prints no numbers with the figure. Exact, so there are no intervals.",),
                published=False,
            ),
            Table(
                "The largest radius, in pixels",
                ("p = 1", "n = 10,000"),
                (Group("", "", most),),
                (
                    "Published: the medians of Table 1. First column: the largest rho with Delta below 1/2, for a base "
                    "classifier that is always right. Second: for 10,000 samples that all agree, at alpha = 0.05.",
                ),
                differences=False,
            ),
        ),
        charts=(
            Chart(
                "levine-delta-figure-2.svg",
                "Figure 2: Delta over the number of changed pixels",
                "For each number k of kept pixels. Nothing can be certified at 1/2 or above.",
                _draw,
            ),
        ),
        statements=(Statement("no median that the paper prints exceeds what Delta allows", below, regardless=True),),
    )


def _largest(k: int) -> int:
    """The largest rho with Delta below 1/2."""
    return next(rho for rho in range(_PIXELS) if delta(_PIXELS, k, rho + 1) >= Fraction(1, 2))


def _with_samples(k: int) -> float | None:
    """The radius that 10,000 unanimous samples certify."""
    return best_radius(Ablation(k), FixedSize(10_000, 0.05, "cohen"), _SHAPE, 10)[0]


def _draw() -> str:
    lines = [
        Line(f"k = {k}", tuple((float(rho), float(delta(_PIXELS, k, rho))) for rho in range(_LAST + 1))) for k in _KEPT
    ]
    return picture(lines, "changed pixels (rho)", "Delta", share=True)


STUDY = register(
    Study(
        name="levine-delta",
        title="Levine & Feizi 2020, Figure 2: the constant Delta",
        data=(),
        cost={"any scale": "seconds"},
        plan=no_plan,
        page=page,
    )
)
