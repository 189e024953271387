"""Cohen et al. 2019, Figure 16: how the radii of Lecuyer et al. and of Li et al. depend on their tuning parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from holdfast.analysis.lines import Line, picture
from holdfast.noises.base import find_guarantee
from holdfast.noises.gaussian import Gaussian, lecuyer_radii, li_radii
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.pages import Chart, Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import no_plan
from holdfast.reproductions.results import Finished
from holdfast.stats.rounding import complement_upper
from holdfast.types import ClassBounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Radii = Callable[[Gaussian, ClassBounds, NDArray[np.float64]], NDArray[np.float64]]

_NOISE = Gaussian(1.0)
_SHAPE = (1, 1, 1)
_PROBABILITIES = (0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
# For the two charts over the parameter; our copy of the paper does not print its own.
_FIXED = 0.8
_BETAS = (0.1, 0.25, 0.5, 1.0)
_ORDERS = (0.5, 1.5, 3.0, 10.0)
# The best value is looked for among these in the charts and the table of best values.
_BETA_GRID = np.linspace(0.0, 1.0, 2001)[1:]
_ORDER_GRID = np.concatenate([np.linspace(0.01, 0.99, 99), 1 + np.geomspace(0.01, 100.0, 400)])
# A difference that rounding, and the coarser grid, explain.
_SAME = 1e-3


def page(done: Finished) -> Page:
    """The four charts of the figure, and their numbers."""
    return Page(
        title="Cohen et al. 2019, Figure 16: the tuning parameters of two older bounds, in units of sigma",
        intro=(
            "The radii of Lecuyer et al. (Appendix I.1) and of Li et al. (I.2) hold for every value of a free "
            "parameter: beta from 0 to 1, and the order of a Renyi divergence. The best value depends on the "
            "probability p of the top class. All other classes share the rest.",
        ),
        tables=(
            _table("Lecuyer et al., Figure 16(a)", "beta", _BETAS, lecuyer_radii, "lecuyer"),
            _table("Li et al., Figure 16(b)", "order", _ORDERS, li_radii, "li"),
        ),
        charts=(
            _over_probability("a", "Lecuyer et al.", "beta", _BETAS, lecuyer_radii, "lecuyer"),
            _over_probability("b", "Li et al.", "order", _ORDERS, li_radii, "li"),
            _over_parameter("c", "Lecuyer et al.", "beta", _BETA_GRID, lecuyer_radii),
            _over_parameter("d", "Li et al.", "order", _ORDER_GRID, li_radii),
        ),
        statements=(
            Statement(
                "no value of a parameter gives more than the radius with the best one",
                _none_above("lecuyer", lecuyer_radii, _BETA_GRID) and _none_above("li", li_radii, _ORDER_GRID),
                regardless=True,
            ),
            Statement(
                "none of these fixed values of a parameter is the best one for all of these probabilities",
                not any(_always_best("lecuyer", lecuyer_radii, value) for value in _BETAS)
                and not any(_always_best("li", li_radii, value) for value in _ORDERS),
                regardless=True,
            ),
        ),
        notes=(
            f"Charts (c) and (d) are for p = {_FIXED:g} and {1 - _FIXED:g}: the paper's text fixes both, and does not "
            "print their values. Neither does it print the values of the parameters in (a) and (b).",
        ),
    )


def _bounds(p: float) -> ClassBounds:
    return ClassBounds(0, p, complement_upper(p))


def _best(theorem: str, p: float) -> float:
    return find_guarantee(_NOISE, theorem).radius(_NOISE, _bounds(p), _SHAPE) or 0.0


def _at(radii: Radii, p: float, value: float) -> float:
    return float(radii(_NOISE, _bounds(p), np.array([value]))[0])


def _none_above(theorem: str, radii: Radii, grid: NDArray[np.float64]) -> bool:
    return all(float(radii(_NOISE, _bounds(p), grid).max()) <= _best(theorem, p) * (1 + _SAME) for p in _PROBABILITIES)


def _always_best(theorem: str, radii: Radii, value: float) -> bool:
    return all(_at(radii, p, value) >= _best(theorem, p) * (1 - _SAME) for p in _PROBABILITIES)


def _table(title: str, parameter: str, values: tuple[float, ...], radii: Radii, theorem: str) -> Table:
    rows = tuple(
        Row(
            f"p = {p:g}",
            None,
            (Measured(_best(theorem, p), "radius"), *(Measured(_at(radii, p, each), "radius") for each in values)),
        )
        for p in _PROBABILITIES
    )
    columns = ("best", *(f"{parameter} = {each:g}" for each in values))
    note = "Exact, so there are no intervals; radii are rounded down. 0: this value of the parameter proves nothing."
    return Table(title, columns, (Group("", "", rows),), (note,), published=False)


def _over_probability(
    part: str, name: str, parameter: str, values: tuple[float, ...], radii: Radii, theorem: str
) -> Chart:
    def draw() -> str:
        grid = [0.5 + 0.499 * step / 100 for step in range(1, 101)]
        lines = [Line("best", tuple((p, _best(theorem, p)) for p in grid))]
        lines += [Line(f"{parameter} = {each:g}", tuple((p, _at(radii, p, each)) for p in grid)) for each in values]
        return picture(lines, "probability of the top class", "radius / sigma")

    return Chart(
        f"cohen-prior-bounds-figure-16-{part}.svg",
        f"Figure 16({part}): {name}",
        f"The radius for some values of {parameter}, and for the best one, in units of sigma.",
        draw,
    )


def _over_parameter(part: str, name: str, parameter: str, grid: NDArray[np.float64], radii: Radii) -> Chart:
    def draw() -> str:
        found = radii(_NOISE, _bounds(_FIXED), grid)
        line = Line(f"p = {_FIXED:g}", tuple(zip(grid.tolist(), found.tolist(), strict=True)))
        return picture([line], parameter, "radius / sigma", logarithmic=parameter == "order")

    return Chart(
        f"cohen-prior-bounds-figure-16-{part}.svg",
        f"Figure 16({part}): {name}, over {parameter}",
        f"The radius at p = {_FIXED:g} for each value of {parameter}, in units of sigma.",
        draw,
    )


STUDY = register(
    Study(
        name="cohen-prior-bounds",
        title="Cohen et al. 2019, Figure 16: tuning the bounds of Lecuyer et al. and of Li et al.",
        data=(),
        cost={"any scale": "seconds"},
        plan=no_plan,
        page=page,
        items=("C64", "C65"),
    )
)
