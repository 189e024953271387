"""Copies of runs and attacks at another place."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import StorageError
from holdfast.files import storage_error
from holdfast.folders import Folder, entered
from holdfast.store.folder import LOCK

if TYPE_CHECKING:
    from holdfast.folders import Where


def copy_folder(where: Where, out: str | Path) -> Path:
    """Copy a run or an attack into a folder that is not there yet, or is empty; on the disk when this returns.

    Args:
        where: the run or attack, which is only read.
        out: the new folder.

    Raises:
        StorageError: something is there already, or the disk refuses.
        RunError: something else than files and folders lies in the run.
    """
    place = Path(out)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise StorageError(f"{place} is there already; expected a new place, or an empty folder. Choose another name")
    try:
        with entered(where) as source, Folder.opened(place, make=True) as copy:
            _copy(source, copy)
    except OSError as error:
        raise storage_error(str(place), error) from error
    return place


def _copy(source: Folder, copy: Folder) -> None:
    for name in sorted(source.names()):
        if name == LOCK:
            continue
        if source.is_folder(name):
            with source.folder(name) as inner, copy.folder(name, make=True) as made:
                _copy(inner, made)
            continue
        file = source.reading(name)
        if file is not None:
            with file, copy.replacing(name) as new:
                shutil.copyfileobj(file, new)
