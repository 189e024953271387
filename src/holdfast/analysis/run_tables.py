"""The table of one run as an object: its cells, its numbers, and the forms in which it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from holdfast.analysis import extras, tables
from holdfast.analysis.radii import radii_for
from holdfast.analysis.shown import drawn, html_table
from holdfast.analysis.summaries import summarize
from holdfast.errors import UsageError
from holdfast.plain import is_real, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.analysis.summaries import Summary


@final
@dataclass(frozen=True)
class RunTable:
    """Accuracy, abstention, certified radii and certified accuracy of a run, each with its interval.

    `print(table)` shows it as `holdfast table` does, and a notebook shows it as a table.

    Attributes:
        summaries: the numbers, unrounded: one summary for each run.
    """

    summaries: tuple[Summary, ...]

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return tables.table_rows(self.summaries)[0]

    @property
    def rows(self) -> list[list[str]]:
        """The cells as they are shown, rounded for people: one row for each run."""
        return tables.table_rows(self.summaries)[1]

    @property
    def caption(self) -> str:
        """What the numbers are about: subset, intervals, units, and what was chosen."""
        return tables.caption(self.summaries)

    def to_dict(self) -> list[dict[str, Any]]:
        """The numbers unrounded, as `holdfast table --json` prints them: one entry for each run."""
        return tables.as_json(self.summaries)

    def to_dataframe(self) -> Any:
        """The numbers unrounded as a `pandas.DataFrame`: a row for each radius, with the ends of its interval.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        pandas = extras.load("pandas", "Making a data frame", "pandas")
        rows = [
            {
                "run": each.run,
                "radius": radius,
                "certified_accuracy": share.value,
                "lower": share.lower,
                "upper": share.upper,
            }
            for each in self.summaries
            for radius, share in each.certified_accuracy.items()
        ]
        return pandas.DataFrame(rows, columns=["run", "radius", "certified_accuracy", "lower", "upper"])

    def to_markdown(self) -> str:
        """The table and its caption in Markdown."""
        return tables.markdown(self.summaries)

    def to_latex(self) -> str:
        """The table and its caption in LaTeX, for the package booktabs."""
        return tables.latex(self.summaries)

    def to_csv(self) -> str:
        """The table as CSV, with the ends of each interval in columns of their own."""
        return tables.csv_text(self.summaries)

    def __str__(self) -> str:
        return "\n".join(
            [*tables.unfinished(self.summaries), drawn(*tables.fitted(self.summaries)), tables.caption(self.summaries)]
        )

    def __repr__(self) -> str:
        radii = len(self.summaries[0].certified_accuracy)
        return f"<RunTable of {', '.join(each.run for each in self.summaries)} at {radii} radii; print() shows it>"

    def _repr_html_(self) -> str:
        header, rows = tables.fitted(self.summaries)
        return html_table(header, rows, [*tables.unfinished(self.summaries), tables.caption(self.summaries)])


def table_of(run: CertifiedRun, radii: Iterable[float] | None) -> RunTable:
    """The table of a run at some radii, or at those that suit it.

    Raises:
        UsageError: a radius is no finite number from 0 on.
        RunError: the run has no records.
    """
    return RunTable((summarize(run, radii_of(run, radii)),))


def radii_of(run: CertifiedRun, radii: Iterable[float] | None) -> Sequence[float]:
    """The radii of a table of one run: those that are wanted, or those that suit it.

    Raises:
        UsageError: a radius is no finite number from 0 on.
    """
    (at,) = radii_for([run], None if radii is None else checked_radii(radii))
    return at


def checked_radii(radii: Iterable[float]) -> Sequence[float]:
    """The radii, sorted, each once.

    Raises:
        UsageError: one is no finite number from 0 on.
    """
    given = [plain(radius) for radius in radii]
    wrong = [radius for radius in given if not (is_real(radius) and radius >= 0.0)]
    if wrong or not given:
        found = repr(wrong[0]) if wrong else "none"
        raise UsageError(f"radii are finite numbers from 0 on, as in [0, 0.25, 0.5]; got {found}")
    return sorted({float(radius) for radius in given})
