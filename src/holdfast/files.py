"""Writing files so that they are whole or not there at all, and by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from holdfast.errors import RunLockedError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


_ELSEWHERE = "Check the path and who may use it, or choose another place"
_ROOM = "Make room or choose another place"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What each refusal of the operating system means, and what to do.
_REASONS = {
    errno.ENOSPC: ("there is no space left for it", _ROOM),
    errno.EDQUOT: ("your quota of this disk is used up, so there is no space left for it", _ROOM),
    errno.EFBIG: ("it is larger than a file may be here, so there is no space left for it", _ROOM),
    errno.EROFS: ("its file system is read-only", "Choose another place"),
    errno.EACCES: ("you may not use it, or a folder on the way (permission denied)", _ELSEWHERE),
    errno.EPERM: ("the operating system does not allow it (not permitted)", _ELSEWHERE),
    errno.ENAMETOOLONG: ("its name, or its path, is too long", "Choose a shorter one"),
    errno.ENOENT: ("it, or a folder on the way, is not there", "Check the path"),
    errno.ENOTDIR: ("something on the way is a file and no folder", "Check the path, or choose another one"),
    errno.EISDIR: ("it is a folder and no file", "Check the path, or choose another one"),
    errno.EEXIST: ("something of that name is there", "Choose another name"),
    errno.ELOOP: ("its symbolic links lead in a circle", "Check the path, or choose another one"),
    errno.EMFILE: ("this program has too many files open", "Raise the limit (`ulimit -n`)"),
    errno.ENFILE: ("the machine has too many files open", "Close some"),
    errno.EIO: ("the disk reports an error", "Check the disk, or choose another place"),
    errno.ESTALE: ("the network file system has lost it", "Have it mounted again, or choose another place"),
}
# A file system that has no locks, or has none left.
_NO_LOCKS = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write at; when the block ends, that file takes the place of `path` and is on the disk.

    Folders on the way are made. If the block fails, `path` is as it was. A symbolic link stays one: the file that it
    leads to is replaced.

    Raises:
        StorageError: it cannot be written, or something else than a file is there.
    """
    place = _file_place(path)
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        temporary.replace(place)
        _sync(place.parent)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        if temporary.is_file():
            temporary.unlink()


def take_lock(place: Path, doing: str) -> IO[str]:
    """Hold a lock file until the file that is returned is closed; the kernel releases it, however the process ends.

    Args:
        place: of the lock file, which says who holds it. Whoever holds it may delete it.
        doing: what its holder does, for the message, as in "is working on runs/k45".

    Raises:
        RunLockedError: another process holds it.
        StorageError: the file system has no locks.
    """
    while True:
        file = place.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise RunLockedError(
                f"another process ({holder}) {doing}. Wait until it has ended, or choose another place"
            ) from None
        except OSError as error:
            file.close()
            if error.errno not in _NO_LOCKS:
                raise
            raise StorageError(
                f"{place}: its file system cannot lock files ({error.strerror}); without a lock two processes "
                "could write to the same place. Choose a place on a disk of this machine, or have the file system "
                "mounted with locks, then repeat the same command"
            ) from error
        # Its last holder may have deleted it between our opening and locking it.
        if place.exists() and os.path.samestat(os.fstat(file.fileno()), place.stat()):
            break
        file.close()
    file.truncate(0)
    file.write(f"process {os.getpid()}")
    file.flush()
    return file


@contextmanager
def alone_at(out: Path, doing: str) -> Iterator[None]:
    """Keep a file to this process while it is made; no lock file is left when the block ends.

    Raises:
        RunLockedError: another process is making it.
        StorageError: something else than a file is there, or a lock cannot be taken.
    """
    file = _file_place(out)
    place = file.with_name(f".{file.name}.lock")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = take_lock(place, doing)
    except OSError as error:
        raise storage_error(out, error) from error
    with lock:
        try:
            yield
        finally:
            place.unlink()


def storage_error(path: Path | str, error: OSError, so_far: str = "") -> StorageError:
    """The error for a file or folder that could not be written; `so_far` says what is safe."""
    reason, advice = explained(error)
    what = reason if error.errno in _FULL else f"it could not be written: {reason}"
    return StorageError(f"{path}: {what}. {so_far}{advice}, then repeat the same command")


def explained(error: OSError) -> tuple[str, str]:
    """What the operating system refused, and what to do, each in a few plain words."""
    known = _REASONS.get(error.errno or 0)
    return known or (error.strerror or str(error) or type(error).__name__, _ELSEWHERE)


def _file_place(path: Path) -> Path:
    """Where a file that is written to `path` lies, behind symbolic links.

    Raises:
        StorageError: what is there is no file, and would be lost.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    except OSError as error:
        raise storage_error(path, error) from error
    if not stat.S_ISREG(mode):
        what = _KINDS.get(stat.S_IFMT(mode), "no regular file")
        raise StorageError(
            f"{path} is {what}; expected was a file, which is replaced, or a name that is not taken. Nothing was "
            "written; choose another place, then repeat the same command"
        )
    return path.resolve()


def _sync(path: Path) -> None:
    """Make a file, or the entries of a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
