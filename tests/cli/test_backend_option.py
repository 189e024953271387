"""Backends and precisions on the command line: what is promised, resumed, refused, drawn again and compared."""

import json
from pathlib import Path

import pytest
from program import Call

from holdfast.execution import backends
from holdfast.execution.backends import calibration_on
from holdfast.execution.replay import check_backend, other_versions
from holdfast.store.run import RECORDS, read_run
from holdfast.store.run_manifest import backend_of, read_run_manifest

SMALL = ("--n", 100, "--n0", 30, "--alpha", 0.01, "--every", 60, "--seed", 5, "--quiet", "--batch-size", 200)


@pytest.fixture
def model(models: Path) -> Path:
    """A small model."""
    return models / "gaussian.safetensors"


def test_short_work_is_done_by_torch_and_the_manifest_says_so(call: Call, model: Path, tmp_path: Path) -> None:
    assert call("certify", "--model", model, "--out", tmp_path / "run", *SMALL)[0] == 0
    manifest = read_run_manifest(tmp_path / "run")
    assert manifest.model["backend"]["name"] == backend_of(manifest) == "torch"
    assert manifest.precision == "float32"


def test_longer_work_is_done_by_the_fastest(call: Call, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speeds = {"torch": 100.0, "torch-optimized": 300.0, "onnxruntime": 200.0, "openvino": 250.0}
    monkeypatch.setattr(backends, "_SHORT_SECONDS", 0.0)
    monkeypatch.setattr(
        backends.ClassifierBuilder, "_speed", lambda self, classifier, example: speeds[classifier.function.name]
    )
    for precision, fastest in (("float32", "torch-optimized"), ("bfloat16", "torch-optimized")):
        plan = ("plan", "--model", model, "--limit", 1, "--n", 100, "--precision", precision, "--json")
        assert json.loads(call(*plan)[1])["backend"] == fastest
    monkeypatch.setitem(speeds, "openvino", 400.0)
    predict = ("predict", "--model", model, "--limit", 1, "--n", 100, "--json")
    assert json.loads(call(*predict)[1])["backend"] == "openvino"


def test_what_cannot_be_had_here_is_passed_over(
    call: Call, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(backends, "_SHORT_SECONDS", 0.0)
    monkeypatch.setattr("holdfast.models.backends.openvino._compiled", lambda *_: 1 / 0)
    plan = ("plan", "--model", model, "--limit", 1, "--n", 100, "--json")
    assert json.loads(call(*plan)[1])["backend"] != "openvino"
    monkeypatch.setattr("holdfast.models.backends.base.importable", lambda package: False)
    code, _, err = call(*plan, "--precision", "int8")
    assert (code, "needs the package 'openvino', which is not installed" in err) == (1, True)


def test_a_run_is_resumed_on_its_own_backend_and_refused_on_another(call: Call, model: Path, tmp_path: Path) -> None:
    run = ("certify", "--model", model, "--out", tmp_path / "run", *SMALL)
    assert call(*run, "--backend", "torch-optimized")[0] == 0
    whole = (tmp_path / "run" / RECORDS).read_bytes()
    (tmp_path / "run" / RECORDS).write_bytes(whole[:200])
    code, _, err = call(*run, "--backend", "torch")
    assert code == 1
    assert 'model.backend.name: the run has "torch-optimized", this call has "torch"' in err
    assert call(*run)[0] == 0
    assert len(read_run(tmp_path / "run").records) == 6
    assert (tmp_path / "run" / RECORDS).read_bytes() == whole
    code, _, err = call(*run, "--backend", "nothing")
    assert (code, "unknown backend 'nothing'" in err) == (2, True)


def test_int8_is_resumed_and_drawn_again_with_the_same_weights(call: Call, model: Path, tmp_path: Path) -> None:
    run = ("certify", "--model", model, "--out", tmp_path / "run", *SMALL, "--precision", "int8")
    assert call(*run)[0] == 0
    manifest = read_run_manifest(tmp_path / "run")
    said = manifest.model["backend"]
    assert said["name"] == "openvino"
    assert said["quantization"]["calibration"] | {"sha256": ""} == {
        "source": "digits",
        "split": "train",
        "sha256": "",
        "inputs": 512,
        "seed": 0,
    }
    whole = (tmp_path / "run" / RECORDS).read_bytes()
    (tmp_path / "run" / RECORDS).write_bytes(whole[:200])
    assert call(*run)[0] == 0
    assert (tmp_path / "run" / RECORDS).read_bytes() == whole
    code, out, _ = call("verify", tmp_path / "run", "--replay", 2, "--model", model)
    assert (code, "drawn again from the seed" in out) == (0, True)
    other = {**said, "version": "2025.0", "quantization": {**said["quantization"], "sha256": "0" * 64}}
    with pytest.raises(Exception, match="calibration gives another 8-bit network here than in the run"):
        check_backend(manifest, other)
    assert any("openvino" in line and "2025.0 here" in line for line in other_versions(manifest, other))


def test_agreement_counts_votes_on_the_same_noise(call: Call, model: Path) -> None:
    agree = ("agree", "--model", model, "--every", 60, "--n", 200, "--n0", 20, "--seed", 1, "--radii", "0,.1")
    same = json.loads(call(*agree, "--precision", "float32", "--backend", "torch", "--json")[1])
    assert (same["differing_votes"], same["votes"], same["other_labels"]) == (0, 6 * 220, 0)
    coarse = json.loads(call(*agree, "--precision", "int8", "--json")[1])
    # How many differ depends on the processor; it may be none.
    assert coarse["share_differing"] == coarse["differing_votes"] / coarse["votes"] < 0.1
    assert coarse["backend"]["name"] == "openvino"
    for each in coarse["certified_accuracy"].values():
        assert abs(each["float32"] - each["compared"]) <= 0.2
    code, out, _ = call(*agree, "--precision", "bfloat16")
    assert (code, "votes that differ" in out, "torch bfloat16" in out) == (0, True, True)


def test_predictions_name_what_made_them(call: Call, model: Path) -> None:
    predict = ("predict", "--model", model, "--limit", 2, "--n", 50, "--seed", 1, "--json")
    document = json.loads(call(*predict, "--backend", "onnxruntime")[1])
    assert (document["backend"], document["precision"]) == ("onnxruntime", "float32")
    assert document["predictions"] == json.loads(call(*predict)[1])["predictions"]
    code, _, err = call(*predict, "--backend", "onnxruntime", "--precision", "bfloat16")
    assert (code, "'onnxruntime' does not compute in bfloat16" in err) == (2, True)


def test_calibration_inputs_are_always_the_same() -> None:
    from holdfast.data import open_data
    from holdfast.noises.gaussian import Gaussian

    data = open_data("digits", None, "train", {})
    first, second = (calibration_on(data, Gaussian(0.25)) for _ in range(2))
    assert (first.inputs == second.inputs).all()
    assert first.inputs.shape == (512, 1, 8, 8)
    assert first.description["sha256"] == data.sha256
