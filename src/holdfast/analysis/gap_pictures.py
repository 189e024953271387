"""Certified accuracy and accuracy under attack in one picture: as a matplotlib file, and as Vega-Lite for reports."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from holdfast.analysis import charts, extras, formats
from holdfast.analysis.curves import PALETTE
from holdfast.analysis.plots import saved
from holdfast.analysis.wording.attacks import upper_curve
from holdfast.types import Norm

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.analysis.curves import Step
    from holdfast.analysis.gaps import Gap

_CERTIFIED, _ATTACKED = PALETTE[:2]
_NAMES = {"certified": "certified accuracy (lower bound)", "attacked": "accuracy under attack (upper bound)"}


def write_gap_plot(gap: Gap, out: Path, subset: str) -> None:
    """Draw certified accuracy, accuracy under attack, and the gap between them.

    Args:
        gap: of one attack.
        out: the file; its suffix (`.png`, `.svg` or `.pdf`) selects the format.
        subset: which inputs, in plain words.

    Raises:
        UsageError: the file has another suffix.
        MissingExtraError: matplotlib is not installed.
        StorageError: the file cannot be written.
    """

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        end = gap.end * 1.04
        if gap.certified is not None:
            lower, upper = _on_one_grid(gap)
            axes.fill_between(
                lower[0],
                lower[1],
                upper[1],
                step="post",
                facecolor="none",
                edgecolor="#aaaaaa",
                hatch="////",
                linewidth=0,
            )
            _step(axes, gap.certified.steps, end, _CERTIFIED, _NAMES["certified"], "solid")
        _step(axes, gap.attacked, min(gap.tried, end), _ATTACKED, f"{_NAMES['attacked']}: {gap.attack}", (0, (7, 3)))
        heights = [_value(gap.attacked, start) for start in gap.dots]
        axes.plot(gap.dots, heights, "o", color=_ATTACKED, markersize=6, clip_on=False, zorder=3)
        axes.set_xlabel(_axis(gap.norm))
        axes.set_ylabel("accuracy")
        axes.set_xlim(0.0, end)
        axes.set_ylim(0.0, 1.0)
        if gap.norm.whole:
            axes.xaxis.get_major_locator().set_params(integer=True)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
        axes.grid(alpha=0.25, linewidth=0.6)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        figure.legend(loc="outside upper left", frameon=False, fontsize=8)
        hatched = " Hatched: neither certified nor broken." if gap.certified else ""
        words = f"{subset}. Bands: pointwise 95% intervals.{hatched} {upper_curve(gap)}"
        figure.supxlabel(textwrap.fill(words.strip(), 120), fontsize=7.5, color="#555555", x=0.01, ha="left")

    saved(out, draw)


def gap_chart(gap: Gap) -> dict[str, Any]:
    """The same picture as Vega-Lite.

    Raises:
        MissingExtraError: altair is not installed.
    """
    alt = extras.load("altair", charts.PURPOSE)
    names = [_NAMES[key] for key in (("certified", "attacked") if gap.certified else ("attacked",))]
    colours = [_CERTIFIED, _ATTACKED][-len(names) :]
    scale = alt.Scale(domain=names, range=colours)
    legend = alt.Legend(title=None, orient="top", labelLimit=300, symbolType="stroke", symbolSize=300, symbolOpacity=1)
    colour = alt.Color("run:N", scale=scale, legend=legend)
    end = gap.end * 1.03
    x = alt.X("start:Q", title=_axis(gap.norm), scale=alt.Scale(domain=[0, end], nice=False))
    y = alt.Y("accuracy:Q", title="accuracy", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    attacked = _rows(_NAMES["attacked"], gap.attacked, min(gap.tried, end))
    certified = _rows(_NAMES["certified"], gap.certified.steps, end) if gap.certified else []
    rows = [*attacked, *certified]
    base = alt.Chart(alt.InlineData(values=rows)).encode(x=x, color=colour)
    layers = [
        base.mark_area(interpolate="step-after", opacity=0.14, clip=True).encode(y=alt.Y("lower:Q"), y2="upper:Q"),
        base.mark_line(interpolate="step-after", strokeWidth=2.2, clip=True).encode(y=y),
    ]
    if gap.certified is not None:
        (starts, below), (_, above) = _on_one_grid(gap)
        between = [
            {"start": start, "lower": lower, "upper": max(lower, upper)}
            for start, lower, upper in zip(starts, below, above, strict=True)
        ]
        area = alt.Chart(alt.InlineData(values=between)).mark_area(
            interpolate="step-after", opacity=0.18, color="#888888", clip=True
        )
        layers.insert(0, area.encode(x=x, y=alt.Y("lower:Q"), y2="upper:Q"))
    dots = [{"run": _NAMES["attacked"], "start": start, "accuracy": _value(gap.attacked, start)} for start in gap.dots]
    if dots:
        points = alt.Chart(alt.InlineData(values=dots)).mark_point(filled=True, size=60, opacity=1)
        layers.append(points.encode(x=x, y=y, color=colour))
    return charts.finished(alt, layers)


def gap_picture(gap: Gap) -> str:
    """The chart as SVG text, for readers without scripts; raises what `gap_chart` raises."""
    return charts.drawn(gap_chart(gap))


def _on_one_grid(gap: Gap) -> tuple[tuple[list[float], list[float]], tuple[list[float], list[float]]]:
    """Both curves at the starts of all their steps, up to where both end: the edges of the area between them."""
    if gap.certified is None:
        return ([], []), ([], [])
    end = min(gap.tried, gap.end * 1.04)
    starts = [*sorted({step.start for step in (*gap.certified.steps, *gap.attacked) if step.start <= end}), end]
    below = [_value(gap.certified.steps, start) for start in starts]
    above = [_value(gap.attacked, start) for start in starts]
    return (starts, below), (starts, above)


def _value(steps: tuple[Step, ...], start: float) -> float:
    return [step for step in steps if step.start <= start][-1].accuracy.value


def _step(axes: Any, steps: tuple[Step, ...], end: float, colour: str, label: str, style: Any) -> None:
    starts = [step.start for step in steps] + [max(end, steps[-1].start)]
    shares = [step.accuracy for step in (*steps, steps[-1])]
    band = [share.lower for share in shares], [share.upper for share in shares]
    axes.fill_between(starts, *band, step="post", color=colour, alpha=0.13, linewidth=0)
    values = [share.value for share in shares]
    axes.step(starts, values, where="post", color=colour, linestyle=style, linewidth=1.8, label=label)


def _rows(name: str, steps: tuple[Step, ...], end: float) -> list[dict[str, Any]]:
    points = [(step.start, step.accuracy) for step in steps]
    last = (max(end, points[-1][0]), points[-1][1])
    return [
        {
            "run": name,
            "start": round(start, 6),
            "accuracy": round(share.value, 6),
            "lower": round(share.lower, 6),
            "upper": round(share.upper, 6),
            "share": f"{formats.percent(share.value)}%",
        }
        for start, share in [*points, last]
    ]


def _axis(norm: Norm) -> str:
    return f"{norm.value} size of the change ({norm.unit})"
