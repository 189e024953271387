"""`holdfast.attack`: the attack of the command, from Python."""

from __future__ import annotations

import gc
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import holdfast as hf
from holdfast.__main__ import main
from holdfast.attacks.base import ATTACKS
from holdfast.store.run import RunStore

ROOT = Path(__file__).parents[1] / "stored"
MODEL, PLAIN = ROOT / "models" / "gaussian.safetensors", ROOT / "models" / "plain.safetensors"
SETTINGS = {"limit": 3, "n": 100, "repeats": 20, "seed": 1}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> hf.CertifiedRun:
    out = tmp_path_factory.mktemp("run") / "run"
    return hf.certify(MODEL, "digits", n=300, alpha=0.01, every=60, out=out)


def test_python_and_the_command_line_make_the_same_attack(
    run: hf.CertifiedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a"
    found = hf.attack(run, "pgd:norm=l2,steps=5", model=MODEL, data="digits", out=out, **SETTINGS)
    options = [part for name, value in SETTINGS.items() for part in (f"--{name}", str(value))]
    command = ["attack", str(run.folder), "--attack", "pgd:norm=l2,steps=5", "--model", str(MODEL), "--json", "--out"]
    monkeypatch.setattr(sys, "argv", ["holdfast", *command, str(tmp_path / "b" / "a"), *options])
    main()
    assert json.loads(json.dumps(found.to_dict())) == json.loads(capsys.readouterr().out)
    other = hf.load_run(tmp_path / "b" / "a")
    assert [replace(record, adversarial=None) for record in other.records] == [
        replace(record, adversarial=None) for record in found.records
    ]
    assert found.adversarials.keys() == other.adversarials.keys()
    for index, values in found.adversarials.items():
        assert values.dtype == np.float32
        assert values.shape == (1, 8, 8)
        assert np.array_equal(values, other.adversarials[index])
    assert found.alarms == ()
    assert str(found).startswith("pgd:norm=l2,steps=5 on 3 of ")
    assert "Certificates contradicted: 0 of" in str(found)


def test_an_attack_object_and_numbers_are_as_good_as_their_spelling(tmp_path: Path) -> None:
    spelt = hf.attack(None, "pgd:norm=linf,steps=3", model=PLAIN, data="digits", budget=".05,.1", limit=3, seed=2)
    made = ATTACKS.from_spec("pgd:norm=linf,steps=3")
    for budget in ([0.05, 0.1], np.array([0.05, 0.1])):
        found = hf.attack(None, made, model=PLAIN, data="digits", budget=budget, limit=3, seed=2)
        assert found.to_dict() == spelt.to_dict()
    folder = found.folder
    assert "a temporary folder" in repr(found)
    del found
    gc.collect()
    assert not folder.exists()


def test_an_interrupted_attack_goes_on(tmp_path: Path) -> None:
    def stop(progress) -> None:
        raise KeyboardInterrupt

    call = {"model": PLAIN, "data": "digits", "limit": 4, "budget": 0.1, "out": tmp_path / "attack"}
    with pytest.raises(KeyboardInterrupt):
        hf.attack(None, "fgsm", progress=stop, **call)
    before = (tmp_path / "attack" / "records.jsonl").read_bytes()
    assert before.count(b"\n") == 1
    hf.attack(None, "fgsm", **call)
    assert (tmp_path / "attack" / "records.jsonl").read_bytes().startswith(before)


def test_an_alarm_keeps_the_evidence_of_an_attack_without_a_folder(tmp_path: Path) -> None:
    honest = hf.bound(PLAIN, "digits", "lipschitz", every=120, progress=False)
    with RunStore(tmp_path / "forged", honest.manifest) as store:
        store.append(replace(record, radius=5.0) for record in honest.run.records)
    with pytest.raises(hf.AlarmError, match="ALARM: example 0 is certified") as alarm:
        hf.attack(tmp_path / "forged", "pgd:norm=l2", model=PLAIN, data="digits", budget="1x")
    gc.collect()
    folder = Path(str(alarm.value).partition("settings are in ")[2].partition(". Run")[0])
    assert (folder / "0.npz").is_file()
    assert hf.load_run(folder.parent).alarms == (0,)
    shutil.rmtree(folder.parents[1])


@pytest.mark.parametrize(
    ("of_run", "arguments", "message"),
    [
        (False, {"budget": -1}, "a budget is a positive number, or several"),
        (False, {"budget": []}, "a budget is a positive number, or several"),
        (False, {"budget": "1x"}, r"budgets in certified radii \(1x\) need the certification"),
        (False, {"engine": hf.ProcessesEngine(2)}, "the engine is a LocalEngine"),
        (False, {"attack": 3}, "an attack is a spec"),
        (False, {"noise": 3}, "a noise is an object"),
        (False, {"target_class": 12}, "the target class is a number from 0 to 9"),
        (True, {"noise": "gaussian:sigma=0.5"}, "the noise comes from .*; leave it out"),
        (True, {"every": 2}, "the inputs come from .*; leave out every = 2"),
        (
            True,
            {"data": hf.load_data("digits", "train")},
            "about the test split of digits, and the train split is given",
        ),
    ],
)
def test_wrong_calls_say_what_is_wrong(run, of_run: bool, arguments, message: str, tmp_path: Path) -> None:
    given = {"attack": "pgd:norm=l2", "model": MODEL, "data": "digits", "limit": 1, **arguments}
    with pytest.raises(hf.UsageError, match=message):
        hf.attack(run if of_run else None, given.pop("attack"), out=tmp_path / "attack", **given)
    assert not (tmp_path / "attack").exists()


def test_an_attack_that_attacked_nothing_is_said() -> None:
    with pytest.warns(hf.HoldfastWarning, match=r"none of the 1 inputs was attacked .* or another target_class"):
        hf.attack(None, "pgd:norm=l2", model=PLAIN, data="digits", limit=1, budget=0.1, target_class=0)


def test_threads_are_left_as_they_were(run: hf.CertifiedRun) -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        hf.attack(None, "fgsm", model=PLAIN, data="digits", limit=1, budget=0.1)
        hf.bound(PLAIN, "digits", "lipschitz", limit=1, progress=False)
        hf.verify(run, model=MODEL, data="digits", replay=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
