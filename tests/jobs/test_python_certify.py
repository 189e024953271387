"""The jobs as Python calls them: the same run as that of the command line, resumed by the same call."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import holdfast as hf
from holdfast.__main__ import main

MODEL = Path(__file__).parents[1] / "stored" / "models" / "gaussian.safetensors"
SETTINGS = {"every": 60, "n": 300, "n0": 20, "alpha": 0.01, "seed": 5}


def records(folder: Path) -> list[dict[str, object]]:
    """All but the digests, which depend on the time of the manifest."""
    lines = [json.loads(line) for line in (folder / "records.jsonl").read_bytes().splitlines()]
    return sorted(({**line, "digest": None} for line in lines), key=lambda line: line["index"])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> hf.CertifiedRun:
    return hf.certify(MODEL, "digits", out=tmp_path_factory.mktemp("python") / "run", **SETTINGS)


def test_python_and_the_command_line_make_the_same_run(
    run: hf.CertifiedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [part for name, value in SETTINGS.items() for part in (f"--{name}", str(value))]
    command = ["certify", "--model", str(MODEL), "--out", str(tmp_path / "run"), "--quiet", *options]
    monkeypatch.setattr(sys, "argv", ["holdfast", *command])
    main()
    assert records(tmp_path / "run") == records(run.folder)
    left_out = {"created", "digest"}
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (tmp_path / "run", run.folder)]
    first, second = ({key: value for key, value in each.items() if key not in left_out} for each in manifests)
    assert first == second


def test_what_is_loaded_is_as_good_as_its_name_and_a_run_goes_on(run: hf.CertifiedRun, tmp_path: Path) -> None:
    model, data, seen = hf.load_model(MODEL), hf.load_data("digits"), []
    folder = tmp_path / "run"

    def stop(progress: object) -> None:
        seen.append(progress)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hf.certify(model, data, hf.Gaussian(0.25), out=folder, progress=stop, **SETTINGS)
    before = (folder / "records.jsonl").read_bytes()
    found = hf.certify(model, data, hf.Gaussian(0.25), out=str(folder), **SETTINGS)
    assert (folder / "records.jsonl").read_bytes().startswith(before)
    assert records(folder) == records(run.folder)
    assert found.results == run.results == hf.load_run(folder).results
    with pytest.raises(hf.RunError, match="n"):
        hf.certify(model, data, out=folder, **{**SETTINGS, "n": 301})


def test_each_certificate_of_a_joint_run_has_its_share_of_alpha(tmp_path: Path) -> None:
    found = hf.certify(MODEL, "digits", out=tmp_path / "run", joint=True, theorem="cohen_linf", **SETTINGS)
    assert found.norm is hf.Norm.LINF
    assert found.manifest.joint_alpha == 0.01
    assert found.alpha == pytest.approx(0.01 / 6)
    assert found.alpha <= 0.01 / 6


def test_another_noise_than_the_models_is_said(tmp_path: Path) -> None:
    with pytest.warns(hf.HoldfastWarning, match=r"gaussian\.safetensors was trained for gaussian:sigma=0\.25, and is"):
        hf.certify(MODEL, "digits", hf.Gaussian(0.3), out=tmp_path / "run", **SETTINGS)


def test_int8_needs_the_name_of_the_data(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    with pytest.raises(hf.UsageError, match="int8 is calibrated on training inputs, and only one split is given"):
        hf.certify(
            MODEL, hf.load_data("digits"), out=tmp_path / "run", precision="int8", backend="openvino", **SETTINGS
        )


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(hf.BundleError, match=r"no-model\.safetensors"):
        hf.certify(tmp_path / "no-model.safetensors", "digits", out=tmp_path / "run")
    with pytest.raises(hf.UsageError, match="unknown data source 'digit'"):
        hf.certify(MODEL, "digit", out=tmp_path / "run")
    with pytest.raises(hf.RunError, match="is not a run"):
        hf.load_run(tmp_path)
