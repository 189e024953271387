"""Runs and attacks from strangers: links, hard links, pipes, devices, sockets and folders in the place of their files.

Nothing outside is read or written, nothing waits, no record is lost or changed, and the message says what lies where.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attack_cases import attack, attack_manifest, target
from helpers import CLASSES, SHARED, examples, manifest, run, vote
from obstacles import FOR_FILES, FOR_FOLDERS, made_outside, no_hang, state, words

from holdfast.errors import AlarmError, HoldfastError, RunError
from holdfast.estimators import FixedSize
from holdfast.execution.adversary import Certified
from holdfast.execution.attack import attack_run
from holdfast.execution.certify import certify_run
from holdfast.noises.gaussian import Gaussian
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine
from holdfast.store.attack import read_attack
from holdfast.store.attack_manifest import Budgets
from holdfast.store.folder import RECORDS
from holdfast.store.gallery import read_gallery
from holdfast.store.run import BoundRecord, RunStore, Session, read_run
from holdfast.store.run_manifest import BOUND
from holdfast.verification.attack import AttackVerification, check_attack
from holdfast.verification.run import Verification, check_files
from holdfast.workflows.logs import import_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from holdfast.types import Example

SIZE = 4
LOG = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n" + "".join(f"{i}\t1\t1\t0.5\t1\t0.1\n" for i in range(SIZE))


@dataclass(frozen=True)
class Kind:
    """A kind of folder.

    Attributes:
        work: start or resume it.
        read: everything that is read of it, verification included.
        files: all that it holds.
        read_files: of them those that reading opens.
        folders: in it.
    """

    work: Callable[[Path], None]
    read: Callable[[Path], None]
    files: tuple[str, ...]
    read_files: tuple[str, ...]
    folders: tuple[str, ...] = ()


def votes(folder: Path) -> None:
    run(folder, manifest(size=SIZE))


def imported(folder: Path) -> None:
    log = folder.parent / "log.tsv"
    log.write_text(LOG)
    import_log(log, Gaussian(0.5), FixedSize(1000, 0.001, "cohen"), 100, "unknown", folder)


def bound(folder: Path) -> None:
    promised = manifest(
        size=SIZE,
        kind=BOUND,
        noise={},
        guarantee="lipschitz",
        estimator={
            "name": "proved", "bound": {"name": "lipschitz"}, "norm": "L2", "source": "", "assumption": "", "most": None
        },
        n0=0,
        seed=None,
        seed_origin=None,
        block=0,
    )  # fmt: skip
    with RunStore(folder, promised) as store:
        store.append(BoundRecord(i, 1, 1, 0.5) for i in range(SIZE) if i not in store.done)
        store.conclude()
        store.log_session(Session(SIZE, 0, 0.1, {}))


def attacked(folder: Path) -> None:
    attack(folder, attack_manifest(size=SIZE, budgets=(0.9,)))


def alarmed(folder: Path) -> None:
    """An attack on certificates of which one is false, which leaves evidence; it goes on after the alarm."""
    promised = replace(attack_manifest(size=SIZE, certification="ab" * 32), budgets=Budgets((1.0,), relative=True))
    known = {each.index: Certified(int(each.x.ravel()[:4].argmax()), 0.5) for each in examples(range(SIZE))}
    for _ in range(SIZE + 1):
        try:
            attack(folder, promised, known)
        except AlarmError:
            continue
        return


def read_votes(folder: Path) -> None:
    read_gallery(read_run(folder).folder)
    raise_failures(check_files, folder, Verification())


def read_adversarials(folder: Path) -> None:
    read_attack(folder)
    raise_failures(check_attack, folder, AttackVerification())


def raise_failures(check: Callable[..., object], folder: Path, result: Verification | AttackVerification) -> None:
    check(folder, result)
    if result.failures:
        raise RunError("; ".join(result.failures))


_OF_RUN = ("manifest.json", "records.jsonl", "sessions.jsonl", "results.json", "gallery.npz", "lock")
_OF_ATTACK = ("attack.json", "records.jsonl", "sessions.jsonl", "results.json", "lock", "found/3.npy", "inputs/3.npy")
KINDS = {
    "votes": Kind(votes, read_votes, _OF_RUN, _OF_RUN[:-1]),
    "imported": Kind(imported, read_votes, _OF_RUN, _OF_RUN[:4]),
    "bound": Kind(bound, read_votes, _OF_RUN, _OF_RUN[:4]),
    "attack": Kind(
        attacked, read_adversarials, _OF_ATTACK, (*_OF_ATTACK[:4], "found/3.npy"), ("found", "evidence", "inputs")
    ),
    "alarm": Kind(
        alarmed,
        read_adversarials,
        (*_OF_ATTACK, "evidence/3.json", "evidence/3.npz"),
        (*_OF_ATTACK[:4], "found/3.npy"),
        ("found", "evidence", "inputs"),
    ),
}
# Files that are written anew, or not at all: there a second name does no harm.
_WHOLE = (
    "manifest.json",
    "attack.json",
    "results.json",
    "gallery.npz",
    "found/3.npy",
    "inputs/3.npy",
    "evidence/3.json",
    "evidence/3.npz",
)


def cases(reading: bool) -> list[tuple[str, str, str]]:
    """All kinds of folders, all names in them, all obstacles; a third of them, unless HOLDFAST_FUZZ asks for all."""
    found = []
    for name, kind in KINDS.items():
        files = kind.read_files if reading else kind.files
        found += [(name, file, obstacle) for file in files for obstacle in FOR_FILES]
        folders = [each for each in kind.folders if not reading or each == "found"]
        found += [(name, folder, obstacle) for folder in folders for obstacle in FOR_FOLDERS]
    return found[:: 1 if "HOLDFAST_FUZZ" in os.environ else 3]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished folder of each kind."""
    made = {name: tmp_path_factory.mktemp(name) / "whole" for name in KINDS}
    for name, folder in made.items():
        KINDS[name].work(folder)
    return made


def put(whole: Path, tmp_path: Path, file: str, obstacle: str) -> tuple[Path, Path]:
    """A folder with an obstacle, and what lies outside."""
    folder, outside = tmp_path / "run", made_outside(tmp_path)
    shutil.copytree(whole, folder)
    (folder / file).parent.mkdir(exist_ok=True)
    ({**FOR_FILES, **FOR_FOLDERS}[obstacle])(folder / file, outside)
    return folder, outside


@pytest.mark.parametrize(("name", "file", "obstacle"), cases(reading=False))
@pytest.mark.parametrize("half", [False, True], ids=["finished", "half done"])
def test_work_goes_through_no_obstacle(
    tmp_path: Path, whole: dict[str, Path], name: str, file: str, obstacle: str, half: bool
) -> None:
    kind = KINDS[name]
    folder, outside = put(whole[name], tmp_path, file, obstacle)
    records = folder / RECORDS
    expected = (whole[name] / RECORDS).read_bytes()
    if half and file != RECORDS:
        records.write_bytes(expected[: expected.index(b"\n") + 9])
    before, kept = state(outside), b"" if file == RECORDS else records.read_bytes()
    harmless = obstacle == "hard link" and file in _WHOLE
    # Evidence of an alarm that was raised before is not written again, nor are inputs for pictures.
    refused = not harmless and (half or not file.startswith(("evidence/", "inputs/")))
    with no_hang():
        answer = answered(lambda: kind.work(folder))
    assert state(outside) == before
    assert (answer is not None) is refused
    if answer is not None:
        assert file in answer
        assert words(obstacle) in answer
        assert answer.endswith("then repeat the same command")
        # A line that is torn may be cut off.
        assert file == RECORDS or kept[: kept.rfind(b"\n") + 1] == records.read_bytes()[: kept.rfind(b"\n") + 1]


def answered(work: Callable[[], None]) -> str | None:
    """What an error says that is raised on purpose; None where there is none."""
    try:
        work()
    except HoldfastError as error:
        return str(error)
    return None


@pytest.mark.parametrize(("name", "file", "obstacle"), cases(reading=True))
def test_reading_goes_through_no_obstacle(
    tmp_path: Path, whole: dict[str, Path], name: str, file: str, obstacle: str
) -> None:
    folder, outside = put(whole[name], tmp_path, file, obstacle)
    before, own = state(outside), state(folder)
    with no_hang():
        answer = answered(lambda: KINDS[name].read(folder))
    assert (state(outside), state(folder)) == (before, own)
    if obstacle == "hard link":
        assert answer is None
    else:
        assert file in (answer or "")
        assert words(obstacle) in (answer or "")


def test_a_run_whose_folder_is_swapped_for_a_link_goes_on_in_the_folder_that_was_opened(tmp_path: Path) -> None:
    outside, folder = made_outside(tmp_path), tmp_path / "run"
    before = state(outside)

    def swapping(indices: Sequence[int]) -> Iterator[Example]:
        for example in examples(indices):
            if example.index == 1 and not folder.is_symlink():
                folder.rename(tmp_path / "moved")
                folder.symlink_to(outside / "folder")
            yield example

    certify_run(folder, manifest(size=SIZE), VotingClassifier(vote, CLASSES), swapping, LocalEngine(batch_size=100))
    assert state(outside) == before
    folder.unlink()
    run(folder, manifest(size=SIZE))
    moved = tmp_path / "moved"
    assert read_run(moved).records == read_run(folder).records
    assert len(read_run(moved).sessions) == 1
    assert read_gallery(moved) is not None


def test_an_attack_whose_folder_is_swapped_for_a_link_goes_on_in_the_folder_that_was_opened(tmp_path: Path) -> None:
    outside, folder = made_outside(tmp_path), tmp_path / "run"
    before = state(outside)

    def swapping(indices: Sequence[int]) -> Iterator[Example]:
        for example in examples(indices):
            if example.index == 1:
                folder.rename(tmp_path / "moved")
                folder.symlink_to(outside / "folder")
            yield example

    attack_run(folder, attack_manifest(size=SIZE, budgets=(0.9,)), target(), swapping)
    assert state(outside) == before
    found = read_attack(tmp_path / "moved")
    assert [record.adversarial is not None for record in found.records] == SIZE * [True]
    assert len(found.sessions) == 1


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    run(tmp_path / "link", manifest(size=SIZE))
    assert len(read_run(tmp_path / "link").records) == len(read_run(tmp_path / "there").records) == SIZE


# What a user who is not root, and may not write what is named, does with a run of another user.
READ_ONLY = """
    import json, os, sys
    sys.path[:0] = {places!r}
    from pathlib import Path
    from helpers import manifest
    from holdfast.store.run import RunStore, Session, read_run
    from test_obstacles import SIZE, answered

    # Before: the libraries may lie where that user sees nothing.
    promised, records = manifest(size=SIZE), read_run(Path({whole!r})).records

    def work(folder):
        with RunStore(folder, promised) as store:
            store.append(each for each in records if each.index not in store.done)
            store.log_session(Session(1, 1, 0.1, {{}}))

    os.chdir({place!r})
    work(Path("first"))
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    print(json.dumps({{name: answered(lambda: work(Path(name))) for name in sorted(os.listdir())}}))
"""


def test_what_may_not_be_written_is_named_and_loses_nothing(tmp_path: Path, whole: dict[str, Path]) -> None:
    """All files, and the folder: where they need not be written they need not be writable."""
    expected = (whole["votes"] / RECORDS).read_bytes()
    place = tmp_path / "place"
    for name in ("first", "nothing", "folder", *_OF_RUN):
        folder = place / name
        shutil.copytree(whole["votes"], folder)
        (folder / RECORDS).write_bytes(expected[: expected.index(b"\n") + 1])
        for each in (*folder.iterdir(), folder):
            each.chmod(0o777)
        if name not in ("first", "nothing"):
            (folder if name == "folder" else folder / name).chmod(0o555)
    before = {name: state(place / name) for name in _OF_RUN}
    code = textwrap.dedent(READ_ONLY).format(
        places=[SHARED, str(Path(__file__).parent)], whole=str(whole["votes"]), place=str(place)
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    answers = json.loads(done.stdout)
    # What need not be made or written anew need not be writable: the folder, the promise, the pictures.
    assert {name for name, answer in answers.items() if answer} == {"records.jsonl", "sessions.jsonl", "lock"}
    for name, answer in answers.items():
        if answer:
            assert "could not be written: you may not use it" in answer
            assert "Every record written before is valid" in answer
        else:
            assert (place / name / RECORDS).read_bytes() == expected
    assert state(place / "lock") == before["lock"]
    assert (place / RECORDS / RECORDS).read_bytes() == expected[: expected.index(b"\n") + 1]
