"""What a stranger may put in the place of a file or a folder, and a watch on everything outside."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Nothing waits for a pipe, and nothing takes so long.
_HANG_SECONDS = 20

SECRET = b"nobody may write here, and nothing of it may be shown\n"


def _link_to_a_copy(place: Path, outside: Path) -> None:
    """A link to what was there, moved out: all would go on as before, and be written outside."""
    kept = outside / "copy"
    if place.is_dir():
        shutil.copytree(place, kept)
    elif place.exists():
        shutil.copy2(place, kept)
    else:
        kept.write_bytes(b"")
    _clear(place)
    place.symlink_to(kept)


def _link_to_another_file(place: Path, outside: Path) -> None:
    _clear(place)
    place.symlink_to(outside / "secret")


def _link_to_nothing(place: Path, outside: Path) -> None:
    _clear(place)
    place.symlink_to(outside / "not there yet")


def _link_to_a_folder(place: Path, outside: Path) -> None:
    _clear(place)
    place.symlink_to(outside / "folder")


def _link_to_a_full_device(place: Path, outside: Path) -> None:
    _clear(place)
    place.symlink_to("/dev/full")


def _second_name(place: Path, outside: Path) -> None:
    """A hard link of a file outside, with the content that was here."""
    kept = outside / "copy"
    if place.exists():
        shutil.copy2(place, kept)
    else:
        kept.write_bytes(b"")
    _clear(place)
    os.link(kept, place)


def _pipe(place: Path, outside: Path) -> None:
    _clear(place)
    os.mkfifo(place)


def _device(place: Path, outside: Path) -> None:
    """The null device under a name of our own."""
    _clear(place)
    try:
        os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root can make devices")


def _socket(place: Path, outside: Path) -> None:
    _clear(place)
    before = os.open(".", os.O_RDONLY)
    try:
        # The path of a socket is short.
        os.chdir(place.parent)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(place.name)
    finally:
        os.fchdir(before)
        os.close(before)


def _folder(place: Path, outside: Path) -> None:
    _clear(place)
    place.mkdir()


def _file(place: Path, outside: Path) -> None:
    _clear(place)
    place.write_bytes(SECRET)


def _clear(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


_LINKS = {
    "link to a copy": _link_to_a_copy,
    "link to another file": _link_to_another_file,
    "link to nothing": _link_to_nothing,
    "link to a folder": _link_to_a_folder,
}
# What may lie in the place of a file, and words of the message.
FOR_FILES: dict[str, Callable[[Path, Path], None]] = {
    **_LINKS,
    "link to /dev/full": _link_to_a_full_device,
    "hard link": _second_name,
    "pipe": _pipe,
    "device": _device,
    "socket": _socket,
    "folder": _folder,
}
FOR_FOLDERS: dict[str, Callable[[Path, Path], None]] = {**_LINKS, "pipe": _pipe, "file": _file}
_WORDS = {"hard link": "names (hard links)", **dict.fromkeys([*_LINKS, "link to /dev/full"], "is a symbolic link")}


def words(obstacle: str) -> str:
    """What a message says of it."""
    return _WORDS.get(obstacle, f"is a {obstacle}")


def made_outside(folder: Path) -> Path:
    """A folder of things that belong to somebody else."""
    outside = folder / "outside"
    (outside / "folder").mkdir(parents=True)
    (outside / "secret").write_bytes(SECRET)
    (outside / "folder" / "manifest.json").write_bytes(SECRET)
    return outside


def state(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything in a folder: names, kinds, contents, and when they were written."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted([folder, *folder.rglob("*")]):
        seen = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(seen.st_mode) else b""
        found[str(path)] = (stat.S_IFMT(seen.st_mode), seen.st_size, seen.st_mtime_ns, content)
    return found


@contextmanager
def no_hang() -> Iterator[None]:
    """Fail what waits for ever."""

    def late(*_: object) -> None:
        raise AssertionError(f"no answer within {_HANG_SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(_HANG_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
