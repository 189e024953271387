"""What is said to be on the disk is: contents and names are waited for before a call returns.

A power failure cannot be had in a test. `Disk` notes what would be left after one: of a file, as many bytes as it had
when it was last waited for; of a folder, the names that it had then.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from attack_cases import attack_manifest
from helpers import CLASSES, SHAPE, manifest

from holdfast.store.adversarials import FOUND, hashed
from holdfast.store.attack import FILE_NAME as ATTACK
from holdfast.store.attack import AttackRecord, AttackStore
from holdfast.store.folder import RECORDS
from holdfast.store.results import FILE_NAME as RESULTS
from holdfast.store.run import RunStore, VoteRecord
from holdfast.store.run_manifest import FILE_NAME as MANIFEST
from holdfast.types import Counts


class Disk:
    """What has been waited for.

    Attributes:
        sizes: of files, by inode.
        names: of what lies in folders, by inode, with the inode of each.
        replaced: files that took another's place before their content was waited for.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.sizes: dict[int, int] = {}
        self.names: dict[int, dict[str, int]] = {}
        self.replaced: list[str] = []
        self._fsync, self._replace = os.fsync, os.replace
        patch.setattr(os, "fsync", self.fsync)
        patch.setattr(os, "replace", self.replace)

    def fsync(self, descriptor: int) -> None:
        self._fsync(descriptor)
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            with os.scandir(descriptor) as entries:
                self.names[found.st_ino] = {entry.name: entry.inode() for entry in entries}
        else:
            self.sizes[found.st_ino] = found.st_size

    def replace(self, old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        found = os.stat(old, dir_fd=src_dir_fd)
        if self.sizes.get(found.st_ino) != found.st_size:
            self.replaced.append(new)
        self._replace(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def keeps(self, path: Path) -> int | None:
        """How many bytes of a file would be left; None if not even its name."""
        found = path.stat()
        names = self.names.get(path.parent.stat().st_ino, {})
        return self.sizes.get(found.st_ino) if names.get(path.name) == found.st_ino else None

    def keeps_all(self, path: Path) -> bool:
        """Whether a file that has something in it would be left as it is."""
        return 0 < path.stat().st_size == self.keeps(path)

    def keeps_folder(self, path: Path) -> bool:
        """Whether the name of a folder would be left."""
        return self.names.get(path.parent.stat().st_ino, {}).get(path.name) == path.stat().st_ino


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def record(index: int) -> VoteRecord:
    return VoteRecord(index, index % CLASSES, Counts((30, 0, 0, 0)), Counts((290, 10, 0, 0)))


def found(index: int) -> tuple[AttackRecord, np.ndarray]:
    """An adversarial and its record."""
    values = np.full(SHAPE, index / 100, dtype=np.float32)
    made = AttackRecord(
        index=index,
        label=0,
        reference=0,
        radius=None,
        budgets=(0.2,),
        magnitude=0.1,
        kind="misclassified",
        answer=1,
        claims=1,
        refused=0,
        repeats=1,
        failures=1,
        votes=None,
        restarts=1,
        queries={"decisions": 1, "scores": 0, "gradients": 0, "samples": 0},
        adversarial=hashed(values),
    )
    return made, values


def test_a_promise_is_on_the_disk_before_anything_is_recorded(tmp_path: Path, disk: Disk) -> None:
    with RunStore(tmp_path / "run", manifest()):
        assert disk.keeps_all(tmp_path / "run" / MANIFEST)
    with AttackStore(tmp_path / "attack", attack_manifest()):
        assert disk.keeps_all(tmp_path / "attack" / ATTACK)
    assert disk.replaced == []


def test_a_new_folder_is_on_the_disk_with_all_those_on_the_way(tmp_path: Path, disk: Disk) -> None:
    folder = tmp_path / "of" / "several" / "runs"
    with RunStore(folder, manifest()):
        for each in (folder, folder.parent, folder.parent.parent):
            assert disk.keeps_folder(each)


def test_a_folder_whose_parent_may_not_be_read_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refusing(path: object, *args: object, **options: object) -> int:
        if path == tmp_path:
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", refusing)
    with RunStore(tmp_path / "run", manifest()) as store:
        store.append([record(0)])
    assert (tmp_path / "run" / RECORDS).stat().st_size > 0


def test_records_are_on_the_disk_when_append_returns(tmp_path: Path, disk: Disk) -> None:
    file = tmp_path / "run" / RECORDS
    with RunStore(tmp_path / "run", manifest()) as store:
        for index in range(3):
            store.append([record(2 * index), record(2 * index + 1)])
            assert disk.keeps_all(file)
            assert len(file.read_bytes().splitlines()) == 2 * index + 2


def test_adversarials_are_on_the_disk_before_the_records_that_name_them(tmp_path: Path, disk: Disk) -> None:
    folder, early = tmp_path / "attack", []

    with AttackStore(folder, attack_manifest()) as store:
        write = store.write

        def writing(lines: bytes) -> None:
            early.append([disk.keeps_all(each) for each in sorted((folder / FOUND).iterdir())])
            write(lines)

        store.write = writing
        store.append([found(0), found(1)])
        assert disk.keeps_all(folder / RECORDS)
        assert disk.keeps_folder(folder / FOUND)
        store.append([found(2)])
        assert disk.keeps_all(folder / RECORDS)
    assert early == [[True, True], [True, True, True]]
    assert disk.replaced == []


def test_the_digest_of_the_results_is_on_the_disk(tmp_path: Path, disk: Disk) -> None:
    with RunStore(tmp_path / "run", manifest(size=2)) as store:
        store.append([record(0), record(1)])
        store.conclude()
        assert disk.keeps_all(tmp_path / "run" / RESULTS)
    assert disk.replaced == []


def test_a_torn_line_is_cut_off_on_the_disk_before_another_follows(tmp_path: Path, disk: Disk) -> None:
    """Or it could come back, and the next line after it."""
    file = tmp_path / "run" / RECORDS
    with RunStore(tmp_path / "run", manifest()) as store:
        store.append([record(0), record(1)])
    whole = file.read_bytes()
    file.write_bytes(whole[:-5])
    disk.sizes.clear()
    with RunStore(tmp_path / "run", manifest()):
        assert disk.keeps(file) == whole.index(b"\n") + 1 == file.stat().st_size
