"""Texts as plain text in Markdown, LaTeX and CSV: none becomes markup, ends a cell, or begins a formula."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

# A number as tables have them, with its interval and unit: no markup is in it, and brackets stay readable.
_NUMBER = re.compile(r"[-+]?[0-9][0-9,]*(\.[0-9]+)?([eE][-+]?[0-9]+)?%?( \[[-+0-9.,%]+, [-+0-9.,%]+\])?")
_PLAIN_NUMBER = re.compile(r"[-+]?[0-9][0-9,]*(\.[0-9]+)?([eE][-+]?[0-9]+)?%?")
_MARKDOWN = re.compile(r"[\\`*_{}\[\]<>|~^$&#@!]|:(?=//)|(?<=www)\.")
# What makes a list, a heading or a line of a line of Markdown by standing first in it.
_FIRST = re.compile(r"[-+=]|[0-9]{1,9}(?=[.)](\s|$))")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # Active in some languages, and a curved one in some encodings.
    '"': r"{\char34}",
    # At the beginning of a line they would belong to the end of the line before.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
# Of two of these, LaTeX makes one other sign.
_JOINED = re.compile(r"(?<=[-',])(?=[-',])")
# What spreadsheets take for the beginning of a formula, in the widths of East Asia, too.
_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212")
# What they pass over before it.
_PASSED_OVER = " '\"`\u2018\u2019\u201c\u201d\uff02\uff07"


def markdown(text: str) -> str:
    """A text as Markdown shows it as it is, within a line or a cell."""
    text = visible(text)
    return text if _NUMBER.fullmatch(text) else _MARKDOWN.sub(r"\\\g<0>", text)


def markdown_line(line: str) -> str:
    """A line out of a text that `markdown` escaped, such that it begins no list and no heading."""
    found = _FIRST.match(line)
    if found is None:
        return line
    # Digits cannot be escaped, the sign behind them can.
    return f"{found[0]}\\{line[found.end() :]}" if found[0].isdigit() else f"\\{line}"


def latex(text: str) -> str:
    """A text as LaTeX prints it as it is, within a line or a cell."""
    text = visible(text)
    if _NUMBER.fullmatch(text):
        return text.replace("%", "\\%")
    return _JOINED.sub("{}", "".join(_LATEX.get(sign, sign) for sign in text))


def csv_line(cells: Sequence[str]) -> str:
    """A line of CSV with its end. Numbers stand as they are, all else in quotation marks."""
    return ",".join(map(_csv_cell, cells)) + "\n"


def _csv_cell(text: str) -> str:
    text = visible(text)
    if not text or (_PLAIN_NUMBER.fullmatch(text) and "," not in text):
        return text
    begins_formula = text.lstrip(_PASSED_OVER + _BLANKS)[:1] in _FORMULA
    quoted = text.replace('"', '""')
    return f'"\'{quoted}"' if begins_formula else f'"{quoted}"'


# All blanks that Unicode has besides the first one.
_BLANKS = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
