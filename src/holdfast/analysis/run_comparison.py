"""Runs on the same images compared with each other: at each radius, the images that only one of them certifies.

Derivation: docs/guarantees.md, "Which run certifies more".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any, final

from holdfast.analysis import choices, formats, markup, tables
from holdfast.analysis.accuracy import certified_accuracy
from holdfast.analysis.curves import distinct_names
from holdfast.analysis.dominance import Comparison, level_of
from holdfast.analysis.radii import radii_for
from holdfast.analysis.run_tables import checked_radii
from holdfast.analysis.shown import drawn, html_table
from holdfast.analysis.wording.imported import claims
from holdfast.errors import RunError, UsageError
from holdfast.stats.pairs import Difference, paired_difference
from holdfast.store.data_manifest import UNKNOWN
from holdfast.types import Norm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.analysis.tables import Table
    from holdfast.stats.datasets import Proportion

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class RadiusDifference:
    """Two runs at one radius.

    Attributes:
        radius: in the unit of the norm.
        first: certified accuracy of the first run, with its interval.
        second: that of the second run.
        found: the images, and how many only the first and only the second run certifies correctly.
        difference: the share that the first run certifies minus that of the second, with its paired interval.
        more: name of the run that is shown to certify more, by the sign test at the level of the comparison; None.
    """

    radius: float
    first: Proportion
    second: Proportion
    found: Comparison
    difference: Difference
    more: str | None

    @property
    def p_value(self) -> float:
        """One-sided exact sign test, for the run that is ahead on more images."""
        return ahead_first(self.found).p_value


@dataclass(frozen=True)
class RunPair:
    """Two runs, by the names of their folders.

    Attributes:
        first: the run that is subtracted from.
        second: the run that is subtracted.
        at: the two at each radius.
    """

    first: str
    second: str
    at: tuple[RadiusDifference, ...]


@final
@dataclass(frozen=True)
class RunComparison:
    """Which of several runs on the same images certifies more, at each radius; `print` shows it.

    Attributes:
        norm: of all radii.
        images: how many images all runs have records of.
        subset: which images, in plain words.
        assumed: what must be true besides for the intervals to be about other images.
        pairs: each two runs, in the order in which they were given.
        ordered: the number of ordered pairs in all of them, over all radii.
        level: of the sign test of each ordered pair, so that with 95% confidence none is called "more" wrongly.
        warnings: what must be known first.
        notes: what qualifies the radii: claims, and what was chosen.
        runs: that are compared, reduced to the images that all of them have.
    """

    norm: str
    images: int
    subset: str
    assumed: str
    pairs: tuple[RunPair, ...]
    ordered: int
    level: float
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    runs: tuple[CertifiedRun, ...] = field(repr=False)

    @property
    def tables(self) -> list[Table]:
        """Header and rows for people, a table for each pair."""
        header = ["Radius", "A", "B", "Only A : B", "A - B, points", "p", "More"]
        return [(header, [_cells(each, pair) for each in pair.at]) for pair in self.pairs]

    @property
    def captions(self) -> list[str]:
        """What each table is about."""
        return [f"A: {pair.first}. B: {pair.second}." for pair in self.pairs]

    @property
    def caption(self) -> str:
        """What the numbers of all tables mean."""
        norm = Norm(self.norm)
        notes = "".join(f"{note} " for note in self.notes)
        return (
            f"{notes}Subset: {self.subset}, the same for all runs. {norm.value} radii are in {norm.unit}. A, B: share "
            "certified correct at the radius. Only A : B: images that only A and only B certifies. A - B: difference "
            "of the shares that the two procedures certify, with its paired 95% interval, at one radius at a time. "
            f"{self.assumed} p: exact sign test, one-sided, of the images on which the two differ. More: which run "
            f"certifies more, if p is at most {self.level:.2g}: with 95% confidence none of the {self.ordered} ordered "
            "pairs is called so wrongly; -: not shown."
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers unrounded, as `holdfast table --compare --json` prints them."""
        return {
            "norm": self.norm,
            "images": self.images,
            "subset": self.subset,
            "runs": [run.name for run in self.runs],
            "ordered": self.ordered,
            "level": self.level,
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "pairs": [
                {"first": pair.first, "second": pair.second, "radii": [_entry(each) for each in pair.at]}
                for pair in self.pairs
            ],
        }

    def to_markdown(self) -> str:
        """The tables with their captions in Markdown."""
        above = [self.warnings, *((),) * (len(self.pairs) - 1)]
        return "\n".join(map(tables.markdown_of, self.tables, self._below(), above))

    def to_latex(self) -> str:
        """The tables with their captions in LaTeX, for the package booktabs."""
        above = [self.warnings, *((),) * (len(self.pairs) - 1)]
        return "\n".join(map(tables.latex_of, self.tables, self._below(), above))

    def to_csv(self) -> str:
        """A line for each pair and radius as CSV, with the ends of intervals in columns of their own."""
        header = ["First", "Second", "Radius", "Images", "First [%]", "Second [%]", "Only first", "Only second"]
        lines = [[*header, "Difference [points]", "Lower", "Upper", "p", "More"]]
        for pair in self.pairs:
            for each in pair.at:
                shares = [formats.percent(share.value) for share in (each.first, each.second)]
                found = [str(each.found.inputs), *shares, str(each.found.first), str(each.found.second)]
                ends = formats.points(each.difference)
                last = [f"{each.p_value:.6g}", each.more or ""]
                lines.append([pair.first, pair.second, formats.threshold(each.radius), *found, *ends, *last])
        return "".join(map(markup.csv_line, lines))

    def plot(self, ax: Any = None) -> Any:
        """Draw the differences over the radius, with their pointwise 95% bands.

        Args:
            ax: axes of matplotlib; None for new ones.

        Returns:
            The axes.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        from holdfast.analysis.difference_plots import draw_differences

        return draw_differences(self.runs, ax)

    def _below(self) -> list[str]:
        return [*self.captions[:-1], f"{self.captions[-1]} {self.caption}"]

    def __str__(self) -> str:
        parts = zip(self.captions, self.tables, strict=True)
        shown = [text for title, table in parts for text in (title, drawn(*table))]
        return "\n".join([*self.warnings, *shown, self.caption])

    def __repr__(self) -> str:
        return f"<RunComparison of {', '.join(run.name for run in self.runs)}; print() shows it>"

    def _repr_html_(self) -> str:
        below = [[text] for text in self._below()]
        below[0][:0] = self.warnings
        return "".join(html_table(*table, lines) for table, lines in zip(self.tables, below, strict=True))


def compare_runs(runs: Sequence[CertifiedRun], radii: Iterable[float] | None = None) -> RunComparison:
    """Compare runs on the same images, each two of them, at each radius.

    Args:
        runs: two or more, of one norm. What certifies them may differ: model, noise, theorem, n, alpha.
        radii: in the unit of the norm; None for radii that suit the runs.

    Raises:
        UsageError: fewer than two runs, one given twice, or a radius that is no finite number from 0 on.
        RunError: a run has no records, they are about different images, or their norms differ.
    """
    alike = same_images(runs)
    names = distinct_names(alike)
    at = radii_for(alike, None if radii is None else checked_radii(radii))[0]
    ordered = len(alike) * (len(alike) - 1) * len(at)
    level, named = level_of(ordered, _CONFIDENCE), dict(zip(names, alike, strict=True))
    subset = alike[0].subset
    return RunComparison(
        norm=alike[0].norm.value,
        images=len(alike[0].results),
        subset=subset.words,
        assumed=subset.assumed.replace("The interval assumes", "The intervals assume"),
        pairs=tuple(_pair(named, one, other, at, level) for one, other in combinations(named, 2)),
        ordered=ordered,
        level=level,
        warnings=tuple(
            text
            for name, run in zip(names, runs, strict=True)
            for text in tables.unfinished_of(name, len(run.results), run.run.missing)
        ),
        notes=(
            *claims((name, run.claimed) for name, run in named.items()),
            *choices.cautions([(name, run.chosen) for name, run in named.items()]),
        ),
        runs=tuple(alike),
    )


def same_images(runs: Sequence[CertifiedRun]) -> list[CertifiedRun]:
    """The runs, reduced to the images that all have records of, if they promise the same ones.

    Raises:
        UsageError: fewer than two runs, or one given twice.
        RunError: a run has no records, they are about different images, or their norms differ.
    """
    if len(runs) < 2:
        raise UsageError(
            f"runs are compared with each other, two or more, got {len(runs)}; `holdfast table RUN` shows one alone"
        )
    if len({str(run.folder) for run in runs}) < len(runs):
        raise UsageError("a run is given twice; give each one once")
    for run in runs:
        if not run.results:
            raise RunError(f"{run.folder} has no records yet: `holdfast certify` with the same settings adds them")
        check_comparable(runs[0], run)
    common = set.intersection(*({each.index for each in run.results} for run in runs))
    if not common:
        raise RunError("these runs have no image in common so far: finish them by the same `holdfast certify`")
    return [run.among(common) for run in runs]


def check_comparable(first: CertifiedRun, second: CertifiedRun) -> None:
    """Raise RunError unless two runs are about the same images, and their radii are of one norm.

    The images of an imported log have no hash: they are taken for the same if data set, indices and labels are.
    """
    ours, theirs = first.data, second.data
    hashes = {ours.sha256, theirs.sha256} - {UNKNOWN}
    labels = {each.index: each.label for each in first.results}
    different = [
        name
        for name, differ in (
            ("norms", first.norm is not second.norm),
            ("data", len(hashes) > 1 or (ours.source, ours.split) != (theirs.source, theirs.split)),
            ("images", _images(first) != _images(second)),
            ("labels", any(labels.get(each.index, each.label) != each.label for each in second.results)),
        )
        if differ
    ]
    if different:
        raise RunError(
            f"{first.folder} and {second.folder} have different {' and '.join(different)}: {_told(first)}, and "
            f"{_told(second)}; a difference is told only of runs on the same images, in one norm"
        )


def ahead_first(found: Comparison) -> Comparison:
    """The comparison with the one that is ahead on more inputs first."""
    return found if found.first >= found.second else Comparison(found.inputs, found.second, found.first)


def counted(first: CertifiedRun, second: CertifiedRun, radius: float) -> Comparison:
    """The images that only one of two runs on the same images certifies correctly at a radius."""
    pairs = zip(first.results, second.results, strict=True)
    sides = [(one.certified_radius >= radius, other.certified_radius >= radius) for one, other in pairs]
    return Comparison(len(sides), sum(a and not b for a, b in sides), sum(b and not a for a, b in sides))


def _images(run: CertifiedRun) -> set[int]:
    """The images that are to have records."""
    return set(run.data.indices()) if run.run.missing else {each.index for each in run.results}


def _told(run: CertifiedRun) -> str:
    return f"{run.norm.value} on {run.data.subset()}"


def _pair(named: Mapping[str, CertifiedRun], one: str, other: str, radii: Sequence[float], level: float) -> RunPair:
    first, second = named[one], named[other]
    at = []
    for radius in radii:
        found = counted(first, second, radius)
        leads = one if found.first >= found.second else other
        at.append(
            RadiusDifference(
                radius,
                certified_accuracy(first.results, radius, first.alpha),
                certified_accuracy(second.results, radius, second.alpha),
                found,
                paired_difference(found.first, found.second, found.inputs, _CONFIDENCE),
                leads if ahead_first(found).stronger(level) else None,
            )
        )
    return RunPair(one, other, tuple(at))


def _cells(each: RadiusDifference, pair: RunPair) -> list[str]:
    value, lower, upper = formats.points(each.difference)
    return [
        formats.threshold(each.radius),
        f"{formats.percent(each.first.value)}%",
        f"{formats.percent(each.second.value)}%",
        f"{each.found.first} : {each.found.second}",
        f"{value} [{lower}, {upper}]",
        f"{each.p_value:.2g}",
        {pair.first: "A", pair.second: "B"}.get(each.more or "", "-"),
    ]


def _entry(each: RadiusDifference) -> dict[str, Any]:
    return {
        "radius": each.radius,
        "first": vars(each.first),
        "second": vars(each.second),
        "images": each.found.inputs,
        "only_first": each.found.first,
        "only_second": each.found.second,
        "difference": vars(each.difference),
        "p_value": each.p_value,
        "more": each.more,
    }
