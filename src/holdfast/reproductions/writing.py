"""A page as Markdown, as HTML, as text for a terminal of 80 columns, and as a document for machines."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from holdfast.analysis.html import rendered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.reproductions.pages import Page, Statement, Table

_WIDTH = 80


def markdown(page: Page) -> str:
    """The page with its tables; charts are images beside it."""
    lines = [f"# {page.title}", ""]
    if page.warning:
        lines += [f"> **{page.warning}**", ""]
    for paragraph in page.intro:
        lines += [paragraph, ""]
    for table in page.tables:
        lines += [f"## {table.title}", "", *_markdown_table(table), ""]
        lines += [line for note in table.notes for line in (note, "")]
    for chart in page.charts:
        lines += [f"## {chart.title}", "", f"![{chart.title}]({chart.file})", "", chart.caption, ""]
    if page.statements:
        lines += ["## What was checked", "", *(f"* {_said(each)}" for each in page.statements), ""]
    if page.notes:
        lines += ["## Where differences come from", ""]
        lines += [line for note in page.notes for line in (note, "")]
    return "\n".join(lines)


def text(page: Page) -> str:
    """The page for a terminal, without charts."""
    blocks = [page.title, *((page.warning,) if page.warning else ()), *page.intro]
    lines = [line for block in blocks for line in [*_wrapped(block), ""]]
    for table in page.tables:
        lines += [table.title, *_text_table(table), ""]
        lines += [line for note in table.notes for line in [*_wrapped(note), ""]]
    for each in page.statements:
        lines += _wrapped(_said(each), first="* ", others="  ")
    if page.statements:
        lines.append("")
    lines += [line for note in page.notes for line in [*_wrapped(note), ""]]
    return "\n".join(lines)


def html(page: Page, command: str) -> str:
    """The page as one file that loads nothing, charts included; `command` is what makes it anew.

    Raises:
        MissingExtraError: jinja2, altair or vl-convert-python is not installed.
    """
    return rendered("holdfast.reproductions", "page.html", page=page, command=command)


def document(page: Page) -> dict[str, Any]:
    """The page for machines: numbers unrounded, shares as fractions of 1."""
    return {
        "title": page.title,
        "warning": page.warning,
        "intro": list(page.intro),
        "tables": [_table_document(table) for table in page.tables],
        "charts": [{"title": chart.title, "file": chart.file} for chart in page.charts],
        "statements": [{"text": each.text, "holds": each.holds, "verdict": each.verdict} for each in page.statements],
        "notes": list(page.notes),
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
    lines = [_bar(table.header), _bar(["---", *["---:"] * (len(table.header) - 1)])]
    for group in table.groups:
        about = f"**{group.title}**" + (f" ({group.settings})" if group.settings else "")
        if group.title:
            lines.append(_bar([about, *[""] * (len(table.header) - 1)]))
        lines += [_bar(table.cells(row)) for row in group.rows]
    return lines


def _bar(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _text_table(table: Table) -> list[str]:
    rows = [table.cells(row) for group in table.groups for row in group.rows]
    indent = 2 if any(group.title for group in table.groups) else 0
    widths = [max(len(line[place]) for line in [table.header, *rows]) for place in range(len(table.header))]
    widths[0] += indent

    def line(cells: Sequence[str], shift: int = 0) -> str:
        first = (" " * shift + cells[0]).ljust(widths[0])
        rest = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
        return "  ".join([first, *rest]).rstrip()

    lines = [line(table.header)]
    for group in table.groups:
        if group.title:
            about = f"{group.title}: {group.settings}" if group.settings else group.title
            lines += _wrapped(about)
        lines += [line(table.cells(row), indent) for row in group.rows]
    return lines


def _wrapped(paragraph: str, first: str = "", others: str = "") -> list[str]:
    """Lines of a terminal, with indents; names such as cohen-cifar10 stay whole."""
    return textwrap.wrap(paragraph, _WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)


def _said(statement: Statement) -> str:
    return f"{statement.text}: {statement.verdict}."
