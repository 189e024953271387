"""Recognize, by its first bytes, a file that only stands in for another after a failed download."""

from __future__ import annotations

from enum import Enum, auto

from holdfast.encodings import without_mark

# The number of bytes needed.
ENOUGH = 512

_POINTER = b"version https://git-lfs.github.com/spec/"
# No image, Parquet, IDX or MATLAB file, pickle, checkpoint, archive or text file of a data set begins like this.
_PAGES = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<error>")


class StandIn(Enum):
    """A kind of file that stands in for another."""

    LFS_POINTER = auto()
    PAGE = auto()


def stand_in(start: bytes) -> StandIn | None:
    """The kind of stand-in that begins with `start`, the first `ENOUGH` bytes of a file; None for the file itself."""
    start = start[:ENOUGH]
    if start.startswith(_POINTER):
        return StandIn.LFS_POINTER
    # UTF-16 pages have a zero byte beside each letter.
    text = without_mark(start).replace(b"\0", b"").lstrip().lower()
    return StandIn.PAGE if text.startswith(_PAGES) else None
