"""What strangers wrote as it may be shown: nothing steers a terminal or hides, and nothing that is text is lost."""

from __future__ import annotations

import re
import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import HoldfastError, RunError
from holdfast.visible import visible, visible_document, visible_lines
from holdfast.widths import padded, width

# Signs that are never shown as they are, wherever they stand: written out here, apart from the module's own rule.
STEERING = [
    *range(0x20),
    *range(0x7F, 0xA0),
    0xAD,
    0x34F,
    0x61C,
    0x115F,
    0x1160,
    0x180E,
    0x200B,
    0x200E,
    0x200F,
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    0x2800,
    0x3164,
    *range(0xD800, 0xE000),
    0xE000,
    0xFEFF,
    0xFFA0,
    *range(0xFFF0, 0xFFFC),
    0xFFFE,
    0xFFFF,
    0x1BCA0,
    0x1D173,
    *range(0xE0000, 0xE0080),
    0xF0000,
    0x10FFFF,
]
LEGITIMATE = [
    "plain ASCII, with <markup> & \\x1b as four signs",
    "日本語 한국어 汉字 葛\U000e0100",
    "Việt Nam e\u0301 Ελληνικά русский",
    "שלום العربية می‌خواهم",
    "कर्म र्‍य क्‌ष ตัวเก่า བསྒྲུབས ᠠ\u180b",
    "👩‍🔬 👩🏽‍🔬 ❤️ 👨‍👩‍👧‍👦 1️⃣ ‼️ 🙂‍↔️ 🇫🇷",
    "a\u00a0b\u3000c",
    "½ ≤ ∞ € ©️",
]


@pytest.mark.parametrize("around", ["", "a", "日", "👩", "ب"])
def test_signs_that_steer_or_hide_are_spelled_out_wherever_they_stand(around: str) -> None:
    for sign in map(chr, STEERING):
        shown = visible(f"{around}{sign}{around}")
        assert sign not in shown
        assert re.search(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[nrt])", shown)
        shown.encode("utf-8")


@pytest.mark.parametrize("text", LEGITIMATE)
def test_texts_of_all_scripts_stay_as_they_are(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat\nOK", "cat\\nOK"),
        ("\x1b[2J\x07\x9b", "\\x1b[2J\\x07\\x9b"),
        ("caf\udce9", "caf\\xe9"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u200db", "a\\u200db"),
        ("a\u200cb", "a\\u200cb"),
        ("👩\u200d", "👩\\u200d"),
        ("a\ufe0f", "a\\ufe0f"),
        ("\u0301x", "\\u0301x"),
        ("'\u0301", "'\\u0301"),
        ("e" + 8 * "\u0301", "e" + 6 * "\u0301" + 2 * "\\u0301"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_hides_is_written_as_python_writes_it(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(alphabet=st.characters(), max_size=40))
def test_any_text_comes_out_in_one_line_that_stays_as_it_is(text: str) -> None:
    shown = visible(text)
    assert visible(shown) == shown
    assert len(f"a{shown}b".splitlines()) == 1
    assert not any(unicodedata.category(sign) in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") for sign in shown)
    shown.encode("utf-8")


@pytest.mark.parametrize("sign", ["\u200d", "\u0301", "\ufe0f", "\u200c", "👩\u200d", "\x1b"])
def test_long_texts_take_no_longer_than_they_are_long(sign: str) -> None:
    begun = time.process_time()
    visible(sign * 100_000)
    assert time.process_time() - begun < 5.0


def test_lines_and_documents_keep_their_form() -> None:
    assert visible_lines("a\n\x1bb\n") == "a\n\\x1bb\n"
    assert visible_lines("a\tb\n", "\n\t") == "a\tb\n"
    assert visible_document({"\x1b": ["\u202e", 1, None, ("\x07",)]}) == {"\\x1b": ["\\u202e", 1, None, ["\\x07"]]}


def test_errors_show_what_they_quote_and_keep_their_own_lines() -> None:
    error = RunError("the class cat\nOK\x1b[0m", "  second line\u202e")
    assert str(error) == "the class cat\\nOK\\x1b[0m\n  second line\\u202e"
    assert error.lines == ("the class cat\\nOK\\x1b[0m", "  second line\\u202e")
    assert str(HoldfastError()) == ""


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("日本", 4), ("e\u0301", 1), ("👩‍🔬", 2), ("👩🏽", 2), ("❤️", 2), ("한국", 4), ("ﾊ", 1), ("", 0)],
)
def test_columns_are_counted_as_terminals_do(text: str, columns: int) -> None:
    assert width(text) == columns
    assert width(padded(text, 9)) == width(padded(text, 9, right=True)) == 9
    assert padded(text, 1).strip() == text


def test_nothing_is_shown_that_the_python_of_the_reader_does_not_know() -> None:
    """Unassigned signs may become anything in a later Unicode."""
    unassigned = [code for code in range(0x378, 0x3000) if unicodedata.category(chr(code)) == "Cn"]
    assert len(unassigned) > 10
    assert all(chr(code) not in visible(chr(code)) for code in unassigned)
    assert sys.maxunicode == 0x10FFFF
