"""Files that the user asks for: whole or not at all, never in a run, never through a link that was prepared."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from holdfast.errors import DataError, RunError, StorageError
from holdfast.folders import Below, Folder, lies, opened_file, read_file
from holdfast.outputs import alone_at, beside, check_place, remove, whole_file

OLD, NEW = b"old", b"new"


def read(where: Path | Below) -> bytes | None:
    return read_file(where, 100, DataError)


def write(where: Path | Below) -> None:
    with whole_file(where) as file:
        file.write(NEW)


@pytest.mark.parametrize("promise", ["manifest.json", "attack.json"])
@pytest.mark.parametrize("other", ["records.jsonl", "lock"])
@pytest.mark.parametrize("place", ["report.html", "records.jsonl", "sub/folder/report.html"])
def test_nothing_is_written_into_a_run(tmp_path: Path, promise: str, other: str, place: str) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / promise).write_bytes(OLD)
    (run / other).write_bytes(OLD)
    (tmp_path / "link").symlink_to(run / place)
    (tmp_path / "folder").symlink_to(run)
    for where in (run / place, tmp_path / "link", tmp_path / "folder" / place, Below(run, tuple(place.split("/")))):
        for attempt in (lambda where=where: write(where), lambda where=where: alone_at(where, "").__enter__()):
            with pytest.raises(StorageError, match=r"lies in .*run, which holds a run or an attack.* choose a place"):
                attempt()
    assert sorted(path.name for path in run.iterdir()) == sorted((promise, other))
    assert (run / other).read_bytes() == OLD


@pytest.mark.parametrize(
    ("promise", "run"),
    [
        (b'{"format": 2, "data": {}, "digest": ""}', True),
        (b'{"format": 2, "data": {}}', False),
        (b'{"name": "an app", "icons": []}', False),
        (b"[]", False),
        (b"\xff", False),
        (b"[" * 100_000, False),
    ],
)
def test_a_manifest_of_something_else_makes_no_run(tmp_path: Path, promise: bytes, run: bool) -> None:
    (tmp_path / "manifest.json").write_bytes(promise)
    if run:
        with pytest.raises(StorageError, match="holds a run"):
            check_place(tmp_path / "below" / "file")
    else:
        write(tmp_path / "below" / "file")


def test_a_pipe_in_the_place_of_a_manifest_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.json")
    write(tmp_path / "file")
    (tmp_path / "lock").touch()
    with pytest.raises(StorageError, match="holds a run"):
        write(tmp_path / "file")


@pytest.mark.parametrize("below", [False, True])
def test_links_count_where_the_user_names_them_and_not_below(tmp_path: Path, below: bool) -> None:
    (tmp_path / "target").write_bytes(OLD)
    (tmp_path / "link").symlink_to("target")
    where = Below(tmp_path, ("link",)) if below else tmp_path / "link"
    assert lies(where)
    if below:
        for attempt in (write, read, lambda where: alone_at(where, "").__enter__()):
            with pytest.raises(RunError, match="link is a symbolic link; expected a file itself"):
                attempt(where)
        assert (tmp_path / "target").read_bytes() == OLD
    else:
        write(where)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "target").read_bytes() == read(where) == NEW


def test_a_link_on_the_way_counts_at_the_root_alone(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "root").symlink_to("there")
    write(Below(tmp_path / "root", ("a", "b", "file")))
    assert (tmp_path / "there" / "a" / "b" / "file").read_bytes() == NEW
    (tmp_path / "there" / "c").symlink_to("a")
    place = Below(tmp_path / "root", ("c", "b", "file"))
    for attempt in (write, opened_file, lies, remove):
        with pytest.raises(RunError, match=r"root/c is a symbolic link; expected a folder itself"):
            attempt(place)
    assert (tmp_path / "there" / "a" / "b" / "file").read_bytes() == NEW


@pytest.mark.parametrize("name", [".file.0123.tmp", ".file.lock"])
def test_a_link_that_was_prepared_for_our_own_names_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Temporary names cannot be foreseen; here they are, and still nothing is followed."""
    monkeypatch.setattr(secrets, "token_hex", lambda _: "0123")
    (tmp_path / "target").write_bytes(OLD)
    (tmp_path / name).symlink_to("target")
    lock = name.endswith("lock")
    attempt = (lambda where: alone_at(where, "is making it").__enter__()) if lock else write
    with pytest.raises(RunError, match="is a symbolic link" if lock else "something with that name exists already"):
        attempt(tmp_path / "file")
    assert (tmp_path / "target").read_bytes() == OLD
    assert not (tmp_path / "file").exists()


def test_temporary_names_differ(tmp_path: Path) -> None:
    seen = set()
    for _ in range(3):
        with Folder.opened(tmp_path) as folder, folder.replacing("file"):
            seen |= {path.name for path in tmp_path.iterdir() if path.name != "file"}
    assert len(seen) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_lies_beside_a_file_is_no_link(tmp_path: Path) -> None:
    assert beside(tmp_path / "m", "m.checkpoint") == Below(tmp_path, ("m.checkpoint",))
    assert beside(Below(tmp_path, ("a", "m")), "m.checkpoint") == Below(tmp_path, ("a", "m.checkpoint"))


def test_a_named_pipe_is_no_file_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read(tmp_path / "pipe") is None
    assert read(tmp_path) is None
    assert read(tmp_path / "nothing") is None
    with pytest.raises(RunError, match="pipe is a pipe; expected a file itself"):
        read(Below(tmp_path, ("pipe",)))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(101))
    with pytest.raises(DataError, match="file has 101 bytes, expected at most 100"):
        read(tmp_path / "file")
    with Folder.opened(tmp_path) as folder, pytest.raises(RunError, match="file has 101 bytes"):
        folder.read("file", 100)


def test_a_folder_that_is_swapped_for_a_link_stays_the_one_that_was_opened(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "outside").mkdir()
    with Folder.opened(tmp_path / "folder") as folder, folder.replacing("first") as first:
        first.write(NEW)
        (tmp_path / "folder").rename(tmp_path / "moved")
        (tmp_path / "folder").symlink_to("outside")
        with folder.folder("below", make=True) as below, below.replacing("file") as file:
            file.write(NEW)
        with folder.appending("log") as log:
            log.write(NEW)
        assert folder.read("log", 100) == NEW
    assert sorted(path.name for path in (tmp_path / "moved").iterdir()) == ["below", "first", "log"]
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A real partial write: the process may not write files beyond a size."""
    (tmp_path / "file").write_bytes(OLD)
    code = f"""
        import resource
        from pathlib import Path
        from holdfast.errors import StorageError
        from holdfast.outputs import whole_file
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
        try:
            with whole_file(Path({str(tmp_path / "file")!r})) as file:
                file.write(b"x" * 100_000)
        except StorageError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert "no space left for it. Make room or choose another place" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == OLD


def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    """By a user who is not root, whom permissions bind."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "manifest.json").write_bytes(OLD)
    (folder / "manifest.json").chmod(0)
    code = f"""
        import os
        from pathlib import Path
        from holdfast.errors import HoldfastError
        from holdfast.folders import Folder
        opened = Folder.opened(Path({str(folder)!r}))
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        try:
            opened.read("manifest.json", 100)
        except HoldfastError as error:
            print(type(error).__name__, error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("RunError ")
    assert "manifest.json: it could not be read: you may not use it" in done.stdout


@pytest.mark.parametrize("beginning", [b"", b"{"])
def test_a_file_that_is_a_hole_is_not_read(tmp_path: Path, beginning: bytes) -> None:
    """It says that it has four GB, and the disk holds next to nothing of it."""
    with (tmp_path / "file").open("wb") as file:
        file.write(beginning)
        file.truncate(2**32)
    with (
        Folder.opened(tmp_path) as folder,
        pytest.raises(RunError, match=r"has 4,294,967,296 bytes but no data|unpacks to 4,294,967,296 bytes"),
    ):
        folder.read("file", 2**32)
