"""The interactive charts of a report: Vega-Lite documents, and the one script that draws them all."""

from __future__ import annotations

import math
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

from holdfast.analysis import extras, formats
from holdfast.analysis.curves import DASHES, PALETTE, axis_title
from holdfast.types import Norm
from holdfast.visible import visible_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.analysis.curves import Curve, Step

PURPOSE = "Writing a report"
# More than a chart has pixels; radii are rounded down to this many steps.
MOST_STEPS = 1500
# The name of the data set of the curves in a document.
_ROWS = "curves"


def chart(lines: Sequence[Curve], interactive: bool = True) -> dict[str, Any]:
    """Draw curves, bands, limits and published figures of runs of one norm, as a Vega-Lite document.

    Args:
        lines: at least one, each of about `MOST_STEPS` steps at most.
        interactive: show the numbers of the step nearest to the pointer.

    Raises:
        MissingExtraError: altair is not installed.
    """
    alt = extras.load("altair", PURPOSE)
    names = [line.name for line in lines]
    scale = alt.Scale(domain=names, range=[PALETTE[number % len(PALETTE)] for number in range(len(names))])
    legend = (
        None
        if len(names) == 1
        else alt.Legend(title=None, orient="top", labelLimit=300, symbolType="stroke", symbolSize=300, symbolOpacity=1)
    )
    colour = alt.Color("run:N", scale=scale, legend=legend)
    layers = [*_curve_layers(alt, lines, colour, legend, interactive), *_mark_layers(alt, lines, colour)]
    return finished(alt, layers, [row for line in lines for row in _rows(line)])


def finished(alt: Any, layers: Sequence[Any], rows: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Combine layers into one Vega-Lite document in the report's style; `rows` become its named data set."""
    return _spec(alt, alt.layer(*layers).properties(width="container", height=340), rows)


def picture(lines: Sequence[Curve]) -> str:
    """The same chart as SVG text, for readers without scripts; raises what `drawn` and `chart` raise."""
    return drawn(chart(lines, interactive=False))


def as_svg(chart: Any) -> str:
    """An altair chart as SVG text in the report's style; raises what `chart` raises."""
    return drawn(_spec(extras.load("altair", PURPOSE), chart))


def _spec(alt: Any, chart: Any, rows: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """The Vega-Lite document of a chart, in the report's style."""
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    spec: dict[str, Any] = chart.configure(background="transparent", autosize=fit).to_dict()
    # A report contains no network address, not even that of the schema, which nothing would load.
    del spec["$schema"]
    spec["config"] = {**spec["config"], **_theme()}
    if rows:
        # Added last: altair would walk through all of them once for each layer.
        spec["datasets"] = {**spec.get("datasets", {}), _ROWS: list(rows)}
    # The chart shows names of runs and data sets, which may hold control characters.
    return cast("dict[str, Any]", visible_document(spec))


def drawn(spec: dict[str, Any]) -> str:
    """A Vega-Lite document as SVG text.

    Raises:
        MissingExtraError: vl-convert-python is not installed.
    """
    convert = extras.load("vl_convert", PURPOSE)
    svg: str = convert.vegalite_to_svg({**spec, "width": 680}, vl_version=_version())
    return svg


def scripts() -> list[str]:
    """The scripts of a report: Vega, Vega-Lite and Vega-Embed bundled in one, and one that draws the charts with them.

    Raises:
        MissingExtraError: vl-convert-python or altair is not installed.
    """
    return [_vega(), resources.files("holdfast.analysis").joinpath("report.js").read_text(encoding="utf-8")]


@lru_cache
def _vega() -> str:
    """The bundle. Vega-Embed holds Vega's expression interpreter, so the page need not evaluate strings as code."""
    bundle: str = extras.load("vl_convert", PURPOSE).javascript_bundle(vl_version=_version())
    # "</script" would end the HTML script element.
    return bundle.replace("</script", "<\\/script")


def _version() -> str:
    """The version of Vega-Lite that altair writes, as vl-convert names it."""
    major, minor, *_ = extras.load("altair", PURPOSE).SCHEMA_VERSION.lstrip("v").split(".")
    return f"{major}.{minor}"


def _curve_layers(alt: Any, lines: Sequence[Curve], colour: Any, legend: Any, interactive: bool) -> list[Any]:
    """The bands and the curves, and, if `interactive`, a point with its numbers under the pointer."""
    norm = lines[0].norm
    axis = alt.Axis(values=_whole_ticks(_end(lines)), format="d") if norm.whole else alt.Undefined
    x = alt.X("start:Q", title=axis_title(norm), scale=alt.Scale(domain=[0, _end(lines)], nice=False), axis=axis)
    y = alt.Y("accuracy:Q", title="certified accuracy", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    dash_range = [list(DASHES[number % len(DASHES)]) for number in range(len(lines))]
    dash = alt.StrokeDash(
        "run:N", scale=alt.Scale(domain=[line.name for line in lines], range=dash_range), legend=legend
    )
    base = alt.Chart(alt.NamedData(name=_ROWS)).encode(x=x, color=colour)
    layers = [
        base.mark_area(interpolate="step-after", opacity=0.18).encode(y=alt.Y("lower:Q"), y2="upper:Q"),
        base.mark_line(interpolate="step-after", strokeWidth=2.2).encode(y=y, strokeDash=dash),
    ]
    if all(line.whole for line in lines):
        layers.append(base.mark_point(filled=True, size=22).encode(y=y).transform_filter(alt.datum.drawn))
    return [*layers, _pointer(alt, base, y)] if interactive else layers


def _pointer(alt: Any, base: Any, y: Any) -> Any:
    """A point on the step nearest to the pointer, with its numbers."""
    near = alt.selection_point(nearest=True, on="pointerover", clear="pointerout", empty=False)
    shown = alt.condition(near, alt.value(1), alt.value(0))
    # The whole row, of which report.js shows some fields: Vega-Lite 6.4 loses single text fields here.
    row = alt.TooltipContent("data")
    return base.mark_point(filled=True, size=70, tooltip=row).encode(y=y, opacity=shown).add_params(near)


def _mark_layers(alt: Any, lines: Sequence[Curve], colour: Any) -> list[Any]:
    """What the run did not measure: the largest radius that n and alpha allow, and published figures."""
    limits = [
        {"run": line.name, "radius": line.attainable, "what": "largest radius n and alpha allow"}
        for line in lines
        if line.attainable is not None
    ]
    medians = [(line, line.median()) for line in lines]
    median_marks = [
        {"run": line.name, "radius": median[0], "what": f"published median: {median[1]}"}
        for line, median in medians
        if median is not None
    ]
    points = [
        {"run": line.name, "radius": radius, "accuracy": share, "what": cite, "share": f"{formats.percent(share)}%"}
        for line in lines
        for radius, share, cite in line.points()
    ]
    tooltip = [
        alt.Tooltip("what:N", title="mark"),
        alt.Tooltip("radius:Q", title="radius", format=_axis_format(lines[0].norm)),
    ]
    layers = []
    for values, dash, width in ((limits, [5, 4], 1.3), (median_marks, [2, 3], 2.0)):
        if values:
            rules = alt.Chart(alt.InlineData(values=values)).mark_rule(strokeDash=dash, strokeWidth=width)
            layers.append(rules.encode(x="radius:Q", color=colour, tooltip=tooltip))
    if points:
        marks = alt.Chart(alt.InlineData(values=points)).mark_point(
            filled=False, shape="diamond", size=80, strokeWidth=1.8
        )
        share = alt.Tooltip("share:N", title="published")
        layers.append(marks.encode(x="radius:Q", y="accuracy:Q", color=colour, tooltip=[*tooltip, share]))
    return layers


def _rows(line: Curve) -> list[dict[str, Any]]:
    rows = [{**_row(line, step, step.start), "drawn": line.whole} for step in line.steps]
    # Draw the last step to the end of the axis.
    return [*rows, {**_row(line, line.steps[-1], _end([line])), "drawn": False}]


def _row(line: Curve, step: Step, start: float) -> dict[str, Any]:
    beyond = math.isinf(step.radius)
    at = f"above {formats.radius(line.norm, step.start)}" if beyond else formats.radius(line.norm, step.radius)
    return {
        "run": line.name,
        "start": round(start, 6),
        "radius": f"{at} {line.norm.unit}",
        "accuracy": round(step.accuracy.value, 6),
        "lower": round(step.accuracy.lower, 6),
        "upper": round(step.accuracy.upper, 6),
        "certified accuracy": f"{formats.percent(step.accuracy.value)}%",
        "95% interval": formats.interval(step.accuracy),
    }


def _end(lines: Sequence[Curve]) -> float:
    return max(line.end for line in lines) * 1.03 or 1.0


def _whole_ticks(end: float) -> list[int]:
    """At most a dozen or so whole numbers, from 0 to the end of the axis."""
    return list(range(0, int(end) + 1, int(end) // 12 + 1))


def _axis_format(norm: Norm) -> str:
    return "d" if norm.whole else ".3~f"


def _theme() -> dict[str, Any]:
    """Text and lines in the colour of the page's text, to follow light mode, dark mode and print."""
    ink = {"labelColor": "currentColor", "titleColor": "currentColor"}
    font = "system-ui, sans-serif"
    axis = {
        "domainColor": "currentColor",
        "tickColor": "currentColor",
        "gridColor": "currentColor",
        "gridOpacity": 0.13,
    }
    size = {"labelFontSize": 12, "titleFontSize": 13, "titleFontWeight": 500, "titlePadding": 10}
    return {
        "font": font,
        "axis": {**ink, **axis, **size, "domainOpacity": 0.4, "tickOpacity": 0.4},
        "legend": {**ink, "labelFontSize": 12, "columns": 1},
        "view": {"stroke": None},
    }
