"""Escape texts for Markdown, LaTeX and CSV, so that none becomes markup, ends a cell or begins a formula."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

# A number in a table, with its interval: it holds no markup, and its brackets stay readable.
_NUMBER = re.compile(r"[-+]?[0-9][0-9,]*(\.[0-9]+)?([eE][-+]?[0-9]+)?%?( \[[-+0-9.,%]+, [-+0-9.,%]+\])?")
_PLAIN_NUMBER = re.compile(r"[-+]?[0-9][0-9,]*(\.[0-9]+)?([eE][-+]?[0-9]+)?%?")
_MARKDOWN = re.compile(r"[\\`*_{}\[\]<>|~^$&#@!]|:(?=//)|(?<=www)\.")
# What makes a line of Markdown a list, a heading or a rule when it stands first.
_FIRST = re.compile(r"[-+=]|[0-9]{1,9}(?=[.)](\s|$))")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # Active in some languages, and a curved quote in some encodings.
    '"': r"{\char34}",
    # At the start of a line, LaTeX reads them as arguments of the line break before.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
# LaTeX joins two of these into another character.
_JOINED = re.compile(r"(?<=[-',])(?=[-',])")
# What spreadsheets take for the beginning of a formula, including full-width forms.
_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212")
# Characters that they skip before it: quotation marks and all Unicode blanks.
_SKIPPED = (
    " '\"`\u2018\u2019\u201c\u201d\uff02\uff07"
    "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
)


def markdown(text: str) -> str:
    """Escape a text so that Markdown shows it unchanged, within a line or a cell."""
    text = visible(text)
    return text if _NUMBER.fullmatch(text) else _MARKDOWN.sub(r"\\\g<0>", text)


def markdown_line(line: str) -> str:
    """Escape the start of a line of `markdown` text, so that it begins no list and no heading."""
    found = _FIRST.match(line)
    if found is None:
        return line
    # Digits cannot be escaped, but the character after them can.
    return f"{found[0]}\\{line[found.end() :]}" if found[0].isdigit() else f"\\{line}"


def latex(text: str) -> str:
    """Escape a text so that LaTeX prints it unchanged, within a line or a cell."""
    text = visible(text)
    if _NUMBER.fullmatch(text):
        return text.replace("%", "\\%")
    return _JOINED.sub("{}", "".join(_LATEX.get(sign, sign) for sign in text))


def csv_line(cells: Sequence[str]) -> str:
    """A line of CSV with its line end. Numbers stay unquoted, all other texts are quoted."""
    return ",".join(map(_csv_cell, cells)) + "\n"


def _csv_cell(text: str) -> str:
    text = visible(text)
    if not text or (_PLAIN_NUMBER.fullmatch(text) and "," not in text):
        return text
    begins_formula = text.lstrip(_SKIPPED)[:1] in _FORMULA
    quoted = text.replace('"', '""')
    return f'"\'{quoted}"' if begins_formula else f'"{quoted}"'
