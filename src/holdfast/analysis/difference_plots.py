"""Differences of runs on the same images in pictures: by matplotlib, and as SVG for reports."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from holdfast.analysis import charts, extras, plots
from holdfast.analysis.curves import DASHES, PALETTE, axis_title, curves
from holdfast.analysis.differences import differences

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast.analysis.differences import DifferenceCurve
    from holdfast.analysis.run_comparison import RunComparison
    from holdfast.analysis.runs import CertifiedRun

_TITLE = "difference (points)"


def write_comparison_plot(comparison: RunComparison, out: Path) -> None:
    """Draw the curves of the runs, and below them the first run minus each of the others, with pointwise 95% bands.

    Args:
        comparison: of two runs or more.
        out: the file; its suffix (`.png`, `.svg` or `.pdf`) selects the format.

    Raises:
        UsageError: the file has another suffix.
        MissingExtraError: matplotlib is not installed.
        StorageError: the file cannot be written.
    """
    plots.check_suffix(out)
    runs = comparison.runs

    def draw(figure: Any) -> None:
        figure.set_size_inches(7.2, 6.4)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        plots.draw_curves(above, runs, curves(runs))
        above.set_xlabel("")
        draw_differences(runs, below)
        words = [f"{comparison.subset}. Bands: pointwise 95% intervals, those of the differences paired."]
        words += [*comparison.warnings, *comparison.notes]
        lines = "\n".join(textwrap.fill(line, 120) for line in words)
        figure.supxlabel(lines, fontsize=7.5, color="#555555", x=0.01, ha="left")

    plots.saved(out, draw)


def draw_differences(runs: Sequence[CertifiedRun], axes: Any = None) -> Any:
    """Draw the first run minus each of the others into axes.

    Args:
        runs: on the same images, in one norm.
        axes: of matplotlib; None for those of a new figure.

    Returns:
        The axes.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    if axes is None:
        pyplot = extras.load("matplotlib.pyplot", "Drawing a plot")
        axes = pyplot.subplots(figsize=(7.2, 3.2), layout="constrained")[1]
    lines = differences(runs)
    end = max(line.end for line in lines) * 1.04 or 1.0
    for number, line in enumerate(lines, 1):
        _draw(axes, line, end, number)
    axes.axhline(0.0, color="#555555", linewidth=1.0)
    axes.set_xlabel(axis_title(lines[0].norm))
    axes.set_ylabel(_TITLE)
    axes.set_xlim(0.0, max(end, axes.get_xlim()[1] if axes.get_shared_x_axes().get_siblings(axes)[1:] else end))
    if lines[0].norm.whole:
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:+.0f}" if round(100 * value) else "0")
    axes.grid(alpha=0.25, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    legend = axes.legend(frameon=False, fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return axes


def _draw(axes: Any, line: DifferenceCurve, end: float, number: int) -> None:
    # The colour of the other run in the chart of the curves.
    colour = PALETTE[number % len(PALETTE)]
    starts = [*(step.start for step in line.steps), max(end, line.end)]
    values = [*(step.difference for step in line.steps), line.steps[-1].difference]
    band = [each.lower for each in values], [each.upper for each in values]
    axes.fill_between(starts, *band, step="post", color=colour, alpha=0.16, linewidth=0)
    axes.step(
        starts,
        [each.value for each in values],
        where="post",
        color=colour,
        linestyle=(0, DASHES[number % len(DASHES)]),
        linewidth=1.8,
        label=f" {line.name}",
    )


def difference_picture(runs: Sequence[CertifiedRun]) -> str:
    """The same picture as SVG text, for reports.

    Raises:
        MissingExtraError: altair or vl-convert-python is not installed.
    """
    alt = extras.load("altair", charts.PURPOSE)
    lines = differences(runs, charts.MOST_STEPS)
    names, end = [line.name for line in lines], max(line.end for line in lines) * 1.03 or 1.0
    numbers = range(1, len(lines) + 1)
    legend = alt.Legend(title=None, orient="top", labelLimit=400, symbolType="stroke", symbolSize=300, symbolOpacity=1)
    scale = alt.Scale(domain=names, range=[PALETTE[number % len(PALETTE)] for number in numbers])
    dashes = alt.Scale(domain=names, range=[list(DASHES[number % len(DASHES)]) for number in numbers])
    x = alt.X("start:Q", title=axis_title(lines[0].norm), scale=alt.Scale(domain=[0, end], nice=False))
    base = alt.Chart(alt.InlineData(values=[row for line in lines for row in _rows(line, end)])).encode(
        x=x, color=alt.Color("run:N", scale=scale, legend=legend)
    )
    zero = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(color="#888888")
    layers = [
        base.mark_area(interpolate="step-after", opacity=0.18).encode(y=alt.Y("lower:Q"), y2="upper:Q"),
        base.mark_line(interpolate="step-after", strokeWidth=2.2).encode(
            y=alt.Y("points:Q", title=_TITLE), strokeDash=alt.StrokeDash("run:N", scale=dashes, legend=legend)
        ),
        zero.encode(y="zero:Q"),
    ]
    return charts.as_svg(alt.layer(*layers).properties(height=220))


def _rows(line: DifferenceCurve, end: float) -> list[dict[str, Any]]:
    points = [(step.start, step.difference) for step in line.steps]
    return [
        {
            "run": line.name,
            "start": round(start, 6),
            "points": round(100.0 * each.value, 4),
            "lower": round(100.0 * each.lower, 4),
            "upper": round(100.0 * each.upper, 4),
        }
        for start, each in [*points, (max(end, line.end), points[-1][1])]
    ]
