"""A promise before the first sample, from the command line: written alone, expected by its digest, with a nonce."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from program import CERTIFY, Call

from holdfast.store.attack import read_attack
from holdfast.store.attack_manifest import read_attack_manifest
from holdfast.store.run import RECORDS, read_run
from holdfast.store.run_manifest import read_run_manifest
from holdfast.store.seeds import derived_seed

NONCE = "00112233445566778899aabbccddeeff"
# Of `CERTIFY`, without its seed.
SETTINGS = tuple(each for each in CERTIFY if each not in ("--seed", 5))
ONLY = ("--promise-only", "--json")


def test_promise_then_nonce_then_run_then_audit(call: Call, models: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ("certify", "--model", models / "gaussian.safetensors", "--out", run, *SETTINGS)
    code, out, _ = call(*command, *ONLY, "--nonce", "later")
    promise = json.loads(out)
    digest = promise["digest"]
    assert (code, promise["awaits_nonce"], promise["seed_origin"], promise["records"]) == (0, True, "derived", 0)
    assert (run / RECORDS).read_bytes() == b""
    assert json.loads(call(*command, *ONLY, "--nonce", "later")[1])["digest"] == digest, (
        "the same one, as often as asked"
    )
    code, out, _ = call("verify", run, "--digest", digest)
    assert (code, "Note: the promise awaits the nonce" in out) == (3, True)
    for arguments, status, message in (
        ((), 2, "awaits the nonce of an auditor"),
        (("--seed", 3), 2, "leave out the seed"),
        (("--promise", "0" * 64, "--nonce", NONCE), 1, "nothing was computed"),
        (("--nonce", "later"), 2, "the nonce 'later' only fits a promise without samples"),
        (("--nonce", "xyz"), 2, "a nonce is 32 to 128 hexadecimal digits"),
    ):
        code, _, err = call(*command, *arguments)
        assert (code, message in err) == (status, True), err
    assert (run / RECORDS).read_bytes() == b""
    assert call(*command, "--promise", digest, "--nonce", NONCE.upper())[0] == 0
    found = read_run(run)
    assert found.manifest.seed == derived_seed(digest, NONCE)
    whole = (run / RECORDS).read_bytes()
    (run / RECORDS).write_bytes(whole[:700])
    assert call(*command, "--promise", digest)[0] == 0, "a plain call, or one with the digest, goes on"
    assert call(*command)[0] == 0
    assert read_run(run).records == found.records
    code, _, err = call(*command, "--nonce", "ff" * 16)
    assert (code, f"has the nonce {NONCE}" in err) == (2, True)
    assert call("verify", run, "--digest", digest, "--nonce", NONCE)[0] == 0
    code, out, _ = call("verify", run, "--digest", digest, "--json")
    document = json.loads(out)
    assert (code, document["promise"], document["nonce"]) == (0, digest, NONCE)
    assert any("whether an auditor named that one" in note for note in document["notes"])
    assert call("verify", run, "--digest", digest, "--nonce", "ff" * 16)[0] == 1


def test_a_promise_without_a_nonce_pins_its_seed(call: Call, models: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ("certify", "--model", models / "gaussian.safetensors", "--out", run, *SETTINGS)
    code, _, err = call(*command, "--promise", "0" * 64)
    assert (code, "First only write the promise" in err, run.exists()) == (2, True, False)
    code, _, err = call(*command, "--nonce", NONCE)
    assert (code, "whoever knows the nonce first could choose" in err, run.exists()) == (2, True, False)
    code, _, err = call(*command, "--promise", "12")
    assert (code, "the digest of a promise has 64 hexadecimal digits" in err) == (2, True)
    code, out, err = call(*command, "--promise-only")
    manifest = read_run_manifest(run)
    assert code == 0
    assert f"manifest SHA-256:\n  {manifest.digest}" in out
    assert "nothing was computed" in out
    assert "run the same command with --promise DIGEST" in err
    assert manifest.seed_origin == "entropy"
    code, _, err = call(*command, "--promise-only", "--nonce", "later")
    assert (code, "has a promise with a seed already" in err) == (2, True)
    code, _, err = call(*command, "--n", 300, "--promise", manifest.digest)
    assert (code, "started with other settings" in err) == (1, True)
    assert read_run(run).records == ()
    assert call(*command, "--promise", manifest.digest)[0] == 0
    assert read_run(run).manifest.digest == manifest.digest
    code, _, err = call(*command, "--promise-only")
    assert (code, "has 12 records already: the digest does not show" in err) == (0, True)


def test_tables_say_what_was_chosen(call: Call, models: Path, tmp_path: Path) -> None:
    command = ("certify", "--model", models / "gaussian.safetensors", "--every", 60, "--n", 30, "--n0", 10, "--quiet")
    for name, seed, chosen in (("chosen", ("--seed", 5), ["seed", "subset"]), ("drawn", (), ["subset"])):
        code, out, _ = call(*command, *seed, "--out", tmp_path / name, "--json")
        assert (code, json.loads(out)[0]["chosen"]) == (0, chosen)
    _, out, _ = call("table", tmp_path / "chosen")
    assert "Seed and subset were chosen by whoever made the run: the best of many looks better" in " ".join(out.split())
    predict = ("predict", "--model", models / "gaussian.safetensors", "--every", 60, "--n", 30, "--quiet")
    assert "Seed and subset were chosen by whoever made the call" in call(*predict, "--seed", 5)[1]
    assert json.loads(call(*predict, "--json")[1])["seed_origin"] == "entropy"


def test_a_promise_of_an_attack(call: Call, models: Path, tmp_path: Path) -> None:
    out = tmp_path / "attack"
    command = ("attack", "--model", models / "gaussian.safetensors", "--noise", "none", "--attack", "pgd:steps=2")
    command += ("--budget", ".3", "--limit", 3, "--quiet", "--out", out)
    code, printed, _ = call(*command, *ONLY, "--nonce", "later")
    digest = json.loads(printed)["digest"]
    assert (code, read_attack_manifest(out).awaits_nonce) == (0, True)
    code, _, err = call(*command)
    assert (code, "awaits the nonce" in err) == (2, True)
    code, printed, _ = call(*command, "--promise", digest, "--nonce", NONCE)
    assert (code, "The subset was chosen by whoever made the attack" in " ".join(printed.split())) == (0, True)
    assert read_attack(out).manifest.seed == derived_seed(digest, NONCE)
    assert call("verify", out, "--digest", digest, "--nonce", NONCE)[0] == 0
    assert call("verify", out, "--nonce", "ff" * 16)[0] == 1
    refused = ("attack", "--model", models / "gaussian.safetensors", "--attack", "smooth-pgd", "--repeats", 2)
    refused += ("--budget", 0.3)
    code, _, err = call(*refused, "--limit", 2, "--out", tmp_path / "no", "--promise-only")
    assert (code, "repeats cannot verify" in err) == (2, True), "a promise that cannot be kept is not written"
    assert not (tmp_path / "no").exists()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network without noise, as it is at random."""
    import torch

    from holdfast.data.source import open_data
    from holdfast.models.bundle import save_bundle
    from holdfast.workflows.train import begun_bundle

    out = tmp_path_factory.mktemp("plain") / "plain.safetensors"
    info = begun_bundle(open_data("digits", None, "train", {}), None, "digits-mlp")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        save_bundle(out, info, info.build())
    return out


def test_a_promise_of_a_bound(call: Call, plain: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ("bound", "--model", plain, "--bound", "lipschitz", "--every", 60, "--quiet", "--out", run)
    code, printed, _ = call(*command, *ONLY)
    promise = json.loads(printed)
    assert (code, promise["awaits_nonce"], promise["seed_origin"]) == (0, False, None)
    assert read_run(run).records == ()
    code, _, err = call(*command, "--promise", "0" * 64)
    assert (code, "nothing was computed" in err) == (1, True)
    code, printed, _ = call(*command, "--promise", promise["digest"])
    assert (code, "The subset was chosen by whoever made the run" in " ".join(printed.split())) == (0, True)
    assert call("verify", run, "--digest", promise["digest"], "--require", "claims")[0] == 0
