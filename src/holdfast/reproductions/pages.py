"""The contents of a study's page as data: tables of published and reproduced numbers, charts, pictures, statements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.analysis import formats
from holdfast.analysis.pictures import png
from holdfast.stats.datasets import Proportion
from holdfast.stats.rounding import show_down

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from holdfast.analysis.published import PublishedFigure

NOTHING = "-"
# Smaller pictures are enlarged to this many pixels a side.
_LEAST_SIDE = 112


@dataclass(frozen=True)
class Measured:
    """A reproduced number.

    Attributes:
        value: None if there is none (N/A).
        unit: "share" (of 1), "pixels", "points", "radius" (rounded down), or another, which only JSON shows.
        lower: lower end of the interval; None without an interval or without this end.
        upper: upper end, likewise.
        interval: whether it has an interval; exact numbers have none.
        digits: decimals, for units other than shares, pixels and points.
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
        """The number as a page shows it."""
        if self.unit == "share" and self.value is not None:
            if not self.interval:
                return f"{formats.percent(self.value)}%"
            return formats.with_interval(Proportion(self.value, self.lower or 0.0, self.upper or 0.0))
        middle = self._spell(self.value)
        return f"{middle} [{self._spell(self.lower)}, {self._spell(self.upper)}]" if self.interval else middle

    def to_dict(self) -> dict[str, Any]:
        """The number for JSON."""
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
    """One quantity: as published, and as reproduced in each column of the table."""

    quantity: str
    published: PublishedFigure | None
    found: tuple[Measured | None, ...]

    @property
    def printed(self) -> str:
        """The published figure as a page shows it."""
        return NOTHING if self.published is None else self.published.text

    @property
    def difference(self) -> str:
        """The first column minus the published figure, in its unit; for shares, in percentage points."""
        gap = self.gap
        if gap is None:
            return NOTHING
        unit, digits = (self.found[0].unit, self.found[0].digits) if self.found[0] else ("", 0)
        return f"{gap:+.0f}" if unit == "pixels" else f"{gap:+.1f}" if unit == "share" else f"{gap:+.{digits}f}"

    @property
    def gap(self) -> float | None:
        """The difference as a number; None if one of the two is missing."""
        first = self.found[0] if self.found else None
        if first is None or first.value is None or self.published is None or self.published.value is None:
            return None
        if first.unit == "share":
            share = self.published.share
            return None if share is None else 100.0 * (first.value - share)
        return first.value - self.published.value


@dataclass(frozen=True)
class Group:
    """Rows of one setting, which `settings` describes."""

    title: str
    settings: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """A published table beside the reproduced numbers.

    Attributes:
        title: with the paper's number of the table.
        columns: names of the reproduced columns; differences are those of the first one.
        groups: of rows.
        notes: sentences below the table.
        differences: whether to show differences. They make no sense if the published figures are for other data,
            another population, another training set or another quantity.
        published: whether to show published figures.
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
        """Whether there is a column of published figures; an empty one is left out."""
        return self.published and any(row.published is not None for row in self._rows)

    @property
    def shows_differences(self) -> bool:
        """Whether there is a column of differences; an empty one is left out."""
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
        """The cells of one row."""
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
    """A figure: its file beside the page, what it shows, and the function that draws it as SVG text."""

    file: str
    title: str
    caption: str
    draw: Callable[[], str]


@dataclass(frozen=True)
class Picture:
    """A picture of a gallery.

    Attributes:
        png: its file.
        caption: what stands under it, such as its class; empty for nothing.
    """

    png: bytes
    caption: str = ""

    @classmethod
    def of(cls, pixels: NDArray[np.uint8], caption: str = "") -> Picture:
        """A picture of `(height, width, 3)` pixels; small ones are enlarged, each pixel a square.

        Raises:
            MissingExtraError: pillow is not installed.
        """
        return cls(png(pixels, least=_LEAST_SIDE), caption)


@dataclass(frozen=True)
class Strip:
    """A row of a gallery: pictures of one thing, which its title names."""

    title: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Gallery:
    """Rows of pictures.

    Attributes:
        file: how the names of its files beside the page begin.
        title: what it shows.
        caption: what a reader must know, such as how changes are drawn.
        columns: what the pictures of each column are.
        strips: at least one row, each with one picture a column.
    """

    file: str
    title: str
    caption: str
    columns: tuple[str, ...]
    strips: tuple[Strip, ...]

    def __post_init__(self) -> None:
        for strip in self.strips:
            if len(strip.pictures) != len(self.columns):
                raise ValueError(
                    f"{self.file}: the row {strip.title!r} has {len(strip.pictures)} pictures, expected "
                    f"{len(self.columns)}, one for each of {', '.join(self.columns)}"
                )

    def name(self, row: int, column: int) -> str:
        """The name of a picture's file beside the page; rows and columns count from 0."""
        return f"{self.file}-{row + 1}-{column + 1}.png"

    def alt(self, row: int, column: int) -> str:
        """What a picture shows, for readers who do not see it."""
        strip = self.strips[row]
        return ", ".join(filter(None, (strip.title, self.columns[column], strip.pictures[column].caption)))

    def files(self) -> dict[str, bytes]:
        """The files of all pictures, by name."""
        return {
            self.name(row, column): picture.png
            for row, strip in enumerate(self.strips)
            for column, picture in enumerate(strip.pictures)
        }


@dataclass(frozen=True)
class Statement:
    """A claim of the paper or a goal of the study, and whether it holds here.

    Attributes:
        text: the claim.
        holds: whether it holds; None if not judged.
        why: the verdict shown if not judged.
        regardless: whether it is meaningful whatever the networks are, even if they are no better than guessing.
    """

    text: str
    holds: bool | None
    why: str = ""
    regardless: bool = False

    @property
    def verdict(self) -> str:
        """Yes, no, or why it is not judged."""
        if self.holds is None:
            return self.why or "not judged"
        return "yes" if self.holds else "no"

    @classmethod
    def compared(cls, text: str, holds: bool, number: int, what: str, *, regardless: bool = False) -> Statement:
        """A statement about several things; without any, it would hold vacuously and is not judged.

        Args:
            text: the claim.
            holds: whether it holds for all of them.
            number: how many things are compared.
            what: the things, as in "images with a certificate".
            regardless: see the class.
        """
        if number:
            return cls(text, holds, regardless=regardless)
        return cls(text, None, f"not judged, since there are no {what}", regardless)


@dataclass(frozen=True)
class Page:
    """The page of a study.

    Attributes:
        title: of the page.
        intro: paragraphs before the tables.
        tables: at least one.
        charts: after the tables.
        statements: checked against the numbers.
        notes: paragraphs at the end, on where differences come from.
        warning: what a reader must know first; empty for nothing.
        pictures: galleries, after the charts.
    """

    title: str
    intro: tuple[str, ...]
    tables: tuple[Table, ...]
    charts: tuple[Chart, ...] = ()
    statements: tuple[Statement, ...] = ()
    notes: tuple[str, ...] = ()
    warning: str = ""
    pictures: tuple[Gallery, ...] = ()
