"""Names of strangers in Markdown, LaTeX and CSV: read back, they are what they were, and the table is one."""

import csv
import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_runs import four

from holdfast.analysis import markup, tables
from holdfast.analysis.summaries import summarize
from holdfast.visible import visible
from holdfast.widths import width

markdown_it = pytest.importorskip("markdown_it", reason="rich brings it along")

ODD = [
    "a|b",
    "`code` ``x``",
    "<script>alert(1)</script>",
    "*bold* _under_ **x** ~~gone~~",
    "[link](http://x) ![i](y) [a]: b",
    "back\\slash \\| \\",
    "line\nbreak",
    "$x$ %c &amp; #1 {y} ~ ^",
    "- item",
    "# head",
    "1. one",
    "> quote",
    "+ = ---",
    "日本語 é 👩‍🔬",
    "\u202eevil\x1b[31m",
    "[0.5]",
    "*",
    "@user http://evil.example www.evil.example",
    "=cmd|' /C calc'!A0",
    "''quoted'' ``x''",
]
ANYTHING = st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=30) | st.text(
    "|`<>*_[]\\$%&#{}~^-=+ab1. "
)


def cells_of(text):
    """Rows of plain texts of the first table, and the texts of the paragraphs, as Markdown shows them."""
    tokens = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    rows, paragraphs, row, kinds = [], [], None, set()
    for before, token in zip([None, *tokens], tokens, strict=False):
        kinds.add(token.type)
        if token.type == "tr_open":
            row = []
            rows.append(row)
        if token.type == "inline":
            assert {child.type for child in token.children} <= {"text", "text_special", "softbreak"}, text
            words = "".join(" " if child.type == "softbreak" else child.content for child in token.children)
            (row if before.type in ("td_open", "th_open") else paragraphs).append(words)
    return rows, paragraphs, kinds


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    return summarize(four(tmp_path_factory.mktemp("markup") / "four"), [0.0, 0.25])


def odd(summary, name):
    return replace(summary, run=name, claimed="claims", noise=name)


@pytest.mark.parametrize("name", ODD)
def test_a_markdown_table_shows_names_as_they_are(summary, name):
    text = tables.markdown([odd(summary, name), summary])
    rows, paragraphs, kinds = cells_of(text)
    assert {kind for kind in kinds if kind.endswith("_open")} <= {
        *("table_open", "thead_open", "tbody_open", "tr_open", "th_open", "td_open", "paragraph_open")
    }
    assert len({len(row) for row in rows}) == 1
    assert " ".join(visible(name).split()) in {" ".join(cell.split()) for row in rows for cell in row}
    assert len(paragraphs) == 1
    assert " ".join(visible(name).split()) in " ".join(paragraphs[0].split())
    lines = text.split("\n\n")[0].splitlines()
    assert len({width(line) for line in lines}) == 1, "columns stand below each other"


@given(ANYTHING)
def test_any_text_is_plain_text_in_markdown(text):
    rows, _, _ = cells_of(f"| a | b |\n|---|---|\n| {markup.markdown(text)} | x |\n")
    assert [len(row) for row in rows] == [2, 2]
    assert rows[1][0].split() == visible(text).split()
    assert rows[1][1] == "x"
    line = markup.markdown_line(markup.markdown(f"{text} y").strip())
    _, paragraphs, kinds = cells_of(line + "\n")
    assert {kind for kind in kinds if kind.endswith("_open")} == {"paragraph_open"}
    assert " ".join(paragraphs).split() == visible(f"{text} y").split()


COMMANDS = {
    *("textbackslash", "textasciitilde", "textasciicircum", "textasciigrave", "textless", "textgreater", "textbar"),
    "char",
}


def read_latex(text):
    """What LaTeX prints, by the few things that our escapes are made of; anything else is an error."""
    signs = dict(zip(sorted(COMMANDS - {"char"}), "\\^`~|>", strict=False))
    signs = {
        **signs,
        "textbackslash": "\\",
        "textasciicircum": "^",
        "textasciigrave": "`",
        "textasciitilde": "~",
        "textbar": "|",
        "textgreater": ">",
        "textless": "<",
    }
    part = re.compile(r"\\(text[a-z]+)\{\}|\{\\char34\}|\\([&%$#_{}])|\{([\[\]*])\}|\{\}|([^\\{}&%$#_~^])")
    shown, place = "", 0
    while place < len(text):
        found = part.match(text, place)
        assert found, f"{text!r} at {place}"
        command, escaped, braced, plain = found.groups()
        shown += signs[command] if command else escaped or braced or plain or ('"' if "char" in found[0] else "")
        place = found.end()
    return shown


@given(ANYTHING)
def test_any_text_is_plain_text_in_latex(text):
    escaped = markup.latex(text)
    assert read_latex(escaped) == visible(text)
    assert not re.search(r"--|''|,,|``", escaped), "no ligature"
    assert escaped[:1] not in ("[", "*"), "would belong to the end of the line before"


@pytest.mark.parametrize("name", ODD)
def test_a_latex_table_keeps_its_form(summary, name):
    text = tables.latex([odd(summary, name)] * 5)
    body = text.split("\\toprule")[1].split("\\bottomrule")[0]
    rows = [line for line in body.splitlines() if line.endswith(r" \\")]
    assert len(rows) > 3
    assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) == 1
    cells = [read_latex(cell) for row in rows for cell in re.split(r"(?<!\\) & ", row.strip().removesuffix(r" \\"))]
    assert visible(name) in cells or visible(name).strip() in map(str.strip, cells)
    assert ("XeLaTeX" in text) == (not visible(name).isascii())


# The signs of East Asia's width, too.
SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
FORMULAS = [f"{before}{sign}1+1" for before in ("", " ", "'", '"', "\u3000") for sign in SIGNS]


@pytest.mark.parametrize("text", [*FORMULAS, "\t=1", "\r=1", "\n=1", "-2+3+cmd|' /C calc'!A0", "a;=1", 'a";=1'])
def test_no_cell_of_csv_begins_a_formula(summary, text):
    written = tables.csv_text([odd(summary, text)])
    header, row = csv.reader(io.StringIO(written))
    assert len(header) == len(row)
    cell = row[header.index("Run")]
    assert cell in (visible(text), "'" + visible(text))
    assert cell.startswith("'") or visible(text)[0] not in "=+-@"
    begins = re.match(rf"[\s\"']*[{re.escape(SIGNS)}]", visible(text))
    assert cell.startswith("'") == (begins is not None or text.startswith("'"))
    # Where a semicolon separates, the quotation marks still hold the cell together.
    assert f'"{cell.replace(chr(34), chr(34) * 2)}"' in written


def test_numbers_stay_numbers(summary):
    assert markup.csv_line(["-0.5", "+3", "12%", "1e-05", "-1", "", "1,000", "N/A", "-"]) == (
        '-0.5,+3,12%,1e-05,-1,,"1,000","N/A","\'-"\n'
    )
    header, row = csv.reader(io.StringIO(tables.csv_text([summary])))
    assert float(row[header.index("ACR")]) > 0
    for cell in ("75.0% [20.0, 99.3]", "0.25", "-3", "50%"):
        assert markup.markdown(cell) == cell
        assert markup.latex(cell) == cell.replace("%", "\\%")
