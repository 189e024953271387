"""What lies in the place of a file when a download went wrong, told by how it begins."""

from __future__ import annotations

from enum import Enum, auto

from holdfast.encodings import without_mark

# As many bytes of a file as are enough to tell.
ENOUGH = 512

_POINTER = b"version https://git-lfs.github.com/spec/"
# No image, Parquet, IDX, MATLAB file, pickle, checkpoint or archive begins so, nor does a text file of a data set.
_PAGES = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<error>")


class StandIn(Enum):
    """A kind of file that only stands in the place of another."""

    LFS_POINTER = auto()
    PAGE = auto()


def stand_in(start: bytes) -> StandIn | None:
    """What a file is that begins so, if it is not the file itself: its first `ENOUGH` bytes tell."""
    start = start[:ENOUGH]
    if start.startswith(_POINTER):
        return StandIn.LFS_POINTER
    # UTF-16 pages have a zero byte beside each letter.
    text = without_mark(start).replace(b"\0", b"").lstrip().lower()
    return StandIn.PAGE if text.startswith(_PAGES) else None
