"""Shared by the tables of Cohen et al. 2019: certified accuracy at L2 radii for each sigma."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis.projections import compared
from holdfast.analysis.published import at_radius, figure
from holdfast.reproductions import measures
from holdfast.reproductions.pages import Group, Row, Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.reproductions.base import Finished


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
