"""`--precision auto`: settled before the manifest is written, kept on resuming, and told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from program import Call

from holdfast.execution import backends
from holdfast.execution.backends import ClassifierBuilder
from holdfast.models.bundle import open_bundle, read_info
from holdfast.models.precision import Speeds
from holdfast.noises.gaussian import Gaussian
from holdfast.store.run import RECORDS
from holdfast.store.run_manifest import read_run_manifest
from holdfast.training import loop
from holdfast.workflows.specs import open_data_spec

FAST, SLOW = Speeds(1.0, 0.4, "a noisy copy"), Speeds(1.0, 18.0, "a noisy copy")


def measured(monkeypatch: pytest.MonkeyPatch, found: Speeds | None) -> list[int]:
    """Have each measurement come to this; the list says of how many samples it was asked."""
    asked: list[int] = []

    def speeds(self: ClassifierBuilder, backend: str, example: object, samples: int) -> Speeds | None:
        asked.append(samples)
        return found

    monkeypatch.setattr(ClassifierBuilder, "speeds", speeds)
    return asked


def certify(models: Path, out: Path, precision: str) -> tuple[object, ...]:
    model = models / "gaussian.safetensors"
    sizes = ("--limit", 3, "--n0", 10, "--n", 100)
    return ("certify", "--model", model, *sizes, "--precision", precision, "--out", out)


@pytest.mark.parametrize(("found", "chosen"), [(FAST, "bfloat16"), (SLOW, "float32"), (None, "float32")])
def test_the_faster_precision_is_promised_and_kept_on_resuming(
    call: Call, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: Speeds | None, chosen: str
) -> None:
    asked = measured(monkeypatch, found)
    code, _, err = call(*certify(models, tmp_path / "run", "auto"))
    assert code == 0, err
    assert f"precision {chosen}: " in err
    assert asked == [330]
    assert read_run_manifest(tmp_path / "run").precision == chosen
    records = tmp_path / "run" / RECORDS
    whole = records.read_bytes()
    records.write_bytes(whole[: len(whole) // 2])
    # Another machine would choose otherwise; the run goes on as it began.
    asked = measured(monkeypatch, SLOW if found is FAST else FAST)
    code, _, err = call(*certify(models, tmp_path / "run", "auto"))
    assert code == 0, err
    assert f"precision {chosen}: as it began" in err
    assert (records.read_bytes(), asked) == (whole, [])


@pytest.mark.filterwarnings("always::RuntimeWarning")
def test_a_slow_precision_that_is_named_is_taken_with_a_warning(
    call: Call, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, SLOW)
    code, _, err = call(*certify(models, tmp_path / "run", "bfloat16"))
    assert code == 0, err
    assert "Warning: bfloat16 takes 18.0 times as long as float32 here" in err
    assert read_run_manifest(tmp_path / "run").precision == "bfloat16"
    measured(monkeypatch, FAST)
    code, _, err = call(*certify(models, tmp_path / "other", "bfloat16"))
    assert (code, "Warning" in err) == (0, False)


def test_copies_are_really_measured_where_there_is_much_to_do(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, data = open_bundle(models / "gaussian.safetensors"), open_data_spec("digits", "test")
    place = ClassifierBuilder(bundle, Gaussian(0.25), "float32", "cpu", 1, lambda: data)
    assert place.speeds("torch", data[0], 10) is None
    monkeypatch.setattr(backends, "_SHORT_SECONDS", 0.0)
    found = place.speeds("torch", data[0], 10)
    assert found is not None
    assert min(found.float32, found.bfloat16) > 0.0


def test_a_plan_in_the_faster_precision(call: Call, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, FAST)
    plan = ("plan", "--model", models / "gaussian.safetensors", "--limit", 3, "--precision", "auto", "--batch-size", 64)
    assert json.loads(call(*plan, "--json")[1])["precision"] == "bfloat16"
    assert "on the backend torch in bfloat16" in " ".join(call(*plan)[1].split())


def test_train_tells_what_it_chose_and_writes_it_down(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "step_speeds", lambda *_: Speeds(0.4, 0.2, "a step on 128 images"))
    out = tmp_path / "model.safetensors"
    train = ("train", "--noise", "gaussian:sigma=0.25", "--arch", "digits-mlp", "--epochs", 1, "--out", out)
    code, said, err = call(*train, "--precision", "auto")
    assert code == 0, err
    assert "precision bfloat16: a step on 128 images takes 0.4 s in float32, 0.2 s in bfloat16" in err
    assert "recipe noise, bfloat16" in " ".join(said.split())
    assert read_info(out).training["precision"] == "bfloat16"
