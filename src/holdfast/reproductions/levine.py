"""What the tables of Levine & Feizi 2020 have in common: accuracy, abstentions and median for each k."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis.accuracy import compared
from holdfast.analysis.published import figure
from holdfast.reproductions import measures
from holdfast.reproductions.pages import Row

if TYPE_CHECKING:
    from holdfast.runs.store import Run

_QUANTITIES = (
    ("accuracy", "classification accuracy", measures.accuracy),
    ("abstains", "abstained", measures.abstentions),
    ("median", "median certified robustness", measures.median),
)


def rows_of(run: Run, table: str, dataset: str, **settings: object) -> tuple[Row, ...]:
    """The three quantities of a run: as promised, and with bounds on all classes from the same votes."""
    split = compared(run, bounds="split")
    return tuple(
        Row(name, figure("Levine", table, metric, dataset, **settings), (measure(run), measure(split)))
        for name, metric, measure in _QUANTITIES
    )
