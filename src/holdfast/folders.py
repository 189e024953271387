"""Folders that may come from strangers: runs, attacks, and what commands make of several of them.

What lies in such a folder is reached through the descriptor of the folder, never through a symbolic link, and is a
regular file or a folder. So nothing outside is read or written, whatever was put there, and whatever becomes of the
folder's own path while a process works. Nothing waits either: a pipe is refused before it is opened. The folder itself
is what the user names, and its path may lead through links.
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

# Pipes and devices do not make us wait, terminals do not become ours, and other programs do not inherit what we open.
_HELD = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True)
class Below:
    """A path whose beginning the user names; what follows lies below it and leads through no link.

    Attributes:
        root: a folder; its path may lead through links.
        parts: names of folders, and of what lies in the last one.
    """

    root: Path
    parts: tuple[str, ...] = ()

    def __truediv__(self, name: str) -> Below:
        return Below(self.root, (*self.parts, name))

    def __str__(self) -> str:
        return str(self.root.joinpath(*self.parts))

    @property
    def name(self) -> str:
        """The last part, as of a path."""
        return self.parts[-1] if self.parts else self.root.name

    @property
    def parent(self) -> Below:
        """The folder that it lies in; the root lies in none of ours."""
        return Below(self.root, self.parts[:-1])


# A place that the user names, or one below it.
Where: TypeAlias = Path | Below


def below(where: Where, *names: str) -> Below:
    """What lies below a place, through no link."""
    return Below(where, names) if isinstance(where, Path) else Below(where.root, (*where.parts, *names))


class Folder:
    """A folder held open until it is closed.

    Attributes:
        where: it lies, or lay when it was opened; for messages.
    """

    def __init__(self, where: Where, descriptor: int) -> None:
        self.where = where
        self._descriptor = descriptor

    @classmethod
    def opened(cls, where: Where, make: bool = False) -> Folder:
        """Open a folder, or make it with all those on the way.

        Raises:
            RunError: something else than a folder is there, or a link on the way below what the user names.
            OSError: there is none, or the operating system refuses.
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
        """Let go of the folder; harmless when repeated."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def names(self) -> list[str]:
        """What lies in the folder."""
        with os.scandir(self._descriptor) as entries:
            return [entry.name for entry in entries]

    def has(self, name: str) -> bool:
        """Whether anything lies there, a link to nothing included."""
        return self._seen(name) is not None

    def is_folder(self, name: str) -> bool:
        """Whether a folder lies there, and no link to one."""
        seen = self._seen(name)
        return seen is not None and stat.S_ISDIR(seen.st_mode)

    def check(self, name: str, folder: bool = False, one_name: bool = False) -> None:
        """Look at a name without opening what is there, which may be nothing.

        Args:
            name: in this folder.
            folder: whether a folder is expected, and no regular file.
            one_name: whether the file is to have no other name: those may lie outside, and what is written into the
                file would be written there as well.

        Raises:
            RunError: something else is there.
        """
        seen = self._seen(name)
        if seen is not None:
            self._expect(name, seen, folder, one_name)

    def folder(self, name: str, make: bool = False) -> Folder:
        """A folder in this one, which is made if it is to be.

        Raises:
            RunError: something else is there.
            OSError: there is none, or the operating system refuses.
        """
        if make:
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=self._descriptor)
                self.sync()
        return Folder(self / name, self._open(name, _FOLDER | os.O_NOFOLLOW, folder=True))

    def reading(self, name: str) -> IO[bytes] | None:
        """A file, opened for reading; None where nothing is there.

        Raises:
            RunError: something else than a regular file is there, or it may not be read.
        """
        try:
            return os.fdopen(self._open(name, os.O_RDONLY | _HELD), "rb")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unreadable(str(self / name), error) from error

    def read(self, name: str, most: int) -> bytes | None:
        """What a file holds; None where nothing is there.

        Raises:
            RunError: it has more bytes than `most`, or see `reading`.
        """
        file = self.reading(name)
        return None if file is None else _content(file, self / name, most, RunError)

    def appending(self, name: str) -> FileIO:
        """A file, opened for appending and reading, and made if there is none; each write goes out at once.

        Raises:
            RunError: something else than a regular file is there, or a file that has other names besides.
            OSError: the operating system refuses.
        """
        descriptor = self._open(name, os.O_RDWR | os.O_APPEND | os.O_CREAT | _HELD, one_name=True)
        return open(descriptor, "a+b", buffering=0)  # noqa: PTH123

    @contextmanager
    def replacing(self, name: str) -> Iterator[IO[bytes]]:
        """Give a file to write; when the block ends, it takes the place of `name`, and is on the disk.

        Until then it has a name that nobody can foresee. If the block fails, `name` is as it was.

        Raises:
            RunError: something else than a regular file is there.
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
            # A link that was put there meanwhile is replaced, too, and not followed.
            os.replace(temporary, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=self._descriptor)
            raise
        self.sync()

    def sync(self) -> None:
        """Return when the names in the folder are on the disk: a new file is lost without its name."""
        os.fsync(self._descriptor)

    def remove(self, name: str) -> None:
        """Take a file out of the folder; of a link itself, and not what it leads to."""
        os.unlink(name, dir_fd=self._descriptor)

    def lies(self, name: str, descriptor: int) -> bool:
        """Whether an open file is still the one of that name."""
        seen = self._seen(name)
        return seen is not None and os.path.samestat(os.fstat(descriptor), seen)

    def _open(self, name: str, how: int, folder: bool = False, one_name: bool = False) -> int:
        """A descriptor of what lies there, looked at before and after: to open a device or a pipe may do something."""
        self.check(name, folder, one_name)
        try:
            descriptor = os.open(name, how, 0o666, dir_fd=self._descriptor)
        except OSError:
            # What was put there in this moment.
            self.check(name, folder, one_name)
            raise
        try:
            self._expect(name, os.fstat(descriptor), folder, one_name)
        except RunError:
            os.close(descriptor)
            raise
        return descriptor

    def _seen(self, name: str) -> os.stat_result | None:
        """What lies there, a link for itself; None where nothing does."""
        try:
            return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _expect(self, name: str, seen: os.stat_result, folder: bool, one_name: bool) -> None:
        if stat.S_IFMT(seen.st_mode) != (stat.S_IFDIR if folder else stat.S_IFREG):
            raise RunError(
                f"{self / name} is {kind_of(seen.st_mode)}; expected {'a folder' if folder else 'a file'} "
                "itself: in such a folder no link is followed and no pipe or device opened, so that nothing outside of "
                "it is read or written. Put a copy of what belongs there in its place, or delete it, then repeat the "
                "same command"
            )
        if one_name and seen.st_nlink > 1:
            raise RunError(
                f"{self / name} is a file with {seen.st_nlink} names (hard links): whatever is written "
                "here would be written under the others, too. Nothing was written; put a copy in its place (`cp` it to "
                "another name, then `mv` that over it), then repeat the same command"
            )


def _make(root: Path) -> None:
    """Make a folder with all those on the way, and return when the names of the new ones are on the disk."""
    new = list(takewhile(lambda each: not each.exists(), (root, *root.parents)))
    with suppress(FileExistsError):
        root.mkdir(parents=True, exist_ok=True)
    for made in reversed(new):
        # Where one may write but not read, nothing can be opened to wait for.
        with suppress(PermissionError), Folder.opened(made.parent) as outer:
            outer.sync()


@contextmanager
def entered(folder: Where | Folder) -> Iterator[Folder]:
    """A folder for reading: the one that is open, which stays open, or the one of that place.

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
    """A file, opened for reading: one that the user names through links as well, one below only itself.

    None where nothing is there, or at a path that the user names no regular file.

    Raises:
        RunError: below what the user names something else than a file is there, or it may not be read.
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
    """What a file holds; see `opened_file`.

    Raises:
        HoldfastError: of this kind: it has more bytes than `most`.
    """
    file = opened_file(where)
    return None if file is None else _content(file, where, most, kind)


def _content(file: IO[bytes], where: Where, most: int, kind: type[HoldfastError]) -> bytes:
    """All of a file, which is closed."""
    with file:
        check_size(os.fstat(file.fileno()), where, kind, most)
        _check_hole(file, where, kind)
        try:
            return file.read()
        except OSError as error:
            raise unreadable(str(where), error) from error


def _check_hole(file: IO[bytes], where: Where, kind: type[HoldfastError]) -> None:
    """Raise an error of this kind for a large file that takes no room on the disk: all of it is a hole."""
    found = os.fstat(file.fileno())
    if found.st_size <= SMALL or found.st_blocks:
        return
    # Some file systems do not say how much room a file takes; whether there is anything, they do.
    try:
        os.lseek(file.fileno(), 0, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise kind(f"{where} has {found.st_size:,} bytes and nothing in them; it is none of ours") from None
    os.lseek(file.fileno(), 0, os.SEEK_SET)


@contextmanager
def path_of(where: Where) -> Iterator[Path]:
    """A path for libraries that open files by themselves: below what the user names, that of an open descriptor.

    Raises:
        FileNotFoundError: there is no such file.
        RunError: something else than a file lies there, below what the user names.
    """
    file = opened_file(where)
    if file is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(where))
    with file:
        yield where if isinstance(where, Path) else Path(f"/dev/fd/{file.fileno()}")


def lies(where: Where) -> bool:
    """Whether anything lies at a place; below what the user names, a link for itself."""
    if isinstance(where, Path):
        return where.exists()
    try:
        with Folder.opened(where.parent) as folder:
            return folder.has(where.name)
    except (FileNotFoundError, NotADirectoryError):
        return False
