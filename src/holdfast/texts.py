"""Text files of data sets as text, whatever program wrote them."""

from __future__ import annotations

from holdfast.encodings import encoding_of
from holdfast.errors import DataError
from holdfast.stand_ins import refuse_stand_in


def text_of(content: bytes, name: object) -> str:
    """The text of a file: UTF-8, or UTF-8, UTF-16 or UTF-32 with a byte order mark, which is taken off.

    Args:
        content: content of the file.
        name: what errors call it.

    Raises:
        DataError: it is in another encoding, is not text, or something stands in its place (`holdfast.stand_ins`).
    """
    refuse_stand_in(content, name, DataError)
    encoding = encoding_of(content)
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
