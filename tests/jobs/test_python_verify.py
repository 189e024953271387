"""`holdfast.verify`: what the command checks and says, as an object."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

import holdfast as hf
from holdfast.__main__ import main

ROOT = Path(__file__).parents[1] / "stored"
MODEL = ROOT / "models" / "gaussian.safetensors"
RUN, ATTACK = ROOT / "runs" / "gaussian", ROOT / "runs" / "attack-smoothed"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> hf.CertifiedRun:
    out = tmp_path_factory.mktemp("run") / "run"
    return hf.certify(MODEL, "digits", n=300, alpha=0.01, every=30, out=out)


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def call(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["holdfast", "verify", *map(str, arguments)])
        with pytest.raises(SystemExit):
            main()
        return capsys.readouterr().out

    return call


@pytest.mark.parametrize("folder", [RUN, ATTACK, ROOT / "runs" / "imported", ROOT / "runs" / "bound-lipschitz"])
def test_the_outcome_is_that_of_the_command(folder: Path, printed) -> None:
    found = hf.verify(folder)
    assert found.to_dict() == json.loads(printed(folder, "--json"))
    said = printed(folder)
    for option in ("data", "model", "replay", "digest", "results"):
        said = said.replace(f"--{option}", f"{option}=")
    assert f"{found}\n" == said.replace("--run)", "certification=)")


def test_a_run_is_verified_with_its_model_and_its_data(run: hf.CertifiedRun) -> None:
    model, data = hf.load_model(MODEL), hf.load_data("digits")
    seen: list[tuple[int, int]] = []
    found = hf.verify(run, replay=3, model=model, data=data, progress=lambda *state: seen.append(state))
    assert found.ok
    assert found.failures == []
    assert len(found.replayed) == 3
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert found.level == "data"
    assert not any("model" in each for each in found.not_checked)
    found.raise_for_failures()
    for replay, count in (("10%", -(-len(run.results) // 10)), ("all", len(run.results))):
        again = hf.verify(run.folder, replay=replay, model=MODEL, data="digits", progress=False)
        assert len(again.replayed) == count
    assert again.level == "replay"


def test_another_model_and_a_changed_record_are_failures(tmp_path: Path) -> None:
    found = hf.verify(RUN, model=ROOT / "models" / "plain.safetensors", data="digits")
    assert not found.ok
    assert any("model" in failure for failure in found.failures)
    with pytest.raises(hf.RunError, match=r"FAILED: \d check"):
        found.raise_for_failures()
    shutil.copytree(RUN, tmp_path / "run")
    records = tmp_path / "run" / "records.jsonl"
    records.write_bytes(records.read_bytes().replace(b'"label":', b'"label":1', 1))
    changed = hf.verify(tmp_path / "run")
    assert changed.failures
    assert "FAILED" in repr(changed)
    assert "Error: " in str(changed)


def test_less_than_is_required_is_not_ok() -> None:
    found = hf.verify(RUN, require="replay")
    assert not found.ok
    assert found.failures == []
    with pytest.raises(hf.RunError, match='NOT ENOUGH for require="replay"'):
        found.raise_for_failures()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"replay": 3}, "needs the run's model and its data: give both"),
        ({"replay": 0, "model": MODEL, "data": "digits"}, "expected at least one record; got 0"),
        ({"replay": 1.5, "model": MODEL, "data": "digits"}, "replay is a number of records"),
        ({"replay": True, "model": MODEL, "data": "digits"}, "replay is a number of records"),
        ({"digest": "12"}, "digest is a SHA-256, 64 hexadecimal digits; got '12'"),
        ({"require": "everything"}, "require is one of claims, files, data, replay"),
        ({"certification": RUN}, "is not an attack; leave it out"),
        ({"progress": 1}, "progress is True, False, or a function"),
        ({"engine": "local"}, "the engine is an object"),
    ],
)
def test_wrong_calls_say_what_is_wrong(arguments: dict[str, object], message: str) -> None:
    if "progress" in arguments:
        arguments = {**arguments, "replay": 1, "model": MODEL, "data": "digits"}
    with pytest.raises(hf.UsageError, match=message):
        hf.verify(RUN, **arguments)


def test_the_wrong_split_is_refused_and_not_compared() -> None:
    with pytest.raises(hf.UsageError, match=r"about the test split of digits, and the train split is given"):
        hf.verify(RUN, data=hf.load_data("digits", "train"))


def test_something_else_than_a_run_is_refused() -> None:
    with pytest.raises(hf.UsageError, match="a run is a folder, or what certify"):
        hf.verify(3)
