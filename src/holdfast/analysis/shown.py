"""What objects look like where they are shown: as text, as a terminal draws it, and in a notebook.

Texts of strangers are made visible and escaped here.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from holdfast.visible import visible
from holdfast.widths import padded, width

if TYPE_CHECKING:
    from collections.abc import Sequence


def drawn(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with lines around its cells; the first column is text, the others numbers."""
    lines = [[visible(cell) for cell in line] for line in (header, *rows)]
    widths = [max(width(line[place]) for line in lines) for place in range(len(header))]

    def rule(left: str, line: str, cross: str, right: str) -> str:
        return left + cross.join(line * (wide + 2) for wide in widths) + right

    def cells(line: Sequence[str], edge: str) -> str:
        laid = (
            padded(cell, wide, right=place > 0) for place, (cell, wide) in enumerate(zip(line, widths, strict=True))
        )
        return f"{edge} " + f" {edge} ".join(laid) + f" {edge}"

    return "\n".join(
        [
            rule("┏", "━", "┳", "┓"),
            cells(lines[0], "┃"),
            rule("┡", "━", "╇", "┩"),
            *(cells(line, "│") for line in lines[1:]),
            rule("└", "─", "┴", "┘"),
        ]
    )


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]], below: Sequence[str] = ()) -> str:
    """The same as HTML, with lines of text below."""
    head = "".join(f"<th>{_text(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{html_lines(below)}"


def html_lines(lines: Sequence[str]) -> str:
    """Lines of text as paragraphs of HTML."""
    return "".join(f"<p>{_text(line)}</p>" for line in lines)


def _text(text: object) -> str:
    return html.escape(visible(text))
