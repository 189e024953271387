"""A self-contained HTML report on one or more runs: numbers, curves, pictures, and what they prove.

Every number is computed from the runs when the report is written. The texts are in `wording`, the page in
`report.html`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from holdfast.analysis import charts, choices, formats, settings, tables, wording
from holdfast.analysis.attacks import summarize_attack
from holdfast.analysis.changes import COLUMNS, LEGEND, changes
from holdfast.analysis.class_tables import class_table
from holdfast.analysis.curves import curves, distinct_names
from holdfast.analysis.difference_plots import difference_picture
from holdfast.analysis.gallery import cards
from holdfast.analysis.gap_pictures import gap_chart, gap_picture
from holdfast.analysis.gaps import gap
from holdfast.analysis.html import rendered
from holdfast.analysis.pictures import data_uri, png
from holdfast.analysis.probability_pictures import histogram
from holdfast.analysis.published import comparable
from holdfast.analysis.radii import radii_for
from holdfast.analysis.run_comparison import compare_runs
from holdfast.analysis.summaries import summarize
from holdfast.analysis.wording.attacks import attack_lines, upper_curve
from holdfast.analysis.wording.imported import claims
from holdfast.errors import RunError, UsageError
from holdfast.outputs import whole_file
from holdfast.types import Norm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.analysis.changes import Change
    from holdfast.analysis.class_tables import ClassTable
    from holdfast.analysis.gallery import Card
    from holdfast.analysis.gaps import Gap
    from holdfast.analysis.published import PublishedFigure
    from holdfast.analysis.run_comparison import RunComparison
    from holdfast.analysis.runs import CertifiedRun
    from holdfast.analysis.summaries import Summary
    from holdfast.analysis.tables import Table
    from holdfast.folders import Where
    from holdfast.store.attack import AttackRun

# Adversarials shown of an attack, and the most pixels of a picture's longer side.
_MOST_CHANGES = 6
_WIDEST = 160
_MARKS = {"correct": "✓", "wrong": "✗", "uncertified": "○"}


@dataclass(frozen=True)
class Comparison:
    """A published figure beside the run's own: quantity, own value with interval, published value, source, setting."""

    quantity: str
    ours: str
    theirs: str
    cite: str
    setting: str


@dataclass(frozen=True)
class ShownChange:
    """An adversarial: its index, and each picture of it as a data URL with what it is and a caption."""

    index: int
    pictures: list[tuple[str, str, str]]


@dataclass(frozen=True)
class AttackSection:
    """The part of the page about one attack on a run's certificates."""

    name: str
    anchor: str
    gap: Gap
    upper_curve: str
    lines: list[str]
    spec: dict[str, Any]
    picture: str
    changes: list[ShownChange]


@dataclass(frozen=True)
class RunSection:
    """The part of the page about one run."""

    name: str
    anchor: str
    run: CertifiedRun
    words: wording.Words
    summary: Summary
    norm: Norm
    headline: str
    second_line: str
    warnings: list[str]
    limits: str
    speed: str | None
    spent: str
    comparisons: list[Comparison]
    histogram: str
    classes: ClassTable
    cards: list[Card]
    legend: str
    proved: list[str]
    attacks: list[AttackSection]
    entries: list[settings.Entry]
    raw: str


@dataclass(frozen=True)
class Differences:
    """Runs on the same images compared with each other, and the first minus the others as a picture."""

    found: RunComparison
    picture: str

    def shown(self) -> list[tuple[str, Table]]:
        """Each table with what it is about."""
        return list(zip(self.found.captions, self.found.tables, strict=True))


@dataclass(frozen=True)
class Group:
    """The runs of one norm, which share a chart and a table."""

    norm: Norm
    adversary: str
    sections: list[RunSection]
    intervals: str
    claimed: list[str]
    chosen: list[str]
    radii: list[float]
    spec: dict[str, Any]
    picture: str
    differences: Differences | None
    incomparable: str


def write_report(
    runs: Sequence[CertifiedRun],
    out: Where,
    radii: Sequence[float] | None = None,
    title: str | None = None,
    attacks: Sequence[AttackRun] = (),
) -> None:
    """Write the report on `runs` as one self-contained HTML file, completely or not at all.

    Args:
        runs: at least one, each with records; runs of different norms get separate charts and tables.
        out: the file.
        radii: at which the tables show certified accuracy, each at least 0; chosen for each norm if None.
        title: of the page.
        attacks: on certificates of these runs, shown beside them.

    Raises:
        UsageError: there are no runs, or an attack is on none of them.
        RunError: a run has no records, or its pictures are corrupt.
        MissingExtraError: altair, vl-convert-python or pillow is not installed.
        StorageError: the file cannot be written.
    """
    if not runs:
        raise UsageError("a report needs at least one run, got none; name the folder of a run")
    _check_attacks(runs, attacks)
    sections = _sections(runs, radii, attacks)
    norms = list(dict.fromkeys(section.norm for section in sections))
    groups = [_group(norm, [section for section in sections if section.norm is norm]) for norm in norms]
    page = rendered(
        "holdfast.analysis",
        "report.html",
        scripts=charts.scripts(),
        title=title or _title(runs),
        written=datetime.now(timezone.utc).strftime("%d %B %Y, %H:%M UTC"),
        unfinished=tables.unfinished([section.summary for section in sections]),
        sections=sections,
        groups=groups,
        assumptions=list(dict.fromkeys(line for section in sections for line in section.words.not_proved())),
        marks=_MARKS,
        formats=formats,
        change_legend=LEGEND,
    )
    with whole_file(out) as file:
        file.write(page.encode())


def _title(runs: Sequence[CertifiedRun]) -> str:
    sources = list(dict.fromkeys(run.data.source for run in runs))
    return f"Certified robustness on {', '.join(sources)}"


def _check_attacks(runs: Sequence[CertifiedRun], attacks: Sequence[AttackRun]) -> None:
    digests = {run.manifest.digest for run in runs}
    for attack in attacks:
        if attack.manifest.certification not in digests:
            raise UsageError(
                f"{attack.folder} attacked none of these runs; add the run that it attacked, or leave the attack out"
            )


def _sections(
    runs: Sequence[CertifiedRun], radii: Sequence[float] | None, attacks: Sequence[AttackRun]
) -> list[RunSection]:
    return [
        _section(run, name, f"run-{number}", chosen, attacks)
        for number, (run, name, chosen) in enumerate(
            zip(runs, distinct_names(runs), radii_for(runs, radii), strict=True), 1
        )
    ]


def _section(
    run: CertifiedRun, name: str, anchor: str, radii: Sequence[float], attacks: Sequence[AttackRun]
) -> RunSection:
    summary, words = summarize(run, radii), wording.words_of(run)
    own = [attack for attack in attacks if attack.manifest.certification == run.manifest.digest]
    legend = "" if run.noise is None else run.noise.legend
    return RunSection(
        name=name,
        anchor=anchor,
        run=run,
        words=words,
        summary=summary,
        norm=run.norm,
        headline=words.headline(summary),
        second_line=words.second_line(summary),
        warnings=[
            *words.warnings(),
            *(unfinished(attack) for attack in own if attack.missing),
            *(contradicted(attack) for attack in own if attack.alarms),
        ],
        limits=words.limits(),
        speed=words.speed(),
        spent=wording.spent(summary),
        comparisons=_comparisons(run, summary),
        histogram="" if summary.probabilities is None else histogram(summary.probabilities),
        classes=class_table(run, radii),
        cards=cards(run),
        legend=f" ({legend})" if legend else "",
        proved=words.proved(summary),
        attacks=[_attack(attack, run, f"{anchor}-attack-{number}") for number, attack in enumerate(own, 1)],
        entries=settings.entries(run),
        raw=run.manifest.to_json(),
    )


def unfinished(attack: AttackRun) -> str:
    """The warning about an attack that has not all records."""
    have = len(attack.records)
    return (
        f"The attack {attack.folder.name} is not finished: it has {have} of {have + attack.missing} examples so far. "
        f"Its numbers describe only these {have}; if they were taken in order, the others may differ from them."
    )


def contradicted(attack: AttackRun) -> str:
    """The warning about an attack that raised an alarm."""
    which = ", ".join(map(str, attack.alarms))
    return (
        f"The attack {attack.folder.name} contradicts {formats.counted(len(attack.alarms), 'certificate')} (example "
        f"{which}): it found another class within the certified radius. Find out why before you rely on this page; the "
        "inputs and votes are in the attack's evidence folder."
    )


def _attack(attack: AttackRun, run: CertifiedRun, anchor: str) -> AttackSection:
    drawn = gap(attack, run)
    return AttackSection(
        name=attack.folder.name,
        anchor=anchor,
        gap=drawn,
        upper_curve=upper_curve(drawn),
        lines=attack_lines(summarize_attack(attack), attack.manifest, run),
        spec=gap_chart(drawn),
        picture=gap_picture(drawn),
        changes=shown_changes(attack, _MOST_CHANGES),
    )


def shown_changes(attack: AttackRun, most: int) -> list[ShownChange]:
    """The first adversarials of an attack, as a page shows them; raises what `changes` raises."""
    return [_shown(change) for change in changes(attack, most)]


def _shown(change: Change) -> ShownChange:
    files = [data_uri(png(picture, most=_WIDEST)) for picture in change.pictures]
    return ShownChange(change.index, list(zip(COLUMNS, files, change.captions, strict=True)))


def _group(norm: Norm, sections: list[RunSection]) -> Group:
    runs = [section.run for section in sections]
    spaces, lines = {run.space for run in runs}, curves(runs, charts.MOST_STEPS)
    return Group(
        norm=norm,
        adversary=wording.adversary(norm, spaces.pop() if len(spaces) == 1 else None),
        sections=sections,
        intervals=tables.intervals([section.summary for section in sections]),
        claimed=claims((section.name, section.summary.claimed) for section in sections),
        chosen=choices.cautions([(section.name, section.summary.chosen) for section in sections]),
        radii=list(sections[0].summary.certified_accuracy),
        spec=charts.chart(lines),
        picture=charts.picture(lines),
        **_differences(runs, list(sections[0].summary.certified_accuracy)),
    )


def _differences(runs: Sequence[CertifiedRun], radii: Sequence[float]) -> dict[str, Any]:
    """The runs compared with each other, or why they cannot be."""
    if len(runs) < 2:
        return {"differences": None, "incomparable": ""}
    try:
        found = compare_runs(runs, radii)
    except (RunError, UsageError) as error:
        return {"differences": None, "incomparable": str(error)}
    return {"differences": Differences(found, difference_picture(found.runs)), "incomparable": ""}


def _comparisons(run: CertifiedRun, summary: Summary) -> list[Comparison]:
    """Published figures beside the run's own, without radii at which both are zero."""
    figures = comparable(run)
    radii = [figure.radius for figure in figures if figure.radius is not None]
    ours = summarize(run, radii, summary.confidence) if radii else summary
    return [
        Comparison(_quantity(figure), _ours(ours, figure), figure.text, figure.cite, figure.param)
        for figure in figures
        if figure.radius is None or figure.value or ours.certified_accuracy[figure.radius].value
    ]


def _ours(summary: Summary, figure: PublishedFigure) -> str:
    """The run's own value of a published figure, shares with their interval."""
    if figure.radius is not None:
        return formats.with_interval(summary.certified_accuracy[figure.radius])
    if figure.metric == "abstained":
        return formats.with_interval(summary.abstention_rate)
    if figure.metric == "classification accuracy":
        return formats.with_interval(summary.accuracy)
    return formats.radius(Norm(summary.norm), summary.median_certified_radius)


def _quantity(figure: PublishedFigure) -> str:
    if figure.radius is not None:
        return f"certified accuracy at L2 radius {formats.threshold(figure.radius)}"
    names = {"median certified robustness": "median certified radius [pixels]", "abstained": "abstention rate"}
    return names.get(figure.metric, "accuracy")
