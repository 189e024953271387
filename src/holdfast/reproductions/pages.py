"""What a study shows, before it is text: tables of published and reproduced numbers, charts, and statements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.analysis import formats
from holdfast.stats.datasets import Proportion
from holdfast.stats.rounding import show_down

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.analysis.published import PublishedFigure

NOTHING = "-"


@dataclass(frozen=True)
class Measured:
    """A number of ours.

    Attributes:
        value: None where there is none (N/A).
        unit: "share" (of 1), "pixels", "points", "radius" (rounded down), or another, which is only shown in JSON.
        lower: of its interval; None where it has none, or no end there.
        upper: likewise.
        interval: whether it has an interval: what is computed exactly has none.
        digits: after the point, for other units than shares and pixels.
    """

    value: float | None
    unit: str
    lower: float | None = None
    upper: float | None = None
    interval: bool = False
    digits: int = 4

    @classmethod
    def share(cls, found: Proportion) -> Measured:
        """A share with its interval."""
        return cls(found.value, "share", found.lower, found.upper, True)

    @property
    def text(self) -> str:
        """As a reader sees it."""
        if self.unit == "share" and self.value is not None:
            if not self.interval:
                return f"{formats.percent(self.value)}%"
            return formats.with_interval(Proportion(self.value, self.lower or 0.0, self.upper or 0.0))
        middle = self._spell(self.value)
        return f"{middle} [{self._spell(self.lower)}, {self._spell(self.upper)}]" if self.interval else middle

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        document: dict[str, Any] = {"value": self.value, "unit": self.unit}
        return {**document, "lower": self.lower, "upper": self.upper} if self.interval else document

    def _spell(self, value: float | None) -> str:
        if value is None:
            return formats.NOT_AVAILABLE
        if self.unit == "pixels":
            return f"{value:,.0f}"
        if self.unit == "radius":
            return show_down(value, self.digits)
        return f"{value:+.1f}" if self.unit == "points" else f"{value:,.{self.digits}f}"


@dataclass(frozen=True)
class Row:
    """One quantity: as published, and as found here in each column of the table."""

    quantity: str
    published: PublishedFigure | None
    found: tuple[Measured | None, ...]

    @property
    def printed(self) -> str:
        """The published figure as a reader sees it."""
        return NOTHING if self.published is None else self.published.text

    @property
    def difference(self) -> str:
        """The first column less the published figure, in its unit; shares in points."""
        gap = self.gap
        if gap is None:
            return NOTHING
        unit, digits = (self.found[0].unit, self.found[0].digits) if self.found[0] else ("", 0)
        return f"{gap:+.0f}" if unit == "pixels" else f"{gap:+.1f}" if unit == "share" else f"{gap:+.{digits}f}"

    @property
    def gap(self) -> float | None:
        """The difference as a number; None where one of the two is not there."""
        first = self.found[0] if self.found else None
        if first is None or first.value is None or self.published is None or self.published.value is None:
            return None
        if first.unit == "share":
            share = self.published.share
            return None if share is None else 100.0 * (first.value - share)
        return first.value - self.published.value


@dataclass(frozen=True)
class Group:
    """Rows about one setting, which `settings` says in words."""

    title: str
    settings: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """A published table and what was found.

    Attributes:
        title: with the paper's number of the table.
        columns: names of what was found; the difference to the published figure is that of the first one.
        groups: of rows.
        notes: sentences below the table.
        differences: whether ours are less theirs: not where theirs are about other data, another population, another
            training set or another quantity.
        published: whether published figures are shown.
    """

    title: str
    columns: tuple[str, ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()
    differences: bool = True
    published: bool = True

    @property
    def _rows(self) -> list[Row]:
        return [row for group in self.groups for row in group.rows]

    @property
    def shows_published(self) -> bool:
        """Whether there is a column of published figures: not one that would be empty."""
        return self.published and any(row.published is not None for row in self._rows)

    @property
    def shows_differences(self) -> bool:
        """Whether there is a column of differences: not one that would be empty."""
        return self.shows_published and self.differences and any(row.gap is not None for row in self._rows)

    @property
    def header(self) -> list[str]:
        """Names of all columns."""
        first, *others = self.columns
        return [
            *("",),
            *(("published",) if self.shows_published else ()),
            first,
            *(("diff",) if self.shows_differences else ()),
            *others,
        ]

    def cells(self, row: Row) -> list[str]:
        """One line of the table."""
        first, *others = [NOTHING if each is None else each.text for each in row.found]
        return [
            row.quantity,
            *((row.printed,) if self.shows_published else ()),
            first,
            *((row.difference,) if self.shows_differences else ()),
            *others,
        ]


@dataclass(frozen=True)
class Chart:
    """A figure: its file beside the page, what it shows, and how it is drawn, as SVG text."""

    file: str
    title: str
    caption: str
    draw: Callable[[], str]


@dataclass(frozen=True)
class Statement:
    """Something that the paper says, or that was asked for, and whether it is so here.

    Attributes:
        text: what is said.
        holds: whether it is so; None where that is not judged.
        why: in the latter case, what the page says in the place of yes or no.
        regardless: whether it means something whatever the networks are, also where they are no better than guessing.
    """

    text: str
    holds: bool | None
    why: str = ""
    regardless: bool = False

    @property
    def verdict(self) -> str:
        """Yes, no, or why neither."""
        if self.holds is None:
            return self.why or "not judged"
        return "yes" if self.holds else "no"

    @classmethod
    def compared(cls, text: str, holds: bool, number: int, what: str, *, regardless: bool = False) -> Statement:
        """A statement about several things; where there are none, it would hold of nothing, and is not judged.

        Args:
            text: what is said.
            holds: whether it is so of all of them.
            number: of things compared.
            what: they are, as in "images with a certificate".
            regardless: as of the class.
        """
        if number:
            return cls(text, holds, regardless=regardless)
        return cls(text, None, f"not judged, since there are no {what}", regardless)


@dataclass(frozen=True)
class Page:
    """All that a study shows.

    Attributes:
        title: of the page.
        intro: paragraphs before the tables.
        tables: at least one.
        charts: after them.
        statements: that were checked against the numbers.
        notes: paragraphs at the end: where the differences come from.
        warning: what a reader must know first; empty for nothing.
    """

    title: str
    intro: tuple[str, ...]
    tables: tuple[Table, ...]
    charts: tuple[Chart, ...] = ()
    statements: tuple[Statement, ...] = ()
    notes: tuple[str, ...] = ()
    warning: str = ""
