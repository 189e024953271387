"""Safe access to folders that may be untrusted: runs, attacks, and folders with several of them.

Everything in such a folder is reached through the folder's descriptor, never through a symbolic link, and must be a
regular file or a folder. So nothing outside is read or written, whatever was put there and whatever happens to the
folder's own path meanwhile. Nothing blocks either: a pipe is refused before it is opened. The folder itself is named by
the user, and its path may lead through links.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

from holdfast.budgets import SMALL, check_size
from holdfast.errors import HoldfastError, RunError
from holdfast.files import kind_of, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO

    from typing_extensions import Self

# Do not follow links, wait for pipes or devices, acquire a terminal, or let other programs inherit the descriptor.
_HELD = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True)
class Below:
    """A path that begins with a folder named by the user; the parts below it may not be links.

    Attributes:
        root: the folder; its path may lead through links.
        parts: names of folders below it, and last of a file or folder.
    """

    root: Path
    parts: tuple[str, ...] = ()

    def __truediv__(self, name: str) -> Below:
        return Below(self.root, (*self.parts, name))

    def __str__(self) -> str:
        return str(self.root.joinpath(*self.parts))

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.parts[-1] if self.parts else self.root.name

    @property
    def parent(self) -> Below:
        """The folder that contains it; the root is its own parent."""
        return Below(self.root, self.parts[:-1])


# A path named by the user, or one below it.
Where: TypeAlias = Path | Below


def below(where: Where, *names: str) -> Below:
    """The path below `where`, which may not lead through links."""
    return Below(where, names) if isinstance(where, Path) else Below(where.root, (*where.parts, *names))


class Folder:
    """A folder held open until it is closed.

    Attributes:
        where: its path when it was opened, for messages.
    """

    def __init__(self, where: Where, descriptor: int) -> None:
        self.where = where
        self._descriptor = descriptor

    @classmethod
    def opened(cls, where: Where, make: bool = False) -> Folder:
        """Open a folder; with `make`, create it and its parents first.

        Raises:
            RunError: something other than a folder is there, or a link below the path named by the user.
            OSError: there is no folder, or the operating system refuses.
        """
        root, parts = (where.root, where.parts) if isinstance(where, Below) else (where, ())
        if make:
            _make(root)
        try:
            here = cls(Below(root) if parts else where, os.open(root, _FOLDER))
        except NotADirectoryError:
            if root.exists():
                raise RunError(
                    f"{root} is {kind_of(root.stat().st_mode)}; expected a folder. Choose another place"
                ) from None
            raise
        for name in parts:
            with here as outer:
                here = outer.folder(name, make)
        return here

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        return str(self.where)

    def __truediv__(self, name: str) -> Below:
        return below(self.where, name)

    def close(self) -> None:
        """Close the folder; harmless when repeated."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def names(self) -> list[str]:
        """The names of everything in the folder."""
        with os.scandir(self._descriptor) as entries:
            return [entry.name for entry in entries]

    def has(self, name: str) -> bool:
        """Whether anything has this name, even a broken link."""
        return self._seen(name) is not None

    def is_folder(self, name: str) -> bool:
        """Whether a folder lies there, and no link to one."""
        seen = self._seen(name)
        return seen is not None and stat.S_ISDIR(seen.st_mode)

    def check(self, name: str, folder: bool = False, one_name: bool = False) -> None:
        """Check what has this name without opening it; nothing may be there.

        Args:
            name: in this folder.
            folder: whether a folder is expected instead of a regular file.
            one_name: whether the file must have no other hard links, since those may be outside the folder and would
                change when the file is written.

        Raises:
            RunError: something else is there.
        """
        seen = self._seen(name)
        if seen is not None:
            self._expect(name, seen, folder, one_name)

    def folder(self, name: str, make: bool = False) -> Folder:
        """Open a folder in this one; with `make`, create it first.

        Raises:
            RunError: something else is there.
            OSError: there is no folder, or the operating system refuses.
        """
        if make:
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=self._descriptor)
                self.sync()
        return Folder(self / name, self._open(name, _FOLDER | os.O_NOFOLLOW, folder=True))

    def reading(self, name: str) -> IO[bytes] | None:
        """Open a file for reading; None if nothing is there.

        Raises:
            RunError: something other than a regular file is there, or it may not be read.
        """
        try:
            return os.fdopen(self._open(name, os.O_RDONLY | _HELD), "rb")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unreadable(str(self / name), error) from error

    def read(self, name: str, most: int) -> bytes | None:
        """The content of a file; None if nothing is there.

        Raises:
            RunError: it has more than `most` bytes; see also `reading`.
        """
        file = self.reading(name)
        return None if file is None else _content(file, self / name, most, RunError)

    def appending(self, name: str) -> FileIO:
        """Open a file for unbuffered appending and reading, and create it if there is none.

        Raises:
            RunError: something other than a regular file is there, or a file with several hard links.
            OSError: the operating system refuses.
        """
        descriptor = self._open(name, os.O_RDWR | os.O_APPEND | os.O_CREAT | _HELD, one_name=True)
        return open(descriptor, "a+b", buffering=0)  # noqa: PTH123

    @contextmanager
    def replacing(self, name: str) -> Iterator[IO[bytes]]:
        """Give a temporary file to write; when the block ends, it replaces `name` and is on the disk.

        The temporary name is unpredictable. If the block fails, `name` is unchanged.

        Raises:
            RunError: something other than a regular file is there.
            OSError: the operating system refuses.
        """
        self.check(name)
        temporary = f".{name}.{secrets.token_hex(8)}.tmp"
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | _HELD, 0o666, dir_fd=self._descriptor)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            # A link put there meanwhile is replaced, not followed.
            os.replace(temporary, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=self._descriptor)
            raise
        self.sync()

    def sync(self) -> None:
        """Flush the names in the folder to the disk: without its name, a new file would be lost."""
        os.fsync(self._descriptor)

    def remove(self, name: str) -> None:
        """Delete a file; for a link, the link itself."""
        os.unlink(name, dir_fd=self._descriptor)

    def lies(self, name: str, descriptor: int) -> bool:
        """Whether an open file still has this name."""
        seen = self._seen(name)
        return seen is not None and os.path.samestat(os.fstat(descriptor), seen)

    def _open(self, name: str, how: int, folder: bool = False, one_name: bool = False) -> int:
        """A descriptor for this name, checked before opening, which can have effects on a device or pipe, and after."""
        self.check(name, folder, one_name)
        try:
            descriptor = os.open(name, how, 0o666, dir_fd=self._descriptor)
        except OSError:
            # Report what was put there in the meantime.
            self.check(name, folder, one_name)
            raise
        try:
            self._expect(name, os.fstat(descriptor), folder, one_name)
        except RunError:
            os.close(descriptor)
            raise
        return descriptor

    def _seen(self, name: str) -> os.stat_result | None:
        """The status of this name without following links; None if nothing is there."""
        try:
            return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _expect(self, name: str, seen: os.stat_result, folder: bool, one_name: bool) -> None:
        if stat.S_IFMT(seen.st_mode) != (stat.S_IFDIR if folder else stat.S_IFREG):
            raise RunError(
                f"{self / name} is {kind_of(seen.st_mode)}; expected {'a folder' if folder else 'a file'} "
                "itself: in such a folder no link is followed and no pipe or device opened, so that nothing outside of "
                "it is read or written. Replace it by a copy of what belongs there, or delete it, then repeat the same "
                "command"
            )
        if one_name and seen.st_nlink > 1:
            raise RunError(
                f"{self / name} is a file with {seen.st_nlink} names (hard links): writing here would change the "
                "others, too. Nothing was written; replace it by a copy (`cp` it to another name, then `mv` that over "
                "it), then repeat the same command"
            )


def _make(root: Path) -> None:
    """Create a folder with its parents, and flush their names to the disk."""
    new = list(takewhile(lambda each: not each.exists(), (root, *root.parents)))
    with suppress(FileExistsError):
        root.mkdir(parents=True, exist_ok=True)
    for made in reversed(new):
        # A folder that may be written but not read cannot be opened for flushing.
        with suppress(PermissionError), Folder.opened(made.parent) as outer:
            outer.sync()


@contextmanager
def entered(folder: Where | Folder) -> Iterator[Folder]:
    """Give a folder for reading: an open one, which stays open, or one opened for this block.

    Raises:
        RunError: there is no such folder, or it may not be read.
    """
    if isinstance(folder, Folder):
        yield folder
        return
    try:
        made = Folder.opened(folder)
    except FileNotFoundError:
        raise RunError(f"there is no folder {folder}; check the path") from None
    except OSError as error:
        raise unreadable(str(folder), error) from error
    with made:
        yield made


def opened_file(where: Where) -> IO[bytes] | None:
    """Open a file for reading. Links are followed only in a path named by the user.

    None if nothing is there or, at a path named by the user, no regular file.

    Raises:
        RunError: below a path named by the user, something other than a file is there; or it may not be read.
    """
    try:
        if isinstance(where, Below):
            with Folder.opened(where.parent) as folder:
                return folder.reading(where.name)
        file = os.fdopen(os.open(where, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise unreadable(str(where), error) from error
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    return None


def read_file(where: Where, most: int, kind: type[HoldfastError]) -> bytes | None:
    """The content of a file; see `opened_file`.

    Raises:
        HoldfastError: of `kind`: it has more than `most` bytes.
    """
    file = opened_file(where)
    return None if file is None else _content(file, where, most, kind)


def _content(file: IO[bytes], where: Where, most: int, kind: type[HoldfastError]) -> bytes:
    """Read a whole file and close it."""
    with file:
        check_size(os.fstat(file.fileno()), where, kind, most)
        _check_hole(file, where, kind)
        try:
            return file.read()
        except OSError as error:
            raise unreadable(str(where), error) from error


def _check_hole(file: IO[bytes], where: Where, kind: type[HoldfastError]) -> None:
    """Raise an error of `kind` for a large file that is one hole and takes no disk space."""
    found = os.fstat(file.fileno())
    if found.st_size <= SMALL or found.st_blocks:
        return
    # Some file systems do not count disk space, but do find data in a file.
    try:
        os.lseek(file.fileno(), 0, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise kind(f"{where} has {found.st_size:,} bytes but no data: Holdfast did not write it") from None
    os.lseek(file.fileno(), 0, os.SEEK_SET)


@contextmanager
def path_of(where: Where) -> Iterator[Path]:
    """Give a path for libraries that open files themselves; below a path named by the user, that of a descriptor.

    Raises:
        FileNotFoundError: there is no such file.
        RunError: below a path named by the user, something other than a file is there.
    """
    file = opened_file(where)
    if file is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(where))
    with file:
        yield where if isinstance(where, Path) else Path(f"/dev/fd/{file.fileno()}")


def lies(where: Where) -> bool:
    """Whether anything is at this path; links are followed only in a path named by the user."""
    if isinstance(where, Path):
        return where.exists()
    try:
        with Folder.opened(where.parent) as folder:
            return folder.has(where.name)
    except (FileNotFoundError, NotADirectoryError):
        return False
