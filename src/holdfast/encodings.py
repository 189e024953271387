"""How a text file says in which encoding it is: by a byte-order mark."""

from __future__ import annotations

import codecs

# UTF-32 first: its mark for little endian begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(content: bytes) -> str:
    """The name of the encoding that the mark at the beginning stands for, for `bytes.decode`; UTF-8 without one.

    Other encodings are not guessed: Latin-1 can be read from any bytes, and would give wrong letters without a word.
    """
    return next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")


def without_mark(content: bytes) -> bytes:
    """The content behind its byte-order mark, if it has one."""
    for mark, _ in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :]
    return content
