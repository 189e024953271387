"""Levine & Feizi 2020, footnote 2: ablation certified again with the samples and the alpha of Lee et al. 2019."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis.projections import rescaled, with_alpha
from holdfast.reproductions import measures
from holdfast.reproductions.models import PRECISION
from holdfast.reproductions.pages import Group, Row, Table
from holdfast.reproductions.plans import Certification

if TYPE_CHECKING:
    from holdfast.analysis.published import PublishedFigure
    from holdfast.analysis.runs import CertifiedRun
    from holdfast.reproductions.plans import Model
    from holdfast.reproductions.results import Finished

ALPHA = 0.001
# Images (every, limit) and samples (n0, n) for each kind of data and scale.
_SIZES = {
    ("mnist", "smoke"): (1000, None, 20, 1_000),
    ("mnist", "small"): (200, None, 100, 100_000),
    ("mnist", "full"): (1, None, 100, 100_000),
    ("imagenet", "smoke"): (1, 1, 10, 40),
    ("imagenet", "small"): (1, 20, 20, 300),
    # Of a random sample, as in the tables.
    ("imagenet", "full"): (1, None, 100, 100_000),
}


def again(scale: str, kind: str, model: Model) -> Certification:
    """The run of the footnote on a base classifier."""
    every, limit, n0, n = _SIZES[kind, scale]
    sample = "400" if (kind, scale) == ("imagenet", "full") else None
    return Certification(
        name_of(model.name), model.name, every, n0, n, ALPHA, limit, precision=PRECISION[scale], sample=sample
    )


def name_of(model: str) -> str:
    """The name of the footnote's run on a base classifier."""
    return f"footnote2-{model}"


def same_images(run: CertifiedRun, other: CertifiedRun) -> CertifiedRun:
    """A run on the images of another one, as far as it has them."""
    return run.among({result.index for result in other.results})


def table(done: Finished, run: CertifiedRun, second: CertifiedRun, published: PublishedFigure) -> Table:
    """The median and the accuracy at both settings on the same images, and the projection of all votes.

    Args:
        done: the results of the study.
        run: certified as in the tables of Levine & Feizi.
        second: certified as Lee et al. do.
        published: the median that the paper states for both.
    """
    common, n = same_images(run, second), second.estimator.most_draws
    projected = with_alpha(rescaled(run, n), ALPHA)
    model = done.model_of(run.name)
    groups = [
        _group("as in the tables", measures.settings(common, model), common, published),
        _group("as Lee et al.", measures.settings(second, model), second, published),
        _group(
            "as Lee et al., projected",
            f"{len(run.results):,} images; as if n = {n:,} votes had the shares of the {run.estimator.most_draws:,} "
            f"votes that were cast, at alpha = {ALPHA:g}",
            projected,
            published,
        ),
    ]
    note = (
        "The paper certified again with n0 = 100, n = 100,000 and alpha = 0.001, which did not change its medians. The "
        "first two groups are about the same images. The projection is a comparison, not a guarantee."
    )
    return Table("Footnote 2: other samples and alpha", ("here",), tuple(groups), (note,), differences=False)


def _group(title: str, settings: str, run: CertifiedRun, published: PublishedFigure) -> Group:
    rows = Row("median", published, (measures.median(run),)), Row("accuracy", None, (measures.accuracy(run),))
    return Group(title, settings, rows)
