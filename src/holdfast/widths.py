"""How many columns of a terminal, or of a text that is read in one, a text takes."""

from __future__ import annotations

import unicodedata

_JOINER, _AS_PICTURE = "\u200d", "\ufe0f"
_SKINS = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"


def width(text: str) -> int:
    """The number of columns: 2 for the letters of East Asia and for pictographs, 0 for marks on other letters."""
    if text.isascii():
        return len(text)
    columns, before = 0, ""
    for sign in text:
        columns += _columns(sign, before)
        before = sign
    return columns


def padded(text: str, columns: int, *, right: bool = False) -> str:
    """A text with blanks to its right, or to its left where it stands `right`, so that it takes so many columns."""
    blanks = " " * max(0, columns - width(text))
    return blanks + text if right else text + blanks


def _columns(sign: str, before: str) -> int:
    if sign == _AS_PICTURE:
        # What may be a letter or a pictograph is a pictograph, and twice as wide.
        return 1 if before and _alone(before) == 1 else 0
    # Joined pictographs are one, and so are one and its skin.
    return 0 if before == _JOINER or (before and sign in _SKINS) else _alone(sign)


def _alone(sign: str) -> int:
    if unicodedata.category(sign) in ("Mn", "Me", "Cf") or "\u1160" <= sign <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1
