"""Refuse a file that only stands in for another: a pointer of Git LFS or git-annex, or a page of a server.

Readers of models, data and logs call this with the first bytes of each file, whatever its name says it is.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from holdfast.encodings import without_mark

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.errors import HoldfastError

# The number of bytes needed.
ENOUGH = 512

_LFS = b"version https://git-lfs.github.com/spec/"
_ANNEX = b"/annex/objects/"
# No image, Parquet, IDX or MATLAB file, pickle, checkpoint, archive or text file of a data set begins like this.
_PAGES = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<error>")


class StandIn(Enum):
    """A kind of file that stands in for another: what it is, and what to do."""

    LFS_POINTER = ("a git-lfs pointer", "`git lfs pull` fetches it")
    ANNEX_POINTER = ("a git-annex pointer", "`git annex get` fetches it")
    PAGE = (
        "an HTML or XML page, as a server sends where a download fails",
        "get it again, and look at the page for the reason",
    )


def stand_in(start: bytes) -> StandIn | None:
    """The kind of stand-in that begins with `start`, the first `ENOUGH` bytes of a file; None for the file itself."""
    start = start[:ENOUGH]
    if start.startswith(_LFS):
        return StandIn.LFS_POINTER
    if start.startswith(_ANNEX):
        return StandIn.ANNEX_POINTER
    # UTF-16 pages have a zero byte beside each letter.
    text = without_mark(start).replace(b"\0", b"").lstrip().lower()
    return StandIn.PAGE if text.startswith(_PAGES) else None


def refuse_stand_in(content: bytes, name: object, kind: type[HoldfastError]) -> None:
    """Raise an error of `kind` if a file's content is not the file itself but what stands in its place.

    Args:
        content: content of the file; its first `ENOUGH` bytes are enough.
        name: what the error calls it: its path, or a row of it.
        kind: of the error.
    """
    found = stand_in(content)
    if found is not None:
        what, remedy = found.value
        raise kind(f"{name} is {what}, not the file itself: {remedy}")


def refuse_stand_in_file(file: Path, kind: type[HoldfastError]) -> None:
    """`refuse_stand_in` for a file that is not read whole; an error of `kind`, too, if it cannot be read."""
    try:
        with file.open("rb") as opened:
            start = opened.read(ENOUGH)
    except OSError as error:
        raise kind(f"{file} cannot be read ({error.strerror or error}); get it again") from error
    refuse_stand_in(start, file, kind)
