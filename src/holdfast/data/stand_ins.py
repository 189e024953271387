"""Refuse files that stand in for data: Git LFS pointers and pages of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import DataError
from holdfast.stand_ins import ENOUGH, StandIn, stand_in

if TYPE_CHECKING:
    from pathlib import Path


def refuse_stand_in(content: bytes, name: object) -> None:
    """Raise DataError if a file's content is not the file itself but what stands in its place.

    Args:
        content: content of the file; its first 512 bytes are enough.
        name: what the error calls it: its path, or a row of it.

    Raises:
        DataError: it is a Git LFS pointer, or an HTML or XML page.
    """
    found = stand_in(content)
    if found is StandIn.LFS_POINTER:
        raise DataError(
            f"{name} is a Git LFS pointer, expected the file that it points to; run `git lfs pull` in its repository"
        )
    if found is StandIn.PAGE:
        raise DataError(
            f"{name} is an HTML or XML page, as a server sends where a download fails, expected the data themselves; "
            "get it again, and look at the page for the reason"
        )


def refuse_stand_in_file(file: Path) -> None:
    """`refuse_stand_in` for a file that is not read whole.

    Raises:
        DataError: it stands in the place of another, or cannot be read.
    """
    try:
        with file.open("rb") as opened:
            start = opened.read(ENOUGH)
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror or error}); get it again") from error
    refuse_stand_in(start, file)
