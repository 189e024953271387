"""The width of texts in columns of a terminal."""

from __future__ import annotations

import unicodedata

_JOINER, _AS_PICTURE = "\u200d", "\ufe0f"
_SKINS = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"


def width(text: str) -> int:
    """The number of columns: 2 for East Asian letters and pictographs, 0 for combining marks."""
    if text.isascii():
        return len(text)
    columns, before = 0, ""
    for sign in text:
        columns += _columns(sign, before)
        before = sign
    return columns


def padded(text: str, columns: int, *, right: bool = False) -> str:
    """The text padded with blanks to `columns` columns, on its right or, with `right`, on its left."""
    blanks = " " * max(0, columns - width(text))
    return blanks + text if right else text + blanks


def _columns(sign: str, before: str) -> int:
    if sign == _AS_PICTURE:
        # The selector turns a narrow character into a pictograph of twice the width.
        return 1 if before and _alone(before) == 1 else 0
    # Joined pictographs count as one, and so do a pictograph and its skin tone.
    return 0 if before == _JOINER or (before and sign in _SKINS) else _alone(sign)


def _alone(sign: str) -> int:
    if unicodedata.category(sign) in ("Mn", "Me", "Cf") or "\u1160" <= sign <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1
