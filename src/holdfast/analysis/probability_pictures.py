"""The distribution of p_A of a run as a histogram, in SVG for reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis import charts, extras
from holdfast.analysis.curves import PALETTE

if TYPE_CHECKING:
    from holdfast.analysis.probabilities import Probabilities

_CERTIFIED, _OTHERS = "certified correct", "not certified correct"


def histogram(found: Probabilities) -> str:
    """How many examples have which share of votes for their true class, as SVG text.

    Raises:
        MissingExtraError: altair or vl-convert-python is not installed.
    """
    alt = extras.load("altair", charts.PURPOSE)
    rows = [
        {"start": each.start, "end": each.end, "kind": kind, "examples": count, "order": order}
        for each in found.bins
        for order, (kind, count) in enumerate(((_CERTIFIED, each.certified), (_OTHERS, each.others)))
    ]
    scale = alt.Scale(domain=[_CERTIFIED, _OTHERS], range=[PALETTE[0], PALETTE[1]])
    legend = alt.Legend(title=None, orient="top", labelLimit=300, symbolType="square")
    bars = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(binSpacing=1)
        .encode(
            x=alt.X(
                "start:Q",
                bin="binned",
                title="share of votes for the true class (estimate of p_A)",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(values=[number / 10 for number in range(11)], format=".1f"),
            ),
            x2="end:Q",
            y=alt.Y("examples:Q", stack="zero", title="examples"),
            color=alt.Color("kind:N", scale=scale, legend=legend),
            order=alt.Order("order:Q"),
        )
    )
    return charts.as_svg(bars.properties(height=200))
