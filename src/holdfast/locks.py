"""Lock files, which let only one process at a time work on a folder or file."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import IO, TYPE_CHECKING

from holdfast.errors import RunLockedError, StorageError

if TYPE_CHECKING:
    from holdfast.folders import Folder

# The file system has no locks, or none left.
_NO_LOCKS = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL)
# Most bytes read from a lock file, which says who holds the lock.
_MOST_OF_HOLDER = 100


def take_lock(folder: Folder, name: str, doing: str) -> IO[bytes]:
    """Lock a file until the returned file is closed; the kernel releases it however the process ends.

    Args:
        folder: of the lock file.
        name: of the lock file, which says who holds it. The holder may delete it.
        doing: what the holder does, for the message, as in "is working on runs/k45".

    Raises:
        RunLockedError: another process holds the lock.
        RunError: something other than a file with one name is there.
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
                "could write to the same place. Choose a place on a disk of this machine, or mount the file system "
                "with locks, then repeat the same command"
            ) from error
        # The last holder may have deleted the file after it was opened here and before it was locked.
        if folder.lies(name, file.fileno()):
            break
        file.close()
    file.truncate(0)
    file.write(f"process {os.getpid()}".encode())
    return file
