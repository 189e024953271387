"""Cohen et al. 2019, Figure 5: three theorems at the same probability, and the largest radius for n samples."""

from __future__ import annotations

import math
from statistics import NormalDist

from holdfast.analysis.lines import Line, picture
from holdfast.estimators import FixedSize, best_radius
from holdfast.noises.base import find_guarantee
from holdfast.noises.gaussian import Gaussian
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.pages import Chart, Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import no_plan
from holdfast.reproductions.results import Finished
from holdfast.stats.rounding import complement_upper
from holdfast.types import ClassBounds

_NOISE = Gaussian(1.0)
_SHAPE = (1, 1, 1)
_THEOREMS = ("cohen", "li", "lecuyer")
_NAMES = {"cohen": "Cohen et al.", "li": "Li et al.", "lecuyer": "Lecuyer et al."}
_PROBABILITIES = (0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
_SAMPLES = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_ALPHA = 0.001


def page(done: Finished) -> Page:
    """Both halves of the figure, as numbers and curves."""
    left = tuple(
        Row(f"p = {p:g}", None, tuple(Measured(_radius(name, p), "radius") for name in _THEOREMS))
        for p in _PROBABILITIES
    )
    right = tuple(Row(f"n = {n:,}", None, (Measured(_most(n), "radius"),)) for n in _SAMPLES)
    ordered = all(
        _radius("cohen", p) >= _radius("li", p) >= _radius("lecuyer", p) for p in (i / 200 for i in range(101, 200))
    )
    needed = math.ceil(math.log(_ALPHA) / math.log(NormalDist().cdf(4.0)))
    exact = "Exact, so there are no intervals; radii are rounded down. The paper prints no numbers with the figure."
    return Page(
        title="Cohen et al. 2019, Figure 5: radii in units of sigma",
        intro=(
            "Left: the radius that three theorems give for the same probability p of the top class, if all other "
            "classes share the remaining probability. Right: the radius if all n samples agree, at alpha = 0.001: no "
            "classifier can get more from n samples.",
        ),
        tables=(
            Table(
                "Figure 5, left",
                tuple(_NAMES[name] for name in _THEOREMS),
                (Group("", "", left),),
                (exact,),
                published=False,
            ),
            Table(
                "Figure 5, right",
                ("largest radius",),
                (Group("", "", right),),
                (exact, f"A radius of 4 sigma needs n = {needed:,} samples that all agree."),
                published=False,
            ),
        ),
        charts=(
            Chart(
                "cohen-bounds-figure-5-left.svg",
                "Figure 5, left: three theorems",
                "The radius over the probability of the top class, in units of sigma.",
                _draw_left,
            ),
            Chart(
                "cohen-bounds-figure-5-right.svg",
                "Figure 5, right: what n samples can certify",
                "The radius if all samples agree, at alpha = 0.001, in units of sigma.",
                _draw_right,
            ),
        ),
        statements=(
            Statement("Cohen's radius is never below Li's, and Li's never below Lecuyer's", ordered, regardless=True),
        ),
    )


def _radius(theorem: str, p: float) -> float:
    bounds = ClassBounds(0, p, complement_upper(p))
    return find_guarantee(_NOISE, theorem).radius(_NOISE, bounds, _SHAPE) or 0.0


def _most(n: int) -> float | None:
    return best_radius(_NOISE, FixedSize(n, _ALPHA, "cohen"), _SHAPE, 2)[0]


def _draw_left() -> str:
    grid = [0.5 + 0.499 * step / 200 for step in range(1, 201)]
    lines = [Line(_NAMES[name], tuple((p, _radius(name, p)) for p in grid)) for name in _THEOREMS]
    return picture(lines, "probability of the top class", "radius / sigma")


def _draw_right() -> str:
    grid = [round(10 ** (1 + 6 * step / 60)) for step in range(2, 61)]
    line = Line("all samples agree", tuple((float(n), _most(n) or 0.0) for n in grid))
    return picture([line], "samples n", "radius / sigma", logarithmic=True)


STUDY = register(
    Study(
        name="cohen-bounds",
        title="Cohen et al. 2019, Figure 5: bounds of Lecuyer, Li and Cohen",
        data=(),
        cost={"any scale": "seconds"},
        plan=no_plan,
        page=page,
    )
)
