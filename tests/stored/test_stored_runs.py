"""Stored runs of every kind, made by Holdfast 0.1.0: read, written, summarized and verified as they were then."""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from stored_questions import NONCE, ask_all, case_names, entries, is_attack, model_of, read_stored, reduced, run_program

from holdfast.errors import HoldfastError
from holdfast.execution.versions import installed_versions
from holdfast.store.attack import AttackRun

HERE = Path(__file__).parent
NAMES = case_names(HERE)
ATTACKS = [name for name in NAMES if is_attack(HERE, name)]
RECORDED = [name for name in NAMES if name != "awaiting"]
COMPUTED = [name for name in RECORDED if name != "imported"]
# Runs without noise, or of every realization once.
_EVERY_ONE = ("columns", "partition", "runoff", "splitting")
NOT_RANDOM = ("attack-bound", "attack-plain", "bound-convex", "bound-lipschitz", *_EVERY_ONE)


def _content(folder: Path) -> dict[str, str]:
    """The hash of each file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _exact() -> bool:
    """Whether quantiles come from the libraries that the answers were made with: others may round otherwise."""
    made = entries(HERE, "attack-plain")["versions"]
    return all(version(name) == made[name] for name in ("numpy", "scipy"))


def _same(found: Any, kept: Any) -> bool:
    """Whether two answers are the same; numbers up to rounding where other libraries compute them."""
    if isinstance(found, float) and isinstance(kept, float) and not _exact():
        return found == pytest.approx(kept, rel=1e-12)
    if isinstance(found, dict) and isinstance(kept, dict):
        return found.keys() == kept.keys() and all(_same(found[key], kept[key]) for key in kept)
    if isinstance(found, list) and isinstance(kept, list):
        return len(found) == len(kept) and all(map(_same, found, kept))
    return type(found) is type(kept) and found == kept


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of models and runs, which a command may lock or write."""
    folder = tmp_path_factory.mktemp("stored")
    for part in ("models", "runs"):
        shutil.copytree(HERE / part, folder / part)
    return folder


@pytest.fixture
def later_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version number of Holdfast, as for whoever reads old runs.

    The code of an architecture may have been rewritten since: of another version that is a note, of the same one it is
    a failure.
    """
    monkeypatch.setattr("holdfast.execution.versions.VERSION", "1000")
    assert installed_versions()["holdfast"] == "1000"


@pytest.mark.usefixtures("later_version")
@pytest.mark.parametrize("name", NAMES)
def test_the_program_says_what_it_said(stored: Path, name: str) -> None:
    before = _content(stored)
    expected = json.loads((HERE / "answers" / f"{name}.json").read_text())
    answers = ask_all(stored, name)
    assert answers.keys() == expected.keys()
    for question, answer in answers.items():
        assert _same(answer, expected[question]), f"{question}: {answer}, kept is {expected[question]}"
    assert _content(stored) == before, "a question changes nothing"


def test_each_run_has_answers() -> None:
    assert sorted(path.stem for path in (HERE / "answers").iterdir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_manifest_and_records_are_written_again_byte_for_byte(stored: Path, name: str) -> None:
    run, folder = read_stored(stored, name), stored / "runs" / name
    text = (folder / ("attack.json" if is_attack(stored, name) else "manifest.json")).read_text()
    assert run.manifest.to_json() == text
    assert run.manifest.digest == json.loads(text)["digest"]
    lines = (folder / "records.jsonl").read_bytes().splitlines(keepends=True)
    # A torn last line is no record.
    whole = {json.loads(line)["index"]: line for line in lines if line.endswith(b"\n")}
    assert {record.index: record.to_line(run.manifest.digest).encode() for record in run.records} == whole


@pytest.mark.parametrize("name", ATTACKS)
def test_adversarials_are_read_as_they_lie(stored: Path, name: str) -> None:
    attack = read_stored(stored, name)
    assert isinstance(attack, AttackRun)
    named = {f"{record.index}.npy": record.adversarial for record in attack.records if record.adversarial}
    assert named.keys() == {path.name for path in (stored / "runs" / name / "found").iterdir()}
    assert all(attack.adversarial(record) is not None for record in attack.records if record.adversarial)


@pytest.mark.parametrize("name", RECORDED)
def test_a_changed_label_is_found(stored: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(stored, tmp_path / "changed")
    records = tmp_path / "changed" / "runs" / name / "records.jsonl"
    first, *others = records.read_text().splitlines(keepends=True)
    label = json.loads(first)["label"]
    records.write_text("".join([first.replace(f'"label":{label},', f'"label":{(label + 1) % 10},', 1), *others]))
    code, _ = run_program("verify", tmp_path / "changed" / "runs" / name, "--json")
    assert code == 1
    with pytest.raises(HoldfastError, match="line 1 is not a record"):
        read_stored(tmp_path / "changed", name)


@pytest.mark.usefixtures("later_version")
@pytest.mark.parametrize("name", COMPUTED)
def test_records_are_computed_again(stored: Path, name: str) -> None:
    """The same seed, model and data give the same records where noise plays no part; that of older runs is refused."""
    versions = entries(stored, name)["versions"]
    here = {"torch": torch.__version__}
    if is_attack(stored, name) or name.startswith("bound"):
        here["processor"] = torch.backends.cpu.get_cpu_capability()
    others = {key: value for key, value in here.items() if versions[key] != value}
    if others:
        pytest.skip(f"made with {', '.join(f'{key} {versions[key]}' for key in others)}, here is {others}")
    call = ("verify", stored / "runs" / name, "--model", model_of(stored, name), "--data", "digits", "--replay", "all")
    code, out = run_program(*call, "--json")
    done = json.loads(out)
    if entries(stored, name).get("block", 64) == 64 and name not in NOT_RANDOM:
        # Noise has had another definition since; the version that the manifest names still draws it.
        assert done["failures"] == done["replayed"] == []
        assert done["undecided"].startswith("an older version of Holdfast drew this noise")
        assert code == (3 if name == "unfinished" else 4)
        return
    assert done["failures"] == []
    assert len(done["replayed"]) == len(read_stored(stored, name).records) > 0
    assert code == (3 if name == "unfinished" else 0)


def test_a_seed_is_derived_from_promise_and_nonce_as_it_was(stored: Path) -> None:
    found = entries(stored, "derived")
    text = f"holdfast seed 1\n{found['promise']}\n{NONCE}\n"
    assert (found["nonce"], found["seed_origin"]) == (NONCE, "derived")
    assert found["seed"] == int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") >> (256 - 63)


def test_what_is_kept_of_an_answer() -> None:
    """Sentences may be reworded; a number, a label, a digest or how many failures there are may not change unseen."""
    answer: dict[str, Any] = {"run": "/a/b/c", "subset": "10 of 360", "caution": None}
    answer |= {"notes": ["x"], "failures": ["y"]}
    answer |= {"norm": "L2", "unattacked": {"no radius": 2}, "shares": [{"value": 0.5}], "exit_code": 1}
    kept = {"run": "c", "subset": "...", "caution": None, "failures": 1, "norm": "L2", "unattacked": [2]}
    assert reduced(answer) == kept | {"shares": [{"value": 0.5}], "exit_code": 1}
