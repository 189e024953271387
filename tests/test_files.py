"""What is at a path before a file is written there, and what the operating system refuses."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import StorageError
from holdfast.files import explained, storage_error
from holdfast.folders import Folder
from holdfast.locks import take_lock
from holdfast.outputs import alone_at, whole_file

if TYPE_CHECKING:
    from collections.abc import Callable


def write(path: Path, text: str = "new") -> None:
    with whole_file(path) as place:
        place.write(text.encode())


def device(path: Path) -> None:
    """The null device under a name of our own."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root can make devices")


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "what"),
    [(os.mkfifo, "a pipe"), (device, "a device"), (listening, "a socket"), (os.mkdir, "a folder")],
)
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_no_file_is_refused_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], what: str, linked: bool
) -> None:
    # The path of a socket is short.
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "there"
    make(place.relative_to(tmp_path))
    if linked:
        place = tmp_path / "link"
        place.symlink_to("there")
    before = place.lstat()
    with pytest.raises(StorageError, match=rf"{place} is {what}; expected a file, .* choose another place"):
        write(place)
    with pytest.raises(StorageError, match=f"is {what}"), alone_at(place, "is making it"):
        pass
    after = place.lstat()
    assert (after.st_mode, after.st_ino) == (before.st_mode, before.st_ino)
    assert len(list(tmp_path.iterdir())) == 1 + linked


@pytest.mark.parametrize("there", [False, True])
def test_a_link_is_written_through(tmp_path: Path, there: bool) -> None:
    folder, link = tmp_path / "elsewhere", tmp_path / "link"
    link.symlink_to("elsewhere/file")
    if there:
        write(folder / "file", "old")
    write(link)
    assert link.is_symlink()
    assert (folder / "file").read_text() == "new"
    assert [path.name for path in folder.iterdir()] == ["file"]


def test_a_link_that_leads_in_a_circle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(StorageError, match="could not be written"):
        write(tmp_path / "a")
    assert (tmp_path / "a").is_symlink()


def test_a_file_is_replaced_and_a_failure_leaves_it_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "file", "old")
    with pytest.raises(TypeError), whole_file(tmp_path / "file") as place:
        place.write("not bytes")  # type: ignore[arg-type]
    assert (tmp_path / "file").read_text() == "old"
    write(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


REASONS = {
    errno.ENOSPC: "no space left",
    errno.EDQUOT: "your quota of this disk is used up",
    errno.EFBIG: "larger than a file may be",
    errno.EROFS: "its file system is read-only",
    errno.EACCES: "permission denied",
    errno.ENAMETOOLONG: "its name, or its path, is too long",
    errno.ENOTDIR: "something on the way is a file, not a folder",
    errno.EISDIR: "it is a folder, not a file",
    errno.EIO: "the disk reports an error",
}


@pytest.mark.parametrize("number", REASONS)
def test_each_refusal_is_named_for_what_it_is(number: int) -> None:
    text = str(storage_error(Path("runs/x"), OSError(number, os.strerror(number)), "All is safe. "))
    assert text.startswith("runs/x: ")
    assert REASONS[number] in text
    assert ("Make room" in text) is (number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
    assert "All is safe. " in text
    assert text.endswith(", then repeat the same command")


def test_other_refusals_keep_the_words_of_the_system() -> None:
    assert explained(OSError(errno.ENXIO, "No such device or address"))[0] == "No such device or address"
    assert explained(OSError("torn"))[0] == "torn"


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_is_no_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StorageError, match="its file system cannot lock files") as caught:
        take_lock(Folder.opened(tmp_path), "lock", "is working")
    assert "Make room" not in str(caught.value)
    with pytest.raises(StorageError, match="cannot lock files"), alone_at(tmp_path / "model", "is making it"):
        pass


def test_what_stands_in_the_way_of_a_lock_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place, reason in (
        (tmp_path / "file" / "model", "a file, not a folder"),
        (tmp_path / ("x" * 300), "too long"),
    ):
        with pytest.raises(StorageError, match=reason), alone_at(place, "is making it"):
            pass


def test_a_failure_inside_is_not_taken_for_one_of_the_lock(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), alone_at(tmp_path / "model", "is making it"):
        raise IsADirectoryError(errno.EISDIR, "Is a directory")
    assert list(tmp_path.iterdir()) == []
