"""The encoding of a text file, as declared by its byte-order mark."""

from __future__ import annotations

import codecs

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(content: bytes) -> str:
    """The encoding declared by the byte-order mark, as a name for `bytes.decode`; UTF-8 without a mark.

    Other encodings are not guessed: any bytes are valid Latin-1, which could silently give wrong letters.
    """
    return next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")


def without_mark(content: bytes) -> bytes:
    """The content without its byte-order mark, if it has one."""
    for mark, _ in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :]
    return content
