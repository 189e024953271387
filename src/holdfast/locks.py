"""Lock files, by which one process at a time works on a folder or a file."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import IO, TYPE_CHECKING

from holdfast.errors import RunLockedError, StorageError

if TYPE_CHECKING:
    from holdfast.folders import Folder

# A file system that has no locks, or has none left.
_NO_LOCKS = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL)
# Who holds a lock, as the lock file says.
_MOST_OF_HOLDER = 100


def take_lock(folder: Folder, name: str, doing: str) -> IO[bytes]:
    """Hold a lock file until the file that is returned is closed; the kernel releases it, however the process ends.

    Args:
        folder: of the lock file.
        name: of the lock file, which says who holds it. Whoever holds it may delete it.
        doing: what its holder does, for the message, as in "is working on runs/k45".

    Raises:
        RunLockedError: another process holds it.
        RunError: something else than a file of its own lies there.
        StorageError: the file system has no locks.
        OSError: the operating system refuses.
    """
    while True:
        file = folder.appending(name)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = (file.read(_MOST_OF_HOLDER) or b"").decode(errors="replace").strip() or "unknown"
            file.close()
            raise RunLockedError(
                f"another process ({holder}) {doing}. Wait until it has ended, or choose another place"
            ) from None
        except OSError as error:
            file.close()
            if error.errno not in _NO_LOCKS:
                raise
            raise StorageError(
                f"{folder}: its file system cannot lock files ({error.strerror}); without a lock two processes "
                "could write to the same place. Choose a place on a disk of this machine, or have the file system "
                "mounted with locks, then repeat the same command"
            ) from error
        # Its last holder may have deleted it between our opening and locking it.
        if folder.lies(name, file.fileno()):
            break
        file.close()
    file.truncate(0)
    file.write(f"process {os.getpid()}".encode())
    return file
