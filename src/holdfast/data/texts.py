"""Text files of data sets as text, whatever program wrote them."""

from __future__ import annotations

import codecs

from holdfast.errors import DataError

# UTF-32 first: its mark for little endian begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def text_of(content: bytes, name: object) -> str:
    """The text of a file: UTF-8, or UTF-8, UTF-16 or UTF-32 with a byte order mark, which is taken off.

    Other encodings are not guessed: Latin-1 can be read from any bytes, and would give wrong letters without a word.

    Args:
        content: of the file.
        name: what errors call it.

    Raises:
        DataError: it is in another encoding, or is no text.
    """
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        found = " ".join(f"{byte:02x}" for byte in content[error.start : error.start + 2])
        raise DataError(
            f"{name} is not text in {encoding.upper().removesuffix('-SIG')}: byte {error.start:,} is {found}; save it "
            "as UTF-8 (from Latin-1: `iconv -f latin1 -t utf-8`)"
        ) from error
    if "\0" in text:
        raise DataError(
            f"{name} has zero bytes, expected text in UTF-8; it is another kind of file, or UTF-16 without a byte "
            "order mark: save it as UTF-8"
        )
    return text
