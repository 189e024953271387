"""One HTML file about one or more runs, which loads nothing: numbers, curves, pictures, and what they prove.

Every number is computed from the runs when the report is written; the texts are in `wording`, the page in
`report.html`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import resources
from typing import TYPE_CHECKING, Any

from holdfast.analysis import charts, extras, formats, wording
from holdfast.analysis.accuracy import attainable_radius, certified_accuracy, outcomes, summarize, theorem_of
from holdfast.analysis.curves import distinct_names
from holdfast.analysis.files import write_whole
from holdfast.analysis.gallery import read_gallery
from holdfast.analysis.published import comparable
from holdfast.analysis.radii import default_radii
from holdfast.errors import UsageError
from holdfast.stats.datasets import certified_proportion
from holdfast.types import Norm

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast.analysis.accuracy import Summary
    from holdfast.analysis.gallery import Card
    from holdfast.analysis.published import PublishedFigure
    from holdfast.runs.store import Run

_MARKS = {"correct": "✓", "wrong": "✗", "abstains": "○"}


@dataclass(frozen=True)
class Comparison:
    """A published figure beside our own: the quantity, ours with its interval, theirs, and where it stands."""

    quantity: str
    ours: str
    theirs: str
    cite: str
    setting: str


@dataclass(frozen=True)
class RunSection:
    """What the page says about one run."""

    name: str
    anchor: str
    run: Run
    summary: Summary
    norm: Norm
    headline: str
    second_line: str
    warnings: list[str]
    limits: str
    speed: str | None
    comparisons: list[Comparison]
    cards: list[Card]
    proved: list[str]
    entries: list[wording.Entry]
    raw: str


@dataclass(frozen=True)
class Group:
    """The runs that share a norm, and so a chart and a table."""

    norm: Norm
    adversary: str
    sections: list[RunSection]
    radii: list[float]
    spec: dict[str, Any]
    picture: str


def write_report(
    runs: Sequence[Run], out: Path, radii: Sequence[float] | None = None, title: str | None = None
) -> None:
    """Write the report on `runs` as one self-contained HTML file, whole or not at all.

    Args:
        runs: at least one, each with records; runs of different norms get separate charts and tables.
        out: the file.
        radii: at which certified accuracy is tabled, each at least 0; chosen for each norm if None.
        title: of the page.

    Raises:
        UsageError: no runs.
        RunError: a run has no records, or its pictures are corrupt.
        MissingExtraError: altair, vl-convert-python or pillow is not installed.
        StorageError: the file cannot be written.
    """
    if not runs:
        raise UsageError("a report is about at least one run; name the folders of one or more")
    sections = _sections(runs, radii)
    norms = list(dict.fromkeys(section.norm for section in sections))
    groups = [_group(norm, [section for section in sections if section.norm is norm]) for norm in norms]
    page = _template().render(
        title=title or _title(runs),
        written=datetime.now(timezone.utc).strftime("%d %B %Y, %H:%M UTC"),
        sections=sections,
        groups=groups,
        assumptions=list(dict.fromkeys(line for run in runs for line in wording.not_proved(run))),
        marks=_MARKS,
        formats=formats,
        script=charts.script(),
    )
    write_whole(out, page.encode("utf-8"))


def _template() -> Any:
    jinja = extras.load("jinja2", "Writing a report")
    text = resources.files("holdfast.analysis").joinpath("report.html").read_text(encoding="utf-8")
    environment = jinja.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja.StrictUndefined
    )
    return environment.from_string(text)


def _title(runs: Sequence[Run]) -> str:
    sources = list(dict.fromkeys(run.manifest.data.source for run in runs))
    return f"Certified robustness on {', '.join(sources)}"


def _sections(runs: Sequence[Run], radii: Sequence[float] | None) -> list[RunSection]:
    best: dict[Norm, float] = {}
    for run in runs:
        norm = theorem_of(run.manifest).norm
        best[norm] = max(best.get(norm, 0.0), attainable_radius(run.manifest) or 0.0)
    chosen = {norm: default_radii(norm, most) if radii is None else tuple(sorted(radii)) for norm, most in best.items()}
    names = distinct_names(runs)
    return [
        _section(run, name, f"run-{number}", chosen[theorem_of(run.manifest).norm])
        for number, (run, name) in enumerate(zip(runs, names, strict=True), 1)
    ]


def _section(run: Run, name: str, anchor: str, radii: Sequence[float]) -> RunSection:
    summary = summarize(run, radii)
    return RunSection(
        name=name,
        anchor=anchor,
        run=run,
        summary=summary,
        norm=Norm(summary.norm),
        headline=wording.headline(run, summary),
        second_line=wording.second_line(summary),
        warnings=wording.warnings(run),
        limits=wording.limits(run.manifest, attainable_radius(run.manifest)),
        speed=wording.speed(run),
        comparisons=_comparisons(run, summary),
        cards=read_gallery(run),
        proved=wording.proved(run, summary),
        entries=wording.entries(run.manifest),
        raw=run.manifest.to_json(),
    )


def _group(norm: Norm, sections: list[RunSection]) -> Group:
    runs = [section.run for section in sections]
    ranges = {(run.manifest.data.low, run.manifest.data.high) for run in runs}
    return Group(
        norm=norm,
        adversary=wording.adversary(norm, runs[0].manifest.data if len(ranges) == 1 else None),
        sections=sections,
        radii=list(sections[0].summary.certified_accuracy),
        spec=charts.chart(runs),
        picture=charts.picture(runs),
    )


def _comparisons(run: Run, summary: Summary) -> list[Comparison]:
    """Published figures beside ours, without radii at which both are zero."""
    pairs = [(figure, *_ours(run, summary, figure)) for figure in comparable(run.manifest)]
    return [
        Comparison(_quantity(figure), ours, _theirs(figure), figure.cite, figure.param)
        for figure, ours, nonzero in pairs
        if nonzero or figure.value != 0.0 or figure.radius is None
    ]


def _ours(run: Run, summary: Summary, figure: PublishedFigure) -> tuple[str, bool]:
    """Our number for a published one, with its interval, and whether it is above zero."""
    norm = Norm(summary.norm)
    if figure.radius is not None:
        share = certified_accuracy(outcomes(run), figure.radius)
        certified = round(share * summary.examples)
        ours = certified_proportion(certified, summary.examples, summary.alpha, summary.confidence)
        return formats.with_interval(ours), certified > 0
    if figure.metric == "abstained":
        return formats.with_interval(summary.abstention_rate), True
    if figure.metric == "classification accuracy":
        return formats.with_interval(summary.accuracy), True
    return formats.radius(norm, summary.median_certified_radius), True


def _quantity(figure: PublishedFigure) -> str:
    if figure.radius is not None:
        return f"certified accuracy at L2 radius {formats.threshold(figure.radius)}"
    names = {"median certified robustness": "median certified radius [pixels]", "abstained": "abstention rate"}
    return names.get(figure.metric, "accuracy")


def _theirs(figure: PublishedFigure) -> str:
    if figure.value is None:
        return formats.NOT_AVAILABLE
    if figure.unit == "%":
        return f"{figure.value:g}%"
    return f"{100.0 * figure.value:g}%" if figure.unit == "fraction" else f"{figure.value:g}"
