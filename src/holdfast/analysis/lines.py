"""Charts of curves given point by point, as SVG text in the report's style."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.analysis import extras
from holdfast.analysis.charts import as_svg
from holdfast.analysis.curves import DASHES, PALETTE

if TYPE_CHECKING:
    from collections.abc import Sequence

_PURPOSE = "Drawing a chart"


@dataclass(frozen=True)
class Line:
    """A named curve through points, x ascending."""

    name: str
    points: tuple[tuple[float, float], ...]


def picture(
    lines: Sequence[Line], x_title: str, y_title: str, *, logarithmic: bool = False, share: bool = False
) -> str:
    """Draw the lines in one chart.

    Args:
        lines: at least one.
        x_title: of the horizontal axis.
        y_title: of the vertical axis.
        logarithmic: make the horizontal axis logarithmic.
        share: let the vertical axis go from 0 to 1, labelled in percent.

    Raises:
        MissingExtraError: altair or vl-convert-python is not installed.
    """
    alt = extras.load("altair", _PURPOSE)
    names = [line.name for line in lines]
    legend = alt.Legend(title=None, orient="top", labelLimit=300, symbolType="stroke", symbolSize=300)
    colours = [PALETTE[number % len(PALETTE)] for number in range(len(names))]
    dashes = [list(DASHES[number % len(DASHES)]) for number in range(len(names))]
    # With more lines than colours, dashes tell apart the lines of one colour.
    dashes = [dash if number < len(PALETTE) else [3, 5] for number, dash in enumerate(dashes)]
    values = [{"line": line.name, "x": x, "y": y} for line in lines for x, y in line.points]
    chart = (
        alt.Chart(alt.InlineData(values=values))
        .mark_line(strokeWidth=2.2)
        .encode(
            x=alt.X(
                "x:Q",
                title=x_title,
                scale=alt.Scale(type="log" if logarithmic else "linear", nice=False),
                axis=alt.Axis(format="~s") if logarithmic else alt.Undefined,
            ),
            y=alt.Y(
                "y:Q",
                title=y_title,
                scale=alt.Scale(domain=[0, 1]) if share else alt.Undefined,
                axis=alt.Axis(format="%") if share else alt.Undefined,
            ),
            color=alt.Color("line:N", scale=alt.Scale(domain=names, range=colours), legend=legend),
            strokeDash=alt.StrokeDash("line:N", scale=alt.Scale(domain=names, range=dashes), legend=legend),
        )
    )
    return as_svg(chart.properties(height=340))
