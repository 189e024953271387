"""Writing files so that they are whole or not there at all."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write at; when the block ends, that file takes the place of `path` and is on the disk.

    Folders on the way are made. If the block fails, `path` is as it was.

    Raises:
        StorageError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        if temporary.is_file():
            temporary.unlink()


def storage_error(path: Path, error: OSError, so_far: str = "") -> StorageError:
    """The error for a file or folder that could not be written; `so_far` says what is safe."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    what = "there is no space left for it" if full else f"it could not be written ({error.strerror or error})"
    return StorageError(f"{path}: {what}. {so_far}Make room or choose another place, then repeat the same command")


def _sync(path: Path) -> None:
    """Make a file, or the entries of a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
