"""Shared by the tables of Levine & Feizi 2020: accuracy, abstentions and median for each k."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis.projections import compared
from holdfast.analysis.published import figure
from holdfast.reproductions import measures
from holdfast.reproductions.pages import Group, Row

if TYPE_CHECKING:
    from holdfast.reproductions.results import Finished

AMONG = "median certified robustness among certified images"
# What the rows of a group are, for the page.
ABOUT_MEDIANS = (
    "The median counts images that are not certified for their true class as minus infinity. Below it stands the "
    "median of the certified ones alone, whose interval covers the sampling of images only."
)

_QUANTITIES = (
    ("accuracy", "classification accuracy", measures.accuracy),
    ("abstains", "abstained", measures.abstentions),
    ("median", "median certified robustness", measures.median),
)


def group_of(done: Finished, name: str, title: str, table: str, dataset: str, **settings: object) -> Group:
    """The settings of a run and its four quantities, with the run's bounds and with bounds on all classes.

    Args:
        done: the results of the study.
        name: of the run.
        title: of the group.
        table: of the paper, as in "Table 1".
        dataset: the paper's name for the data set.
        settings: of the published figures, as in `figure`.
    """
    run = done.runs[name]
    split = compared(run, bounds="split")
    rows = [
        Row(quantity, figure("Levine", table, metric, dataset, **settings), (measure(run), measure(split)))
        for quantity, metric, measure in _QUANTITIES
    ]
    # The text gives this one for ImageNet alone.
    published = figure("Levine", "Results", AMONG, dataset, **settings) if dataset == "ImageNet" else None
    found = measures.median_among_certified(run), measures.median_among_certified(split)
    rows.append(Row("of the certified", published, found))
    return Group(title, measures.settings(run, done.model_of(name)), tuple(rows))
