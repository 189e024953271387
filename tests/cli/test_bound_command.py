"""`holdfast bound`: the run, its table beside smoothing, its check; and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from program import CERTIFY


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A small model without noise."""
    out = tmp_path_factory.mktemp("plain") / "plain.safetensors"
    command = [sys.executable, "-c", "from holdfast.cli.main import main; main()", "train", "--recipe", "standard"]
    command += ["--arch", "fc:widths=24", "--epochs", "6", "--out", str(out), "--quiet"]
    subprocess.run(command, check=True, capture_output=True)
    return out


def test_bound_table_report_verify(call, plain, models, tmp_path):
    run = tmp_path / "convex"
    arguments = ("bound", "--model", plain, "--bound", "convex:epsilon=0.02", "--every", 20, "--out", run)
    code, out, _ = call(*arguments, "--radii", "0,.02", "--json")
    assert code == 0
    (summary,) = json.loads(out)
    assert summary["norm"] == "Linf"
    assert summary["alpha"] == 0.0
    assert summary["certified_accuracy"]["0.02"]["value"] > 0.3
    assert call(*arguments, "--quiet")[0] == 0, "resuming a finished run"
    assert call("verify", run, "--replay", 2, "--model", plain)[0] == 0

    lipschitz, smoothed = tmp_path / "lipschitz", tmp_path / "smoothed"
    assert call("bound", "--model", plain, "--bound", "lipschitz", "--every", 20, "--out", lipschitz, "--quiet")[0] == 0
    assert call("certify", "--model", models / "gaussian.safetensors", "--out", smoothed, *CERTIFY)[0] == 0
    code, out, _ = call("table", lipschitz, smoothed, "--format", "csv")
    assert code == 0
    assert "lipschitz" in out
    assert "gaussian:sigma=0.25" in out
    assert call("report", run, lipschitz, smoothed, "--out", tmp_path / "report.html")[0] == 0
    assert "nothing is sampled" in (tmp_path / "report.html").read_text()


def test_all_bounds_are_listed(call):
    code, out, _ = call("bound")
    assert code == 0
    assert "Wong & Kolter" in out
    assert {each["name"] for each in json.loads(call("bound", "--json")[1])} >= {"convex", "nearest"}


def test_what_is_refused(call, plain, models, tmp_path):
    given = ("--model", plain, "--out", tmp_path / "run")
    for arguments, message in (
        (("--bound", "convex:epsilon=0.1", "--model", plain), "--out, the folder of the run, is missing"),
        (("--bound", "convex:epsilon=0.1", "--out", tmp_path / "x"), "--model, a model bundle, is missing"),
        (("--bound", "polytope", *given), "unknown bound 'polytope'"),
        (("--bound", "convex", *given), "needs the parameter 'epsilon'"),
        (("--bound", "nearest", *given), "architecture nearest-neighbour"),
        (
            ("--bound", "lipschitz", "--model", models / "ablation.safetensors", "--out", tmp_path / "run"),
            "takes inputs of shape (2, 8, 8) under ablation",
        ),
    ):
        code, _, err = call("bound", *arguments)
        assert code == 2
        assert message in err
    assert not (tmp_path / "run").exists()
