"""Make untrusted text safe to show: characters that control a terminal, a page or a log, or are hidden, are escaped.

Everything that is printed, or put into a page, a picture or a table, goes through `visible`. Letters of all scripts
stay, with their accents, and so do pictographs and the joiners that they and some scripts need.
"""

from __future__ import annotations

import unicodedata

# Control, format, surrogate, private and unassigned characters, separators of lines and of paragraphs.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Visible format characters: signs before Arabic and Kaithi numbers and verses.
_SEEN = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u0890\u0891\u08e2\U000110bd\U000110cd")
# Invisible letters and marks: grapheme joiner, Hangul fillers, Khmer inherent vowels, blank Braille.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_NON_JOINER, _JOINER = "\u200c", "\u200d"
_TEXT_OR_PICTURE = "\ufe0e\ufe0f"
# Characters that are no symbols but become pictographs before a selector, or keys before an enclosing mark.
_PICTURED = frozenset("\u203c\u2049\u3030\u2139" + "0123456789#*")
_SKINS = range(0x1F3FB, 0x1F400)
# Most marks between two joined letters, or selectors and skin tones between two joined pictographs.
_BETWEEN = 8
# No language stacks more marks; a hundred would cover the neighbouring lines.
_MOST_MARKS = 6
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Python's stand-ins for bytes in file names that are not UTF-8.
_BYTES = range(0xDC80, 0xDD00)


def visible(text: object) -> str:
    r"""The text in one line, with hidden and control characters escaped: `\n`, `\x1b`, `\u202e`.

    Bytes in file names that are not UTF-8 become `\xe9`. The result can be encoded, and `visible` leaves it unchanged.
    """
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    text = _joined(text)
    return "".join(_visible(text, place) for place in range(len(text)))


def _joined(text: str) -> str:
    """Combine bytes that form letters: in the C locale, Python reads file names byte by byte."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text


def visible_lines(text: str, layout: str = "\n") -> str:
    """A trusted text of several lines, with the parts between characters in `layout` made `visible`."""
    return "".join(part if part in layout else visible(part) for part in _parted(text, layout))


def visible_document(document: object) -> object:
    """`visible` for every text in lists and dictionaries, including keys."""
    if isinstance(document, str):
        return visible(document)
    if isinstance(document, dict):
        return {visible_document(key): visible_document(value) for key, value in document.items()}
    return [visible_document(each) for each in document] if isinstance(document, (list, tuple)) else document


def _parted(text: str, layout: str) -> list[str]:
    parts, begin = [], 0
    for place, sign in enumerate(text):
        if sign in layout:
            parts += [text[begin:place], sign]
            begin = place + 1
    return [part for part in [*parts, text[begin:]] if part]


def _visible(text: str, place: int) -> str:
    sign = text[place]
    if " " <= sign <= "~":
        return sign
    category = unicodedata.category(sign)
    if category in _HIDDEN:
        seen = sign in _SEEN or (sign in (_JOINER, _NON_JOINER) and _joins(text, place))
    elif sign in _BLANK:
        seen = False
    elif _is_selector(sign):
        seen = _selects(text, place)
    elif category in ("Mn", "Me"):
        seen = _is_on_a_letter(text, place)
    else:
        seen = True
    return sign if seen else _spelled(sign)


def _spelled(sign: str) -> str:
    code = ord(sign)
    if code in _BYTES:
        code -= 0xDC00
    if sign in _SHORT:
        return _SHORT[sign]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _joins(text: str, place: int) -> bool:
    """Whether a joiner is at a position where scripts or pictographs use one."""
    ahead = text[max(0, place - _BETWEEN) : place]
    before, after = ahead.rstrip(_TEXT_OR_PICTURE)[-1:], text[place + 1 : place + 2]
    if not before or not after:
        return False
    if unicodedata.combining(before) == unicodedata.combining("\u094d"):
        # After a virama, in Indic scripts.
        return True
    if text[place] == _JOINER:
        return (_is_pictograph(before) or ord(before) in _SKINS) and _is_pictograph(after)
    letters = [sign for sign in ahead if not unicodedata.combining(sign)][-1:]
    return bool(letters) and all(unicodedata.bidirectional(sign) == "AL" for sign in (letters[0], after))


def _is_pictograph(sign: str) -> bool:
    return unicodedata.category(sign) in ("So", "Sm") and sign >= "\u2190"


def _is_selector(sign: str) -> bool:
    """Whether it is a variation selector, Mongolian ones included."""
    return "\ufe00" <= sign <= "\ufe0f" or "\U000e0100" <= sign <= "\U000e01ef" or sign in "\u180b\u180c\u180d\u180f"


def _selects(text: str, place: int) -> bool:
    base = text[place - 1 : place]
    if not base:
        return False
    if text[place] in _TEXT_OR_PICTURE:
        return unicodedata.category(base) == "So" or _is_pictograph(base) or base in _PICTURED
    return unicodedata.category(base) == "Lo"


def _is_on_a_letter(text: str, place: int) -> bool:
    """Whether a combining mark has a base, and not too many marks in between."""
    for number in range(1, _MOST_MARKS + 2):
        base = text[place - number] if place >= number else ""
        if not base or base in _BLANK:
            return False
        category = unicodedata.category(base)
        if category not in ("Mn", "Me"):
            carries = category[0] in "LMNS" and base > "~"
            return number <= _MOST_MARKS and (carries or base.isalnum() or base in _PICTURED)
    return False
