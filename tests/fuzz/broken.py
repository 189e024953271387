"""Contents of binary files that somebody damaged, or changed on purpose."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hypothesis import strategies as st

# What a size, a count or an offset may be replaced by.
_NUMBERS = [0, 1, 2, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1]
_LARGE = [2**32, 2**40, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
_FORMS = {"<H": 2**16, ">H": 2**16, "<I": 2**32, ">I": 2**32, "<Q": 2**64, ">Q": 2**64}


@st.composite
def broken(draw: st.DrawFn, honest: Sequence[bytes]) -> bytes:
    """One of some honest contents after one to four changes."""
    content = draw(st.sampled_from(honest))
    for _ in range(draw(st.integers(1, 4))):
        content = draw(st.sampled_from(_CHANGES))(draw, content, honest)
    return content


def _place(draw: st.DrawFn, content: bytes) -> int:
    """Anywhere, but more often where headers are."""
    last = max(0, len(content) - 1)
    ends = st.integers(0, min(last, 200)) | st.integers(max(0, last - 200), last)
    return draw(ends | st.integers(0, last))


def _flipped(draw: st.DrawFn, content: bytes, honest: Sequence[bytes]) -> bytes:
    place = _place(draw, content)
    changed = bytearray(content)
    if changed:
        changed[place] ^= 1 << draw(st.integers(0, 7))
    return bytes(changed)


def _cut(draw: st.DrawFn, content: bytes, honest: Sequence[bytes]) -> bytes:
    return content[: _place(draw, content)]


def _without(draw: st.DrawFn, content: bytes, honest: Sequence[bytes]) -> bytes:
    place = _place(draw, content)
    return content[:place] + content[place + draw(st.integers(1, 64)) :]


def _spliced(draw: st.DrawFn, content: bytes, honest: Sequence[bytes]) -> bytes:
    other = draw(st.sampled_from(honest))
    return content[: _place(draw, content)] + other[_place(draw, other) :]


def _numbered(draw: st.DrawFn, content: bytes, honest: Sequence[bytes]) -> bytes:
    place, form = _place(draw, content), draw(st.sampled_from(sorted(_FORMS)))
    number = draw(st.sampled_from([*_NUMBERS, *_LARGE])) % _FORMS[form]
    written = struct.pack(form, number)
    return content[:place] + written + content[place + len(written) :]


def _inserted(draw: st.DrawFn, content: bytes, honest: Sequence[bytes]) -> bytes:
    place = _place(draw, content)
    return content[:place] + draw(st.binary(min_size=1, max_size=32)) + content[place:]


_CHANGES = (_flipped, _flipped, _cut, _without, _spliced, _numbered, _numbered, _inserted)
