"""Files where the user wants them: written whole or not at all, by one process at a time, and never into a run."""

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

# What makes a folder a run or an attack, and what lies beside that in one which was worked on.
_MANIFESTS = ("manifest.json", "attack.json")
_BESIDE = ("records.jsonl", "lock")
# Of a promise that has nothing beside it.
_ENTRIES = {"format", "data", "digest"}
_MOST_BYTES = 1 << 24


@contextmanager
def whole_file(where: Where) -> Iterator[IO[bytes]]:
    """Give a file to write; when the block ends, it takes the place of what is at `where` and is on the disk.

    Folders on the way are made. If the block fails, `where` is as it was. A symbolic link that the user names stays
    one: the file that it leads to is replaced. Below what the user names, no link is followed.

    Raises:
        StorageError: it cannot be written, something else than a file is there, or it would lie in a run.
        RunError: something else than a file is there, below what the user names.
    """
    try:
        folder, name = _folder_of(where)
        with folder, folder.replacing(name) as file:
            yield file
    except OSError as error:
        raise storage_error(str(where), error) from error


@contextmanager
def alone_at(out: Where, doing: str) -> Iterator[None]:
    """Keep a file to this process while it is made; no lock file is left when the block ends.

    Raises:
        RunLockedError: another process is making it.
        StorageError: something else than a file is there, it would lie in a run, or a lock cannot be taken.
        RunError: something else than a file is there, below what the user names, or in the place of the lock.
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
    """A file that belongs to another one and lies beside it: the user did not choose its name, so no link counts."""
    return below(where.parent, name)


def remove(where: Below) -> None:
    """Take away a file that we wrote.

    Raises:
        StorageError: it is not there, or the operating system refuses.
    """
    try:
        with Folder.opened(where.parent) as folder:
            folder.remove(where.name)
    except OSError as error:
        raise storage_error(str(where), error) from error


def check_place(where: Where) -> None:
    """Refuse a place at which no file is to be written, before there is any work for it.

    Raises:
        StorageError: it would lie in a run, itself or behind links, or something else than a file is there.
        RunError: something else than a file is there, below what the user names.
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
            f"{where} is {kind_of(mode)}; expected was a file, which is replaced, or a name that is not taken. "
            "Nothing was written; choose another place, then repeat the same command"
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
    """The folder of a file, which is made, and the file's name in it: for what the user names, behind links.

    Raises:
        StorageError, RunError: see `check_place`.
        OSError: the operating system refuses.
    """
    check_place(where)
    if isinstance(where, Below):
        return Folder.opened(where.parent, make=True), where.name
    place = _resolved(where)
    return Folder.opened(place.parent, make=True), place.name


def _resolved(path: Path) -> Path:
    """A path without links.

    Raises:
        StorageError: they lead in a circle.
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
            with Folder.opened(folder) as place:
                entries = json.loads(place.read(name, _MOST_BYTES) or b"")
        except (RunError, OSError, ValueError, RecursionError):
            continue
        if isinstance(entries, dict) and set(entries) >= _ENTRIES:
            return True
    return False
