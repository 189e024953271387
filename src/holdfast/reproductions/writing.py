"""Write a page as Markdown, HTML, text for a terminal of 80 columns, or a JSON document."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from holdfast.analysis import markup
from holdfast.analysis.html import rendered
from holdfast.analysis.pictures import data_uri
from holdfast.visible import visible
from holdfast.widths import padded, width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.reproductions.pages import Gallery, Page, Statement, Table

_WIDTH = 80


def markdown(page: Page) -> str:
    """The page as Markdown; charts and pictures are files beside it."""
    plain = markup.markdown
    lines = [f"# {plain(page.title)}", ""]
    if page.warning:
        lines += [f"> **{plain(page.warning)}**", ""]
    lines += _paragraphs(page.intro)
    for table in page.tables:
        lines += [f"## {plain(table.title)}", "", *_markdown_table(table), "", *_paragraphs(table.notes)]
    for chart in page.charts:
        title = plain(chart.title)
        lines += [f"## {title}", "", f"![{title}]({chart.file})", "", *_paragraphs([chart.caption])]
    for gallery in page.pictures:
        lines += [f"## {plain(gallery.title)}", "", *_paragraphs([gallery.caption]), *_markdown_gallery(gallery), ""]
    if page.statements:
        lines += ["## What was checked", "", *(f"* {plain(_sentence(each))}" for each in page.statements), ""]
    if page.notes:
        lines += ["## Where differences come from", "", *_paragraphs(page.notes)]
    return "\n".join(lines)


def _paragraphs(texts: Iterable[str]) -> list[str]:
    return [line for text in texts for line in (markup.markdown_line(markup.markdown(text)), "")]


def text(page: Page) -> str:
    """The page as text for a terminal, without charts; pictures are only named."""
    blocks = [page.title, *((page.warning,) if page.warning else ()), *page.intro]
    lines = [line for block in blocks for line in [*_wrapped(block), ""]]
    for table in page.tables:
        lines += [visible(table.title), *_text_table(table), ""]
        lines += [line for note in table.notes for line in [*_wrapped(note), ""]]
    if page.pictures:
        lines += [*_wrapped(f"Pictures, on the page only: {'; '.join(each.title for each in page.pictures)}."), ""]
    for each in page.statements:
        lines += _wrapped(_sentence(each), first="* ", others="  ")
    if page.statements:
        lines.append("")
    lines += [line for note in page.notes for line in [*_wrapped(note), ""]]
    return "\n".join(lines)


def html(page: Page, command: str) -> str:
    """The page as one self-contained HTML file with its charts; `command` is the command that makes it.

    Raises:
        MissingExtraError: jinja2, altair or vl-convert-python is not installed.
    """
    return rendered("holdfast.reproductions", "page.html", page=page, command=command, data_uri=data_uri)


def picture_files(page: Page) -> dict[str, bytes]:
    """The files of all pictures beside the page, by name."""
    return {name: file for gallery in page.pictures for name, file in gallery.files().items()}


def document(page: Page) -> dict[str, Any]:
    """The page as a JSON document: numbers unrounded, shares as fractions of 1."""
    return {
        "title": page.title,
        "warning": page.warning,
        "intro": list(page.intro),
        "tables": [_table_document(table) for table in page.tables],
        "charts": [{"title": chart.title, "file": chart.file} for chart in page.charts],
        "pictures": [_gallery_document(gallery) for gallery in page.pictures],
        "statements": [{"text": each.text, "holds": each.holds, "verdict": each.verdict} for each in page.statements],
        "notes": list(page.notes),
    }


def _gallery_document(gallery: Gallery) -> dict[str, Any]:
    return {
        "title": gallery.title,
        "caption": gallery.caption,
        "columns": list(gallery.columns),
        "rows": [
            {
                "title": strip.title,
                "pictures": [
                    {"file": gallery.name(row, column), "caption": picture.caption}
                    for column, picture in enumerate(strip.pictures)
                ],
            }
            for row, strip in enumerate(gallery.strips)
        ],
    }


def _table_document(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "notes": list(table.notes),
        "rows": [
            {
                "group": group.title,
                "settings": group.settings,
                "quantity": row.quantity,
                "published": None
                if row.published is None
                else {"value": row.published.value, "unit": row.published.unit, "source": row.published.cite},
                "found": {
                    name: None if each is None else each.to_dict()
                    for name, each in zip(table.columns, row.found, strict=True)
                },
            }
            for group in table.groups
            for row in group.rows
        ],
    }


def _markdown_table(table: Table) -> list[str]:
    lines = [_bar(table.header), "| " + " | ".join(["---", *["---:"] * (len(table.header) - 1)]) + " |"]
    for group in table.groups:
        if group.title:
            settings = f" ({markup.markdown(group.settings)})" if group.settings else ""
            about = f"**{markup.markdown(group.title)}**{settings}"
            lines.append("| " + " | ".join([about, *[""] * (len(table.header) - 1)]) + " |")
        lines += [_bar(table.cells(row)) for row in group.rows]
    return lines


def _markdown_gallery(gallery: Gallery) -> list[str]:
    def cell(row: int, column: int) -> str:
        caption = markup.markdown(gallery.strips[row].pictures[column].caption)
        shown = f"![{markup.markdown(gallery.alt(row, column))}]({gallery.name(row, column)})"
        return f"{shown}<br>{caption}" if caption else shown

    count = len(gallery.columns)
    lines = [_bar(["", *gallery.columns]), "| " + " | ".join(["---"] * (count + 1)) + " |"]
    for row, strip in enumerate(gallery.strips):
        cells = [markup.markdown(strip.title), *(cell(row, column) for column in range(count))]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _bar(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(markup.markdown, cells)) + " |"


def _text_table(table: Table) -> list[str]:
    rows = [[visible(cell) for cell in table.cells(row)] for group in table.groups for row in group.rows]
    indent = 2 if any(group.title for group in table.groups) else 0
    widths = [max(map(width, column)) for column in zip(table.header, *rows, strict=True)]
    widths[0] += indent

    def line(cells: Sequence[str], shift: int = 0) -> str:
        first = padded(" " * shift + visible(cells[0]), widths[0])
        others = (padded(visible(cell), wide, right=True) for cell, wide in zip(cells[1:], widths[1:], strict=True))
        return "  ".join([first, *others]).rstrip()

    lines = [line(table.header)]
    for group in table.groups:
        if group.title:
            about = f"{group.title}: {group.settings}" if group.settings else group.title
            lines += _wrapped(about)
        lines += [line(table.cells(row), indent) for row in group.rows]
    return lines


def _wrapped(paragraph: str, first: str = "", others: str = "") -> list[str]:
    """Wrap a paragraph for the terminal; names such as cohen-cifar10 stay whole."""
    return textwrap.wrap(
        visible(paragraph), _WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False
    )


def _sentence(statement: Statement) -> str:
    return f"{statement.text}: {statement.verdict}."
