"""Shared by the tables of Cohen et al. 2019: certified accuracy at L2 radii for each sigma."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.analysis.projections import compared
from holdfast.analysis.published import at_radius, figure
from holdfast.reproductions import measures
from holdfast.reproductions.pages import Group, Measured, Row, Statement, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.reproductions.results import Finished


def group_of(done: Finished, run: str, table: str, dataset: str, sigma: float, radii: Sequence[float]) -> Group:
    """Certified accuracy at the radii of the paper's table, with the run's bounds and with bounds on all classes."""
    found = done.runs[run]
    own, split = (measures.certified(each, radii) for each in (found, compared(found, bounds="split")))
    rows = (
        Row(f"r = {radius:g}", figure("Cohen", table, at_radius(radius), dataset, sigma=sigma), (here, other))
        for radius, here, other in zip(radii, own, split, strict=True)
    )
    return Group(f"sigma = {sigma:g}", measures.settings(found, done.model_of(run)), tuple(rows))


def never_smaller(first: CertifiedRun, second: CertifiedRun, radii: Sequence[float], text: str) -> Statement:
    """State that one theorem certifies at least as many images as another on the same votes, at every radius.

    Not judged if neither certifies anything at these radii.
    """
    pairs = list(zip(measures.certified(first, radii), measures.certified(second, radii), strict=True))
    shares = [((one.value or 0.0), (two.value or 0.0)) for one, two in pairs]
    holds = all(one >= two for one, two in shares)
    anything = sum(max(pair) > 0.0 for pair in shares)
    return Statement.compared(text, holds, anything, "images certified at these radii", regardless=True)


# The radii of Table 1.
SUMMARY_RADII = (0.5, 1.0, 2.0, 3.0)
# The survey repeats the first line of it.
_SURVEYED = 0.5


def summary(runs: Mapping[float, CertifiedRun], settings: str, *, differences: bool) -> Table:
    """Table 1: for each radius the sigma that certifies most images there, how many, and how many at radius 0.

    Args:
        runs: by sigma; on ImageNet.
        settings: of the runs, for the first group.
        differences: whether the published figures are about the same networks.
    """
    groups = [_best(runs, radius, "Cohen", "Table 1") for radius in SUMMARY_RADII]
    groups.append(_best(runs, _SURVEYED, "Hajri", "Table 1 of Cohen et al. 2019"))
    groups[0] = replace(groups[0], settings=settings)
    notes = (
        "Standard accuracy is certified accuracy at radius 0, as in Table 2. In the line for r = 2, Table 1 prints the "
        "sigma and the standard accuracy of sigma = 0.5; its 19% is, by Table 2, that of sigma = 1.",
    )
    return Table("Table 1: the best sigma for each radius", ("here",), tuple(groups), notes, differences=differences)


def _best(runs: Mapping[float, CertifiedRun], radius: float, author: str, table: str) -> Group:
    shares = {sigma: measures.certified(run, [radius, 0.0]) for sigma, run in runs.items()}
    best = max(shares, key=lambda sigma: shares[sigma][0].value or 0.0)
    certified, standard = shares[best]
    # No sigma is best if none certifies anything.
    known = best if certified.value else None
    found = {
        "best sigma": Measured(known, "sigma", digits=2),
        "certified accuracy": certified,
        "standard accuracy": None if known is None else standard,
    }
    rows = tuple(
        Row(metric, figure(author, table, metric, "ImageNet", radius=radius), (here,)) for metric, here in found.items()
    )
    return Group(f"r = {radius:g}{', in the survey' if author == 'Hajri' else ''}", "", rows)
