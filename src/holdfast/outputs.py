"""Output files: written completely or not at all, by one process at a time, and never into a run."""

from __future__ import annotations

import errno
import json
import os
import stat
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from holdfast.errors import RunError, StorageError
from holdfast.files import kind_of, storage_error
from holdfast.folders import Below, Folder, below
from holdfast.locks import take_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.folders import Where

# A run or attack has one of these manifests and, once started, at least one of the other files.
_MANIFESTS = ("manifest.json", "attack.json")
_BESIDE = ("records.jsonl", "lock")
# Entries of a manifest that has no other files beside it.
_ENTRIES = {"format", "data", "digest"}
_MOST_BYTES = 1 << 24


@contextmanager
def whole_file(where: Where) -> Iterator[IO[bytes]]:
    """Give a temporary file to write; when the block ends, it replaces `where` and is on the disk.

    Parent folders are created. If the block fails, `where` is unchanged. If the user names a symbolic link, the file
    that it leads to is replaced. Below a path named by the user, no link is followed.

    Raises:
        StorageError: it cannot be written, something other than a file is there, or it would be in a run.
        RunError: below a path named by the user, something other than a file is there.
    """
    try:
        folder, name = _folder_of(where)
        with folder, folder.replacing(name) as file:
            yield file
    except OSError as error:
        raise storage_error(str(where), error) from error


@contextmanager
def alone_at(out: Where, doing: str) -> Iterator[None]:
    """Reserve an output file for this process during the block; no lock file is left behind.

    Raises:
        RunLockedError: another process is writing it.
        StorageError: something other than a file is there, it would be in a run, or it cannot be locked.
        RunError: below a path named by the user or at the lock file, something other than a file is there.
    """
    with ExitStack() as stack:
        try:
            folder, name = _folder_of(out)
            stack.enter_context(folder)
            folder.check(name)
            lock = f".{name}.lock"
            stack.enter_context(take_lock(folder, lock, doing))
        except OSError as error:
            raise storage_error(str(out), error) from error
        try:
            yield
        finally:
            folder.remove(lock)


def beside(where: Where, name: str) -> Below:
    """A file beside another one, to which it belongs; the user did not name it, so links are not followed."""
    return below(where.parent, name)


def remove(where: Below) -> None:
    """Delete a file that Holdfast wrote.

    Raises:
        StorageError: the file is missing, or the operating system refuses.
    """
    try:
        with Folder.opened(where.parent) as folder:
            folder.remove(where.name)
    except OSError as error:
        raise storage_error(str(where), error) from error


def check_place(where: Where) -> None:
    """Refuse a path at which no file may be written, before any work is done for it.

    Raises:
        StorageError: it would be in a run, directly or through links, or something other than a file is there.
        RunError: below a path named by the user, something other than a file is there.
    """
    if isinstance(where, Below):
        _check_outside(where, where.root.joinpath(*where.parts[:-1]))
        with suppress(FileNotFoundError), Folder.opened(where.parent) as folder:
            folder.check(where.name)
        return
    try:
        mode = where.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    except OSError as error:
        raise storage_error(where, error) from error
    if not stat.S_ISREG(mode):
        raise StorageError(
            f"{where} is {kind_of(mode)}; expected a file, which is replaced, or an unused name. Nothing was written; "
            "choose another place, then repeat the same command"
        )
    _check_outside(where, _resolved(where).parent)


def _check_outside(where: Where, folder: Path) -> None:
    folder = _resolved(folder)
    for each in (folder, *folder.parents):
        if _is_run(each):
            raise StorageError(
                f"{where} lies in {each}, which holds a run or an attack, and nothing else is "
                "written into such a folder. Nothing was written; choose a place outside, then repeat the same command"
            )


def _folder_of(where: Where) -> tuple[Folder, str]:
    """The folder of a file, created if needed, and the file's name in it; links named by the user are followed.

    Raises:
        StorageError, RunError: see `check_place`.
        OSError: the operating system refuses.
    """
    check_place(where)
    if isinstance(where, Below):
        return Folder.opened(where.parent, make=True), where.name
    resolved = _resolved(where)
    return Folder.opened(resolved.parent, make=True), resolved.name


def _resolved(path: Path) -> Path:
    """The path with its links resolved.

    Raises:
        StorageError: the links form a circle.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        # Before Python 3.13 a circle is a RuntimeError.
        circle = error if isinstance(error, OSError) else OSError(errno.ELOOP, str(error))
        raise storage_error(str(path), circle) from error


def _is_run(folder: Path) -> bool:
    for name in _MANIFESTS:
        if not os.path.lexists(folder / name):
            continue
        if any(os.path.lexists(folder / each) for each in _BESIDE):
            return True
        try:
            with Folder.opened(folder) as opened:
                entries = json.loads(opened.read(name, _MOST_BYTES) or b"")
        except (RunError, OSError, ValueError, RecursionError):
            continue
        if isinstance(entries, dict) and set(entries) >= _ENTRIES:
            return True
    return False
