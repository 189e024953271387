"""Every way in which a model comes, through everything that a model of ours can do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from foreign_models import write_all
from program import Call

from holdfast.models.source import MODEL_SOURCES
from holdfast.store.run import VoteRecord, read_run

Program = Callable[..., tuple[int, str]]
NAMES = (
    "python",
    "function",
    "exported",
    "torchscript",
    "onnx",
    "onnx of fixed batches",
    "onnx with weights apart",
    "onnx with channels last",
    "sklearn",
    "hf",
)
# A run that takes long enough to be killed.
_CERTIFY = (
    "--data",
    "digits",
    "--noise",
    "gaussian:sigma=.3",
    "--n0",
    "20",
    "--alpha",
    ".05",
    "--seed",
    "7",
    "--quiet",
)
_SHORT = ("--every", "60", "--n", "200")
_LONG = ("--every", "12", "--n", "5000", "--batch-size", "200")


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_all(tmp_path_factory.mktemp("foreign"))


def spec_of(specs: dict[str, str], name: str) -> str:
    if name not in specs:
        pytest.skip(f"no model of the source {name}: its package is not installed")
    return specs[name]


def skip_without_converter() -> None:
    # Not by importing it: it asks for torchvision, which need not be there.
    if find_spec("onnx2torch") is None:
        pytest.skip("graphs are converted by onnx2torch, which is not installed")


@pytest.fixture
def program(call: Call) -> Program:
    """Run the program in this process: exit code, and all that it printed."""

    def run(*arguments: object) -> tuple[int, str]:
        code, out, err = call(*arguments)
        return code, out + err

    return run


def votes(run: Path) -> dict[int, tuple[object, object]]:
    records = read_run(run).records
    return {each.index: (each.selection, each.estimation) for each in records if isinstance(each, VoteRecord)}


def killed_at_work(model: str, out: Path) -> None:
    command = [sys.executable, "-m", "holdfast", "certify", "--model", model, "--out", str(out), *_CERTIFY, *_LONG]
    program = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    end = time.monotonic() + 120
    while not (out / "manifest.json").exists():
        if program.poll() is not None:
            raise AssertionError(f"it ended before it could be killed: {program.communicate()[1].decode()[-500:]}")
        assert time.monotonic() < end
        time.sleep(0.02)
    os.killpg(program.pid, signal.SIGKILL)
    program.communicate()


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_run_is_resumed_by_workers_and_every_vote_is_drawn_again(
    specs: dict[str, str], name: str, tmp_path: Path, program: Program
) -> None:
    model = spec_of(specs, name)
    killed_at_work(model, tmp_path / "killed")
    before = len(read_run(tmp_path / "killed").records)
    options = ("--model", model, *_CERTIFY, *_LONG)
    code, text = program("certify", *options, "--out", tmp_path / "killed", "--engine", "processes:2")
    assert code == 0, text
    code, text = program("certify", *options, "--out", tmp_path / "whole")
    assert code == 0, text
    assert before < len(votes(tmp_path / "whole")) == 30
    assert votes(tmp_path / "killed") == votes(tmp_path / "whole")
    verify = ("verify", tmp_path / "killed", "--model", model, "--data", "digits", "--replay", "2", "--json")
    code, text = program(*verify)
    assert code == 0, text
    found = json.loads(text[: text.rindex("}") + 1])
    assert found["replayed"], text
    # Of a function nothing can be compared but its source.
    assert ("only its source was compared" in " ".join(found["notes"])) == (name == "function")


@pytest.mark.parametrize("name", NAMES)
def test_each_predicts_with_and_without_noise(specs: dict[str, str], name: str, program: Program) -> None:
    options = ("predict", "--model", spec_of(specs, name), "--data", "digits", "--every", "60", "--quiet", "--json")
    answers = {}
    for noise in ("gaussian:sigma=.1", "none"):
        code, text = program(*options, "--noise", noise)
        assert code == 0, text
        answers[noise] = json.loads(text[: text.rindex("}") + 1])["predictions"]
    assert [each["index"] for each in answers["none"]] == list(range(0, 360, 60))
    if name not in ("function", "hf"):
        # The others have learned something.
        right = sum(each["label"] == each["true_label"] for each in answers["none"])
        assert right >= 4, answers


@pytest.mark.parametrize("name", ["python", "exported", "onnx", "onnx of fixed batches", "onnx with channels last"])
def test_the_same_network_gives_the_same_answers_from_every_file(
    specs: dict[str, str], name: str, program: Program
) -> None:
    found = []
    for model in (spec_of(specs, "torchscript"), spec_of(specs, name)):
        options = ("predict", "--model", model, "--data", "digits", "--noise", "none", "--quiet", "--json")
        _, text = program(*options)
        found.append([each["label"] for each in json.loads(text[: text.rindex("}") + 1])["predictions"]])
    differ = sum(one != other for one, other in zip(*found, strict=True))
    assert len(found[0]) == 360
    # Another library rounds otherwise.
    assert differ <= 1


def test_every_source_is_in_the_table(specs: dict[str, str]) -> None:
    # ffdnet is a denoiser; bundles, masks and votes by a threshold have tests of their own; timm needs a torchvision
    # that fits torch.
    tested = {"python", "exported", "torchscript", "onnx", "sklearn", "hf"}
    assert set(MODEL_SOURCES.names()) == tested | {"bundle", "double-masking", "ffdnet", "threshold-votes", "timm"}


def resumed(model: str, out: Path) -> str:
    command = [sys.executable, "-m", "holdfast", "certify", "--model", model, "--out", str(out), *_CERTIFY, *_SHORT]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode != 0, found.stdout
    return " ".join(found.stderr.split())


@pytest.mark.parametrize(
    ("name", "file", "change", "named"),
    [
        ("python", "my_net.py", "MEAN = 0.4|MEAN = 0.5", "my_net.py) has changed"),
        ("function", "my_net.py", "MEAN = 0.4|MEAN = 0.5", "my_net.py) has changed"),
        ("python", "weights.pt", "other weights", "weights.sha256"),
        ("onnx", "net.onnx", "other network", "sha256"),
        ("onnx with weights apart", "apart.data", "a byte", "sha256"),
        ("exported", "net.pt2", "other network", "sha256"),
        ("hf", "resnet/preprocessor_config.json", "0.4|0.45", "sha256"),
    ],
)
def test_a_changed_file_is_refused_on_resume_with_the_difference(
    name: str, file: str, change: str, named: str, tmp_path: Path, program: Program
) -> None:
    kind = name.partition(" ")[0]
    model = spec_of(write_all(tmp_path, [kind] if kind in ("onnx", "hf") else []), name)
    command = [sys.executable, "-m", "holdfast", "certify", "--model", model, "--out", str(tmp_path / "run")]
    subprocess.run([*command, *_CERTIFY, *_SHORT], check=True, capture_output=True)
    _change(tmp_path / file, change)
    message = resumed(model, tmp_path / "run")
    assert named in message, message
    # As long as it is as it was, the run goes on.
    assert "was made with other settings" in message or "other settings" in message, message


def _change(file: Path, how: str) -> None:
    import torch
    from foreign_models import Net, export_onnx, export_program

    torch.manual_seed(1)
    other = Net().eval().requires_grad_(False)
    if how == "other weights":
        torch.save(other.state_dict(), file)
    elif how == "other network":
        (export_onnx if file.suffix == ".onnx" else export_program)(other, file)
    elif how == "a byte":
        content = bytearray(file.read_bytes())
        content[5] ^= 1
        file.write_bytes(content)
    else:
        old, new = how.split("|")
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))


@pytest.mark.parametrize(("option", "named"), [("mean=.4,std=.3", "normalization"), ("layout=channels-last", "layout")])
def test_another_option_is_refused_on_resume(
    specs: dict[str, str], option: str, named: str, tmp_path: Path, program: Program
) -> None:
    run = ("certify", "--out", tmp_path / "run", *_CERTIFY, *_SHORT)
    code, text = program(*run, "--model", spec_of(specs, "function"))
    assert code == 0, text
    code, text = program(*run, "--model", f"{specs['function']},{option}")
    assert code != 0
    assert named in text, text


@pytest.mark.parametrize("name", ["python", "exported", "onnx", "onnx with channels last", "hf"])
def test_a_model_is_frozen_into_a_bundle_with_the_same_answers(
    specs: dict[str, str], name: str, tmp_path: Path, program: Program
) -> None:
    if name.startswith("onnx"):
        skip_without_converter()
    model, frozen = spec_of(specs, name), tmp_path / "frozen.safetensors"
    code, text = program("bundle", "--model", model, "--data", "digits", "--out", frozen)
    assert code == 0, text
    found = []
    for each in (model, frozen):
        _, text = program("predict", "--model", each, "--noise", "none", "--quiet", "--json")
        found.append([answer["label"] for answer in json.loads(text[: text.rindex("}") + 1])["predictions"]])
    assert sum(one != other for one, other in zip(*found, strict=True)) <= 1
    # A member of an ensemble, which a foreign file cannot be.
    code, text = program("ensemble", frozen, frozen, "--out", tmp_path / "two.safetensors")
    assert code == 0, text
    code, text = program(
        "certify",
        "--model",
        tmp_path / "two.safetensors",
        "--out",
        tmp_path / "run",
        *_CERTIFY,
        *_SHORT,
        "--engine",
        "processes:1",
    )
    assert code == 0, text


def test_what_torch_cannot_compute_is_not_frozen(specs: dict[str, str], tmp_path: Path, program: Program) -> None:
    for name in ("function", "sklearn"):
        model = spec_of(specs, name)
        code, text = program("bundle", "--model", model, "--out", tmp_path / "m.safetensors")
        assert code != 0
        assert "cannot be frozen" in text, text
        assert not (tmp_path / "m.safetensors").exists()


def test_help_names_every_source_of_classifiers() -> None:
    from holdfast.cli.options import MODEL_HELP

    # A denoiser is no classifier: --denoiser names it. Masks, and votes by a threshold, are around one of the others.
    apart = ("ffdnet", "double-masking", "threshold-votes")
    for name, source in MODEL_SOURCES.all().items():
        shown = source.suffixes[0] if source.suffixes else f"{name}:"
        assert (shown in MODEL_HELP) == (name not in apart), name


GRADIENTS = (
    "python", "exported", "torchscript", "onnx", "onnx with weights apart", "onnx with channels last", "hf"
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_each_is_attacked_and_the_attack_is_made_again(
    specs: dict[str, str], name: str, tmp_path: Path, program: Program
) -> None:
    model = spec_of(specs, name)
    if name.startswith("onnx"):
        skip_without_converter()
    follows = name in GRADIENTS
    attack = ("--attack", "pgd:norm=l2,steps=3", "--budget", "1.5") if follows else ("--attack", "pointwise")
    common = ("--model", model, "--data", "digits")
    out = tmp_path / "attack"
    code, text = program(
        "attack",
        *attack,
        *common,
        "--noise",
        "none",
        "--limit",
        2,
        "--seed",
        3,
        "--out",
        out,
        "--quiet",
    )
    assert code == 0, text
    code, text = program("verify", out, *common, "--replay", "all", "--json")
    assert code == 0, text
    code, text = program("transfer", out, *common, "--quiet")
    assert code == 0, text
    if not follows and name != "onnx of fixed batches":
        run = ("attack", "--attack", "pgd:norm=l2", "--budget", "1", *common, "--noise", "none", "--limit", 1)
        code, text = program(*run, "--out", tmp_path / "pgd", "--quiet")
        assert code != 0
        # A function may be of torch, which is tried.
        assert "no gradients" in text or "needs gradients" in text, text


@pytest.mark.parametrize("name", ["onnx", "python"])
def test_precisions_are_compared(specs: dict[str, str], name: str, program: Program) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    options = ("--data", "digits", "--noise", "gaussian:sigma=.3", "--every", "90", "--n", "200", "--json")
    code, text = program(
        "agree", "--model", spec_of(specs, name), *options, "--precision", "float32",
        "--backend", "openvino",
    )  # fmt: skip
    assert code == 0, text
    found = json.loads(text[: text.rindex("}") + 1])
    assert found["reference"] == ("onnxruntime" if name == "onnx" else "torch")
    assert found["share_differing"] < 0.01


@pytest.mark.parametrize("option", ["--mean", "--classes", "--input-range", "--channels-last"])
def test_options_of_models_stand_in_their_spec(option: str, program: Program) -> None:
    code, text = program("certify", "--model", "net.onnx", "--out", "x", option, "1")
    assert code == 2
    assert "stands behind its path: --model net.onnx,mean=.5" in text


@pytest.mark.parametrize("name", ["onnx", "exported", "sklearn"])
def test_info_says_what_a_file_is(specs: dict[str, str], name: str, program: Program) -> None:
    code, text = program("info", spec_of(specs, name), "--json")
    assert code == 0, text
    found = json.loads(text[: text.rindex("}") + 1])
    assert (found["kind"], found["source"], found["classes"]) == ("model", name, 10)
    assert len(found["sha256"]) == 64
    # What computes a graph is the backend's, and another version of it is no other model; a converter even less.
    assert not {"onnx", "onnxruntime", "onnx2torch"} & set(found["code"])


@pytest.mark.parametrize("option", [("--n", 5), ("--seed", 1), ("--precision", "int8"), ("--engine", "processes:2")])
def test_without_noise_options_of_sampling_are_refused(option: tuple[str, object], program: Program) -> None:
    code, text = program("predict", "--model", "net.onnx", "--noise", "none", *option)
    assert code != 0
    assert f"{option[0]} would be ignored" in text
