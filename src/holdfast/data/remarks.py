"""Words for notes of a source: numbers of things, and what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.shortened import some

if TYPE_CHECKING:
    from pathlib import Path

HIDDEN = "hidden file or folder, or one of an operating system"
NO_IMAGE = "file whose ending is that of no image format read"
DEEPER = "folder within the folder of a class"
LOOSE = "image file outside the folders of classes"
BESIDE = "folder beside those of the splits"
# Plurals that take more than an s.
_PLURALS = {
    HIDDEN: "hidden files or folders, or ones of an operating system",
    NO_IMAGE: "files whose endings are those of no image format read",
    DEEPER: "folders within the folders of classes",
    LOOSE: "image files outside the folders of classes",
    BESIDE: "folders beside those of the splits",
}


def counted(number: int, noun: str) -> str:
    """`1 image`, `1,234 images`."""
    return f"{number:,} {noun if number == 1 else _PLURALS.get(noun, noun + 's')}"


class LeftOut:
    """What was found below a folder and not taken, by the reason.

    Args:
        base: the folder that was given.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        # The inner dictionaries are sets that keep their order.
        self._found: dict[str, dict[str, None]] = {}

    def add(self, what: str, entry: Path) -> None:
        """Remember an entry of the disk; `what` is one of this module's words for kinds of them."""
        name = str(entry.relative_to(self._base)) if entry.is_relative_to(self._base) else str(entry)
        self._found.setdefault(what, {})[name] = None

    def notes(self) -> tuple[str, ...]:
        """One note a reason."""
        return tuple(
            f"left out of {self._base}: {counted(len(names), what)} ({some(list(names))})"
            for what, names in self._found.items()
        )
