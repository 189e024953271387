"""`holdfast bound`: the run, its table beside smoothing, its check; and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from program import CERTIFY

from holdfast.models.bundle import load_bundle
from holdfast.store.attack import read_attack
from holdfast.store.run import RunStore, read_run


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A small model without noise."""
    out = tmp_path_factory.mktemp("plain") / "plain.safetensors"
    command = [sys.executable, "-m", "holdfast", "train", "--recipe", "standard"]
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
    code, out, _ = call("verify", run)
    assert code == 4
    assert (
        "is a deterministic bound, which is not a certificate from votes: its radii are claims" in out.splitlines()[0]
    )
    assert "CLAIMS ONLY: the files agree with themselves, and nothing supports the radii." in out.splitlines()
    assert "- that 18 radii can be proved (--replay)" in out.splitlines()
    assert call("verify", run, "--require", "claims")[0] == 0
    code, out, _ = call("verify", run, "--replay", 2, "--model", plain)
    assert code == 0
    assert "- that 16 radii can be proved (--replay)" in out.splitlines()
    assert "OK: labels and data agree with the files." in out.splitlines()
    out = call("verify", run, "--replay", "all", "--model", plain, "--threads", 1)[1]
    assert "OK: all 18 records proved again from model and data." in out.splitlines()
    code, _, err = call("verify", run, "--replay", 2, "--model", plain, "--batch-size", 5)
    assert (code, "--batch-size would be ignored, since nothing is sampled here" in err) == (2, True)

    lipschitz, smoothed = tmp_path / "lipschitz", tmp_path / "smoothed"
    assert call("bound", "--model", plain, "--bound", "lipschitz", "--every", 20, "--out", lipschitz, "--quiet")[0] == 0
    assert call("certify", "--model", models / "gaussian.safetensors", "--out", smoothed, *CERTIFY)[0] == 0
    code, out, _ = call("table", lipschitz, smoothed, "--format", "csv")
    assert code == 0
    assert "lipschitz" in out
    assert "gaussian:sigma=0.25" in out
    assert call("report", run, lipschitz, smoothed, "--out", tmp_path / "report.html")[0] == 0
    assert "nothing is sampled" in (tmp_path / "report.html").read_text()


def test_a_bound_is_attacked_in_float64_and_drawn(call, plain, tmp_path):
    """What is certified stands, what is further off falls, and both are in one report."""
    run, out = tmp_path / "convex", tmp_path / "pgd"
    bound = ("bound", "--model", plain, "--bound", "convex:epsilon=0.02,inputs=in-range,search=4", "--every", 40)
    assert call(*bound, "--out", run, "--quiet")[0] == 0
    command = ("attack", run, "--model", plain, "--attack", "pgd:steps=10", "--budget", "1x,20x", "--out", out)
    code, printed, _ = call(*command, "--plot", tmp_path / "gap.png", "--quiet")
    assert code == 0
    text = " ".join(printed.split())
    assert "Certificates contradicted: 0 of" in text
    assert "at most 0 are expected by chance" in text
    found = read_attack(out)
    assert (found.manifest.precision, found.manifest.noise) == ("float64", None)
    assert found.manifest.certification == read_run(run).manifest.digest
    held = [record for record in found.records if record.adversarial]
    assert held
    module = load_bundle(plain).module.double()
    for record in held:
        values = torch.from_numpy(found.adversarial(record))
        assert values.dtype == torch.float32
        assert int(module(values.double().unsqueeze(0)).argmax()) == record.answer != record.reference
        assert record.magnitude > record.radius
    assert call("report", run, "--attack", out, "--out", tmp_path / "r.html")[0] == 0
    assert "Attacked: <bdi>pgd</bdi>" in (tmp_path / "r.html").read_text()
    assert (tmp_path / "gap.png").stat().st_size > 0
    code, printed, _ = call("transfer", out, "--model", plain, "--json")
    assert (code, json.loads(printed)["pgd"]["share"]["pgd"]) == (0, 1.0)


def test_what_cannot_be_shown_is_said_before_anything_is_computed(call, plain, tmp_path):
    code, _, err = call("bound", "--model", plain, "--bound", "lipschitz", "--out", tmp_path / "a", "--radii", "-1")
    assert code == 2
    assert "radii are finite numbers from 0 on" in err
    code, _, err = call("bound", "--model", plain, "--out", tmp_path / "a")
    assert code == 2
    assert "--bound is missing" in err
    assert not list(tmp_path.iterdir())


def test_masks_certify_against_patches_and_are_attacked_and_verified(call, plain, tmp_path):
    """The defended classifier throughout; radii that the masks cannot give, and masks that are others, are found."""
    run, forged, out = tmp_path / "masks", tmp_path / "forged", tmp_path / "attack"
    model = ("--model", f"double-masking:{plain},patch=1,masks=8,value=0")
    assert call("bound", *model, "--bound", "double-masking", "--every", 12, "--out", run, "--quiet")[0] == 0
    honest = read_run(run)
    assert honest.manifest.model["double_masking"] == {"patch": 1, "masks": 8, "value": 0.0}
    assert {record.radius for record in honest.records} == {0.0, 1.0}
    assert call("verify", run, *model, "--replay", 12)[0] == 0
    assert call("verify", run, "--model", f"double-masking:{plain},patch=2,masks=8,value=0", "--replay", 12)[0] == 1
    with RunStore(forged, honest.manifest) as store:
        store.append(replace(record, radius=3.0 if record.radius else 0.0) for record in honest.records)
    code, printed, err = call("verify", forged)
    assert code == 1
    assert "is neither 0 nor the side of the patch, 1" in " ".join((printed + err).split())
    search = ("--attack", "patch:norm=patch,steps=4,samples=4,places=16,tries=2", "--budget", "1,2,5", "--limit", 12)
    assert call("attack", run, *model, *search, "--out", out, "--quiet")[0] == 0
    records = read_attack(out).records
    assert not any(record.alarm for record in records)
    assert any(record.radius for record in records)
    # A patch that the masks do not hide does what it wants.
    assert any(record.magnitude and record.magnitude > record.radius for record in records)
    assert call("verify", out, *model, "--replay", 2)[0] == 0
    code, _, err = call("bound", "--model", plain, "--bound", "double-masking", "--out", tmp_path / "bare")
    assert code == 2
    assert "takes models behind two rounds of masks" in " ".join(err.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "is for one size of patch: add patch=M"),
        (",patch=9", "patches of 9 x 9 are for images"),
        (",patch=2,masks=many", "from 1 to 64, got 'many'"),
        (",patch=2,mean=.5,std=.5", "put it into quotes with the model that it is about"),
        (",patch=2,rounds=3", "no option 'rounds'"),
    ],
)
def test_masks_that_cannot_be(call, plain, tmp_path, options, message):
    model = f"double-masking:{plain}{options}"
    code, _, err = call("bound", "--model", model, "--bound", "double-masking", "--out", tmp_path / "run")
    assert code == 2
    assert message in " ".join(err.split())


def test_a_forged_radius_raises_the_alarm(call, plain, tmp_path):
    run, forged, out = tmp_path / "lipschitz", tmp_path / "forged", tmp_path / "attack"
    assert call("bound", "--model", plain, "--bound", "lipschitz", "--every", 120, "--out", run, "--quiet")[0] == 0
    honest = read_run(run)
    with RunStore(forged, honest.manifest) as store:
        store.append(replace(record, radius=5.0) for record in honest.records)
    command = ("--model", plain, "--attack", "pgd:norm=l2", "--budget", "1x", "--quiet", "--out", out)
    code, _, err = call("attack", forged, *command)
    assert code == 1
    said = " ".join(err.split())
    assert "ALARM: example 0 is certified" in said
    assert "Nothing is random here" in said
    (record,) = read_attack(out).records
    assert record.alarm
    told = json.loads((out / "evidence" / "0.json").read_text())
    assert told["record"]["radius"] == 5.0
    stored = np.load(out / "evidence" / "0.npz")
    assert stored["adversarial"].dtype == np.float32
    assert np.linalg.norm((stored["adversarial"].astype(float) - stored["x"].astype(float)).ravel()) <= 5.0
    # The same command goes on with the others, and does not end as if nothing had been.
    codes = [call("attack", forged, *command)[0] for _ in range(4)]
    assert codes == [1] * 4
    assert read_attack(out).missing == 0
    code, printed, err = call("attack", forged, *command, "--json")
    assert (code, json.loads(printed)["alarms"]) == (1, [0, 120, 240])
    assert "contradicts certificates of" in " ".join(err.split())
    assert call("attack", run, *command[:-1], tmp_path / "honest")[0] == 0


def test_a_bound_is_attacked_in_its_norm_with_its_model(call, plain, models, tmp_path):
    run, out = tmp_path / "lipschitz", ("--out", tmp_path / "a", "--quiet")
    assert call("bound", "--model", plain, "--bound", "lipschitz", "--every", 120, "--out", run, "--quiet")[0] == 0
    code, _, err = call("attack", run, "--model", plain, "--attack", "pgd:norm=linf", *out)
    assert code == 2
    assert "are L2, and the attack is measured in Linf" in " ".join(err.split())
    code, _, err = call("attack", run, "--model", models / "gaussian.safetensors", "--attack", "pgd:norm=l2", *out)
    assert code == 1
    assert "give the model of the run" in " ".join(err.split())
    assert not (tmp_path / "a").exists()


def test_all_bounds_are_listed(call):
    code, out, _ = call("bound")
    assert code == 0
    assert "Wong & Kolter" in out
    assert {each["name"] for each in json.loads(call("bound", "--json")[1])} >= {"convex", "nearest"}


def test_what_is_refused(call, plain, models, tmp_path):
    given = ("--model", plain, "--out", tmp_path / "run")
    for arguments, message in (
        (("--bound", "convex:epsilon=0.1", "--model", plain), "--out, the folder of the run, is missing"),
        (("--bound", "convex:epsilon=0.1", "--out", tmp_path / "x"), "--model, the model, is missing"),
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
