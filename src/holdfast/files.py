"""Errors of the operating system, and kinds of files, in plain words."""

from __future__ import annotations

import errno
import stat
from typing import TYPE_CHECKING

from holdfast.errors import RunError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


_ELSEWHERE = "Check the path and who may use it, or choose another place"
_ROOM = "Make room or choose another place"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Error of the operating system -> what it means, and what to do.
_REASONS = {
    errno.ENOSPC: ("there is no space left for it", _ROOM),
    errno.EDQUOT: ("your quota of this disk is used up, so there is no space left for it", _ROOM),
    errno.EFBIG: ("it is larger than a file may be here, so there is no space left for it", _ROOM),
    errno.EROFS: ("its file system is read-only", "Choose another place"),
    errno.EACCES: ("you may not use it, or a folder on the way (permission denied)", _ELSEWHERE),
    errno.EPERM: ("the operating system does not allow it (not permitted)", _ELSEWHERE),
    errno.ENAMETOOLONG: ("its name, or its path, is too long", "Choose a shorter one"),
    errno.ENOENT: ("it, or a folder on the way, does not exist", "Check the path"),
    errno.ENOTDIR: ("something on the way is a file, not a folder", "Check the path, or choose another one"),
    errno.EISDIR: ("it is a folder, not a file", "Check the path, or choose another one"),
    errno.EEXIST: ("something with that name exists already", "Choose another name"),
    errno.ELOOP: ("its symbolic links lead in a circle", "Check the path, or choose another one"),
    errno.EMFILE: ("this program has too many files open", "Raise the limit (`ulimit -n`)"),
    errno.ENFILE: ("the machine has too many files open", "Close some"),
    errno.EIO: ("the disk reports an error", "Check the disk, or choose another place"),
    errno.ESTALE: ("the network file system has lost it", "Mount it again, or choose another place"),
}


def storage_error(path: Path | str, error: OSError, so_far: str = "") -> StorageError:
    """The error for a file or folder that could not be written; `so_far` states what was saved."""
    reason, advice = explained(error)
    what = reason if error.errno in _FULL else f"it could not be written: {reason}"
    return StorageError(f"{path}: {what}. {so_far}{advice}, then repeat the same command")


def unreadable(path: Path | str, error: OSError) -> RunError:
    """The error for an existing file or folder that could not be read."""
    reason, _ = explained(error)
    return RunError(f"{path}: it could not be read: {reason}. {_ELSEWHERE}, then repeat the same command")


def kind_of(mode: int) -> str:
    """The kind of file with this mode, in words."""
    return _KINDS.get(stat.S_IFMT(mode), "not a regular file")


def explained(error: OSError) -> tuple[str, str]:
    """What an error of the operating system means, and what to do, in plain words."""
    known = _REASONS.get(error.errno or 0)
    return known or (error.strerror or str(error) or type(error).__name__, _ELSEWHERE)
