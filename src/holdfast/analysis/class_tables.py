"""Certified accuracy class by class, balanced over the classes, and of the worst class."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

from holdfast.analysis import choices, formats, markup, tables
from holdfast.analysis.accuracy import certified_accuracy
from holdfast.analysis.run_tables import radii_of
from holdfast.analysis.shown import drawn, html_table
from holdfast.analysis.wording.imported import claims
from holdfast.errors import RunError
from holdfast.stats.classes import balanced_proportion, worst_proportion
from holdfast.types import Norm
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.analysis.tables import Table
    from holdfast.stats.datasets import Proportion

# Columns that a terminal has room for.
_TOGETHER = 3
_BALANCED, _WORST = "balanced", "worst class"


@dataclass(frozen=True)
class ClassRow:
    """One class.

    Attributes:
        name: of the class.
        examples: of the class that have a record.
        certified_accuracy: radius -> share of them, with its interval.
    """

    name: str
    examples: int
    certified_accuracy: dict[float, Proportion]


@final
@dataclass(frozen=True)
class ClassTable:
    """Certified accuracy of each class of a run, their mean, and the smallest one; `print` shows it.

    Attributes:
        run: name of the run's folder.
        norm: of the radii.
        alpha: failure probability of each certificate.
        subset: which examples, in plain words.
        covers: what the intervals account for.
        classes: those that have examples, in the order of the labels.
        absent: how many classes have none: nothing is said about these.
        balanced: radius -> mean over the classes, with its interval.
        worst: radius -> smallest share of a class, with its interval.
        worst_classes: radius -> names of the classes with this share.
        warnings: what must be known first.
        notes: what qualifies the radii: claims, and what was chosen.
    """

    run: str
    norm: str
    alpha: float
    subset: str
    covers: str
    classes: tuple[ClassRow, ...]
    absent: int
    balanced: dict[float, Proportion]
    worst: dict[float, Proportion]
    worst_classes: dict[float, tuple[str, ...]]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def table(self) -> Table:
        """Header and rows for people."""
        return self._at(list(self.balanced))

    @property
    def tables(self) -> list[Table]:
        """The same in parts that fit a terminal, a few radii each."""
        radii = list(self.balanced)
        return [self._at(radii[start : start + _TOGETHER]) for start in range(0, len(radii), _TOGETHER)]

    def _at(self, radii: list[float]) -> Table:
        header = ["Class", "Examples", *(f"r = {formats.threshold(radius)}" for radius in radii)]
        rows = [
            [
                each.name,
                str(each.examples),
                *(formats.with_interval(each.certified_accuracy[radius]) for radius in radii),
            ]
            for each in self.classes
        ]
        total = str(sum(each.examples for each in self.classes))
        rows.append([_BALANCED, total, *(formats.with_interval(self.balanced[radius]) for radius in radii)])
        rows.append([_WORST, "", *(formats.with_interval(self.worst[radius]) for radius in radii)])
        return header, rows

    @property
    def caption(self) -> str:
        """What the numbers mean."""
        norm = Norm(self.norm)
        classes = len(self.classes)
        absent = f" {self.absent} other classes have no examples: nothing is said about them." if self.absent else ""
        notes = "".join(f" {note}" for note in self.notes)
        return (
            f"{self.run}: {self.subset}.{notes} r = x: share of a class certified correct at {norm.value} radius x "
            f"({norm.unit}) or more. Balanced: the mean over the {classes} classes. Worst class: the smallest share of "
            "a class; its interval is for the smallest one in the population, whichever class that is."
            f"{absent} Intervals: 95%, each for one class and one radius, covering {self.covers}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers unrounded, as `holdfast table --by-class --json` prints them."""
        entries = asdict(self)
        for each in (*entries["classes"], entries):
            for key in ("certified_accuracy", "balanced", "worst", "worst_classes"):
                if key in each:
                    each[key] = {str(radius): value for radius, value in each[key].items()}
        return entries

    def to_markdown(self) -> str:
        """The table and its caption in Markdown."""
        return tables.markdown_of(self.table, self.caption, self.warnings)

    def to_latex(self) -> str:
        """The table and its caption in LaTeX, for the package booktabs."""
        return tables.latex_of(self.table, self.caption, self.warnings)

    def to_csv(self) -> str:
        """The table as CSV: a line for each class and radius, with the ends of its interval in columns of their own."""
        lines = [["Run", "Class", "Examples", "Radius", "Certified accuracy [%]", "Lower", "Upper"]]
        total = sum(each.examples for each in self.classes)
        rows = [(each.name, str(each.examples), each.certified_accuracy) for each in self.classes]
        for name, examples, shares in (*rows, (_BALANCED, str(total), self.balanced), (_WORST, "", self.worst)):
            for radius, share in shares.items():
                value = formats.percent(share.value)
                lines.append([self.run, name, examples, formats.threshold(radius), value, *formats.ends(share)])
        return "".join(map(markup.csv_line, lines))

    def __str__(self) -> str:
        return "\n".join([*self.warnings, *(drawn(*each) for each in self.tables), self.caption])

    def __repr__(self) -> str:
        return (
            f"<ClassTable of {self.run}: {len(self.classes)} classes at {len(self.balanced)} radii; print() shows it>"
        )

    def _repr_html_(self) -> str:
        return html_table(*self.table, [*self.warnings, self.caption])


def class_table(run: CertifiedRun, radii: Iterable[float] | None = None) -> ClassTable:
    """Certified accuracy of a run class by class.

    Args:
        run: with records.
        radii: at which certified accuracy is wanted; None for radii that suit the run.

    Raises:
        UsageError: a radius is no finite number from 0 on.
        RunError: the run has no records.
    """
    if not run.results:
        raise RunError(f"{run.folder} has no records yet: `holdfast certify` with the same settings adds them")
    at, names = radii_of(run, radii), run.data.class_names
    by_label = {label: [each for each in run.results if each.label == label] for label in range(len(names))}
    there = {label: results for label, results in by_label.items() if results}
    counts = {
        radius: {label: sum(each.certified_radius >= radius for each in there[label]) for label in there}
        for radius in at
    }
    sizes = [len(results) for results in there.values()]
    worst = {radius: worst_proportion(list(hits.values()), sizes, run.alpha) for radius, hits in counts.items()}
    return ClassTable(
        run=run.name,
        norm=run.norm.value,
        alpha=run.alpha,
        subset=run.subset.words,
        covers=run.subset.covers,
        classes=tuple(
            ClassRow(
                visible(names[label]),
                len(results),
                {radius: certified_accuracy(results, radius, run.alpha) for radius in at},
            )
            for label, results in there.items()
        ),
        absent=len(names) - len(there),
        balanced={
            radius: balanced_proportion(list(hits.values()), sizes, run.alpha) for radius, hits in counts.items()
        },
        worst=worst,
        worst_classes={
            radius: tuple(
                visible(names[label])
                for label, hits in counts[radius].items()
                if hits / len(there[label]) == worst[radius].value
            )
            for radius in at
        },
        warnings=tuple(tables.unfinished_of(run.name, len(run.results), run.run.missing)),
        notes=(
            *claims([(run.name, run.claimed)]),
            *choices.cautions([(run.name, run.chosen)]),
        ),
    )
