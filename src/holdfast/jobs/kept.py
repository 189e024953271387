"""Folders of runs that nobody named: they lie among the temporary files, and go with the object that owns them."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import final


@final
class Kept:
    """A temporary folder, removed when nothing holds this object any more, or the program ends.

    Attributes:
        folder: of the run; made by whoever writes it.
    """

    def __init__(self) -> None:
        home = tempfile.mkdtemp(prefix="holdfast-")
        self.folder = Path(home) / "run"
        self._removal = weakref.finalize(self, _remove, home, os.getpid())

    def keep(self) -> Path:
        """Leave the folder where it is, for good: what is in it must not be lost."""
        self._removal.detach()
        return self.folder


def _remove(home: str, owner: int) -> None:
    # A fork of the process has a copy of the object, and the folder is not its own.
    if os.getpid() == owner:
        shutil.rmtree(home, ignore_errors=True)


def place(out: str | Path | None) -> tuple[Path, Kept | None]:
    """The folder that was named, or a temporary one and what owns it."""
    if out is not None:
        return Path(out), None
    owner = Kept()
    return owner.folder, owner
