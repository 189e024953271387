"""What lies in the place of a data file when a download went wrong: Git LFS pointers and pages of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

_POINTER = b"version https://git-lfs.github.com/spec/"
# No image, Parquet, IDX, MATLAB file, pickle or archive begins so, nor does a text file of a data set.
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<?xml", b"<error>")
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_ENOUGH = 512


def refuse_stand_in(content: bytes, name: object) -> None:
    """Raise DataError if a file's content is not the file itself but what stands in its place.

    Args:
        content: of the file; its first 512 bytes are enough.
        name: what the error calls it: its path, or a row of it.

    Raises:
        DataError: it is a Git LFS pointer, or an HTML or XML page.
    """
    start = content[:_ENOUGH]
    if start.startswith(_POINTER):
        raise DataError(
            f"{name} is a Git LFS pointer, expected the file that it points to; run `git lfs pull` in its repository"
        )
    for mark in _MARKS:
        start = start.removeprefix(mark)
    # UTF-16 pages have a zero byte beside each letter.
    if start.replace(b"\0", b"").lstrip().lower().startswith(_PAGES):
        raise DataError(
            f"{name} is an HTML or XML page, as a server sends where a download fails, expected the data themselves; "
            "get it afresh, and look at the page for the reason"
        )


def refuse_stand_in_file(file: Path) -> None:
    """`refuse_stand_in` for a file that is not read whole.

    Raises:
        DataError: it stands in the place of another, or cannot be read.
    """
    try:
        with file.open("rb") as opened:
            start = opened.read(_ENOUGH)
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror or error}); get it afresh") from error
    refuse_stand_in(start, file)
