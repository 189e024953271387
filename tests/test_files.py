"""What is at a path before a file is written there."""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import StorageError
from holdfast.files import alone_at, whole_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def write(path: Path, text: str = "new") -> None:
    with whole_file(path) as place:
        place.write_text(text)


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
    with pytest.raises(StorageError, match=rf"{place} is {what}; expected was a file, .* choose another place"):
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
        place.write_bytes("not bytes")  # type: ignore[arg-type]
    assert (tmp_path / "file").read_text() == "old"
    write(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
