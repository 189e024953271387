"""An architecture of the user's own: its code belongs to the promise, here and on other workers."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from program import Call

from holdfast.errors import RunError
from holdfast.execution.factories import BackendFactory, base_for
from holdfast.models.architectures import base as table
from holdfast.models.backends import Job, prepare
from holdfast.models.bundle import load_bundle
from holdfast.noises.gaussian import Gaussian
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.processes import ProcessesEngine
from holdfast.store.manifest import write_manifest
from holdfast.store.run import read_run
from holdfast.store.run_manifest import read_run_manifest

HELPER = "FACTOR = 1.0\n"
NETWORK = '''
"""A small network."""

import plugged_helper
from torch import nn

from holdfast.models.architectures import architecture


class Scaled(nn.Module):
    """A layer of ours."""

    def forward(self, x):
        """Of flattened inputs."""
        return plugged_helper.FACTOR * x.flatten(1)


@architecture("plugged")
def plugged(shape, num_classes):
    """One layer."""
    return nn.Sequential(Scaled(), nn.Linear(64, num_classes))
'''
ALTERED = NETWORK.replace("x.flatten(1)", "(1.0 - x).flatten(1)")
SIZES = ("--n", 200, "--n0", 20, "--seed", 5, "--every", 60, "--quiet")

Plug = Callable[..., None]


@pytest.fixture
def plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plug]:
    """Write the two files and load them, as a new process would."""
    folder = tmp_path / "code"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def forget() -> None:
        for name in ("plugged_network", "plugged_helper"):
            sys.modules.pop(name, None)
        table.ARCHITECTURES.remove("plugged")

    def load(network: str = NETWORK, helper: str = HELPER) -> None:
        forget()
        (folder / "plugged_network.py").write_text(network)
        (folder / "plugged_helper.py").write_text(helper)
        # Not from the cache of another version, whose time and size may be the same.
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        __import__("plugged_network")

    yield load
    forget()


@pytest.fixture
def model(plug: Plug, call: Call, tmp_path: Path) -> Path:
    """A bundle of the network, as it is at first."""
    plug()
    file = tmp_path / "m.safetensors"
    given = ("--arch", "plugged", "--noise", "gaussian:sigma=0.25", "--epochs", 1, "--quiet")
    assert call("train", *given, "--out", file)[0] == 0
    return file


def test_changed_code_is_refused_on_resuming_and_comments_are_not(
    plug: Plug, model: Path, call: Call, tmp_path: Path
) -> None:
    run = ("certify", "--model", model, "--out", tmp_path / "run")
    assert call(*run, *SIZES, "--limit", 2)[0] == 0
    begun = read_run_manifest(tmp_path / "run").model["code"]
    assert {"plugged_helper", "plugged_network", "holdfast.models.normalization"} <= set(begun)
    for network, helper, named in (
        (ALTERED, HELPER, "plugged_network"),
        (NETWORK, "FACTOR = -1.0\n", "plugged_helper"),
    ):
        plug(network, helper)
        code, _, err = call(*run, *SIZES, "--limit", 2)
        file = tmp_path / "code" / f"{named}.py"
        assert (code, f"the model's code: {named} ({file}) has changed since then" in err) == (1, True), err
        assert err.count("has changed") == 1
        assert "settings and with the code as it was" in err
        assert begun[named] not in err
        code, _, err = call("verify", tmp_path / "run", "--replay", 1, "--model", model)
        assert (code, f"'plugged' is not that of the run: {named} ({file}) differ" in err) == (1, True), err
    plug(NETWORK.replace("A small network.", "A network.").replace("One layer", "A layer") + "# The end.\n")
    code, _, err = call(*run, *SIZES, "--limit", 2)
    assert (code, err) == (0, "")
    assert call("verify", tmp_path / "run", "--replay", 1, "--model", model)[0] == 0


def test_parts_of_a_composed_model_count(plug: Plug, model: Path, call: Call, tmp_path: Path) -> None:
    both = tmp_path / "both.safetensors"
    assert call("ensemble", model, model, "--out", both)[0] == 0
    found = load_bundle(both).code
    assert {"plugged_network", "plugged_helper", "holdfast.models.architectures.composed"} <= set(found)
    plug(ALTERED)
    changed = load_bundle(both).code
    assert [name for name in found if found[name] != changed[name]] == ["plugged_network"]


@pytest.mark.filterwarnings("always::RuntimeWarning")
def test_manifests_from_before_are_gone_on_with_and_that_is_said(model: Path, call: Call, tmp_path: Path) -> None:
    run = ("certify", "--model", model, "--out", tmp_path / "run")
    assert call(*run, *SIZES, "--limit", 1)[0] == 0
    now = read_run_manifest(tmp_path / "run")
    versions = {name: each for name, each in now.versions.items() if name != "code"}
    old = {name: each for name, each in now.model.items() if name != "code"}
    for file in (tmp_path / "run").iterdir():
        file.unlink()
    write_manifest(tmp_path / "run", replace(now, model=old, versions=versions))
    code, _, err = call(*run, *SIZES, "--limit", 1)
    assert (code, "Warning: " in err, "did not note the code of models, noises and estimators" in err) == (
        0,
        True,
        True,
    )
    assert "code" not in read_run(tmp_path / "run").manifest.model
    assert call("verify", tmp_path / "run", "--replay", 1, "--model", model)[0] == 0


def test_an_attack_has_the_code_in_its_promise(plug: Plug, model: Path, call: Call, tmp_path: Path) -> None:
    attack = ("attack", "--model", model, "--noise", "none", "--attack", "gaussian-noise", "--limit", 2, "--quiet")
    out = ("--out", tmp_path / "attack")
    assert call(*attack, *out)[0] == 0
    assert "plugged_network" in json.loads((tmp_path / "attack" / "attack.json").read_text())["model"]["code"]
    plug(ALTERED)
    code, _, err = call(*attack, *out)
    assert (code, "the model's code: plugged_network (" in err) == (1, True), err
    code, _, err = call("verify", tmp_path / "attack", "--model", model, "--data", "digits")
    assert (code, "plugged_network.py) differ" in err) == (1, True), err


def recipe(model: Path) -> BackendFactory:
    bundle = load_bundle(model)
    made = VotingClassifier(prepare("torch", Job(bundle.module, bundle.info.noisy_shape)), 10)
    found = base_for(ProcessesEngine(1), made, Gaussian(0.25))
    assert isinstance(found, BackendFactory)
    return found


def test_a_worker_with_other_code_is_refused(plug: Plug, model: Path) -> None:
    made = recipe(model)
    assert {"plugged_network", "plugged_helper", "holdfast.noises.gaussian", "holdfast.sampling.rng"} <= set(made.code)
    made.build(torch.device("cpu"))
    plug(NETWORK, "FACTOR = 2.0\n")
    with pytest.raises(RunError, match=r"a worker has other code than the driver in plugged_helper\. Votes"):
        made.build(torch.device("cpu"))


def test_other_processes_make_the_same_records(model: Path, call: Call, tmp_path: Path) -> None:
    for name, engine in (("here", "local"), ("there", "processes:1")):
        code, _, err = call(
            "certify", "--model", model, "--out", tmp_path / name, *SIZES, "--limit", 2, "--engine", engine
        )
        assert code == 0, err
    assert read_run(tmp_path / "there").records == read_run(tmp_path / "here").records


def test_a_noise_that_was_changed_is_refused(
    model: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest of the code at work is an entry beside the versions, so that one number tells no two of them alike."""
    run = ("certify", "--model", model, "--out", tmp_path / "run", *SIZES, "--limit", 1)
    assert call(*run)[0] == 0
    changed = tmp_path / "gaussian.py"
    source = Path(str(sys.modules["holdfast.noises.gaussian"].__file__)).read_text()
    for text, code in ((source + "\n# A comment.\n", 0), (source + "\nMORE = 1\n", 1)):
        changed.write_text(text)
        spec = sys.modules["holdfast.noises.gaussian"].__spec__
        assert spec is not None
        monkeypatch.setattr(spec, "origin", str(changed))
        found, _, err = call(*run)
        assert (found, "the code that draws and counts (noise" in err) == (code, bool(code)), err
