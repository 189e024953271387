"""What `holdfast import-weights` and every other command look at in a file of weights before they use it."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from program import Call
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from holdfast.models.architectures import base as table
from holdfast.models.architectures.base import architecture, build
from holdfast.models.bundle import BundleInfo, InputSpace, load_bundle, read_info, save_bundle

Alter = Callable[[Tensor], Any]


def perceptron() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(build("digits-mlp", (1, 8, 8), 10).state_dict())


def normalized() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(build("resnet20", (1, 8, 8), 10).state_dict())


def imported(call: Call, file: Path, *extra: object, arch: str = "resnet20") -> tuple[int, str, str]:
    """Import with the layout of our own names; exit code, standard output, standard error."""
    given = ("--arch", arch, "--layout", "plain", "--data", "digits", "--out", file.with_suffix(".ours.safetensors"))
    return call("import-weights", file, *given, *extra)


def put(value: float, dtype: torch.dtype = torch.float32) -> Alter:
    """One value in the middle."""

    def alter(tensor: Tensor) -> Tensor:
        other = tensor.to(dtype, copy=True)
        other.view(-1)[other.numel() // 2] = value
        return other

    return alter


# Of torch, about layouts that it is giving up.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "alter", "message"),
    [
        (
            "conv1.weight",
            put(float("nan")),
            "conv1.weight holds 1 of 144 values that are not finite (the first is nan at",
        ),
        ("conv1.weight", put(float("-inf")), "holds 1 of 144 values that are not finite (the first is -inf at"),
        ("conv1.weight", lambda t: (100 * t).to(torch.int8), "conv1.weight holds int8, expected float32, float16, bfl"),
        ("conv1.weight", lambda t: t.to(torch.int64), "conv1.weight holds int64, expected float32"),
        ("conv1.weight", lambda t: t > 0, "conv1.weight holds bool, expected float32"),
        ("conv1.weight", lambda t: t.to(torch.complex64), "conv1.weight holds complex64, expected floating-point"),
        ("conv1.weight", lambda t: t.to(torch.float8_e4m3fn), "conv1.weight holds float8_e4m3fn, expected float32"),
        ("conv1.weight", put(1e300, torch.float64), "conv1.weight holds 1e+300 in float64, above all of float32"),
        ("conv1.weight", lambda t: t.to_sparse(), "conv1.weight has the layout sparse_coo, expected a dense tensor"),
        ("conv1.weight", lambda t: t.to("meta"), "conv1.weight is on the device meta, which keeps no values"),
        (
            "conv1.weight",
            lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8),
            "conv1.weight is quantized (qint8), expected floating-point numbers. Whole numbers of a quantized",
        ),
        (
            "bn1.running_var",
            put(-0.5),
            "bn1.running_var holds 1 negative variances (the least is -0.5). A variance is 0 or more. The file",
        ),
        ("bn1.running_mean", put(float("inf")), "bn1.running_mean holds 1 of 16 values that are not finite"),
        ("bn1.num_batches_tracked", lambda t: torch.tensor(2.5), "num_batches_tracked holds float32 that are no int64"),
    ],
)
def test_values_that_no_network_can_have(call: Call, tmp_path: Path, name: str, alter: Alter, message: str) -> None:
    weights = normalized()
    weights[name] = alter(weights[name])
    torch.save(weights, tmp_path / "w.pth")
    code, _, err = imported(call, tmp_path / "w.pth")
    assert (code, message in err) == (1, True), err
    assert not (tmp_path / "w.ours.safetensors").exists()


@pytest.mark.parametrize(
    ("dtype", "said"),
    [
        (torch.float16, "6 tensors of float16 are kept in float32, exactly"),
        (torch.bfloat16, "6 tensors of bfloat16 are kept in float32, exactly"),
        (torch.float64, "6 tensors of float64 were rounded to float32"),
    ],
)
def test_other_precisions_are_said(call: Call, tmp_path: Path, dtype: torch.dtype, said: str) -> None:
    torch.manual_seed(0)
    weights = {name: tensor.to(dtype) for name, tensor in build("digits-mlp", (1, 8, 8), 10).state_dict().items()}
    torch.save(weights, tmp_path / "w.pth")
    code, out, err = imported(call, tmp_path / "w.pth", "--json", arch="digits-mlp")
    assert (code, said in err) == (0, True), err
    assert said in json.loads(out)["notes"][0]
    held = load_bundle(tmp_path / "w.ours.safetensors").module.state_dict()
    assert all(torch.equal(held[f"1.{name}"], tensor.float()) for name, tensor in weights.items())


def test_whole_numbers_may_be_kept_as_floats(call: Call, tmp_path: Path) -> None:
    weights = normalized()
    weights["bn1.num_batches_tracked"] = torch.tensor(3.0)
    torch.save(weights, tmp_path / "w.pth")
    assert imported(call, tmp_path / "w.pth")[0] == 0
    assert int(load_file(tmp_path / "w.ours.safetensors")["1.bn1.num_batches_tracked"]) == 3


def test_a_constant_network_and_one_that_guesses_are_warned_of(call: Call, tmp_path: Path) -> None:
    weights = normalized()
    torch.save(weights, tmp_path / "w.pth")
    code, out, err = imported(call, tmp_path / "w.pth")
    assert (code, "of 50 examples of digits right, no more than guessing would" in err) == (0, True), err
    assert "of 50 examples of digits right" in " ".join(out.split())
    torch.save({name: torch.zeros_like(tensor) for name, tensor in weights.items()}, tmp_path / "w.pth")
    code, _, err = imported(call, tmp_path / "w.pth")
    assert (code, "gives the same logits for all 50 examples" in err) == (0, True), err


def test_a_network_that_overflows_on_the_data_is_refused(call: Call, tmp_path: Path) -> None:
    weights = normalized()
    weights["linear.weight"] = torch.full_like(weights["linear.weight"], 3e38)
    torch.save(weights, tmp_path / "w.pth")
    code, _, err = imported(call, tmp_path / "w.pth")
    assert (code, "the network returns NaN or infinite logits for" in err) == (1, True), err


INFO = BundleInfo(
    architecture="resnet20",
    arguments={},
    input_space=InputSpace((1, 8, 8), 0.0, 1.0),
    noise={"name": "gaussian", "sigma": 0.25},
    class_names=tuple("0123456789"),
    training={},
)


@pytest.mark.parametrize(
    ("name", "alter", "message"),
    [
        ("1.conv1.weight", put(float("nan")), "1.conv1.weight holds 1 of 144 values that are not finite"),
        ("1.conv1.weight", lambda t: t.to(torch.int8), "1.conv1.weight holds int8, expected float32"),
        ("1.conv1.weight", put(1e300, torch.float64), "1.conv1.weight holds 1e+300 in float64, above all of float32"),
        ("1.bn1.running_var", put(-0.5), "1.bn1.running_var holds 1 negative variances"),
    ],
)
def test_bundles_are_looked_at_by_every_command(
    call: Call, tmp_path: Path, name: str, alter: Alter, message: str
) -> None:
    file = tmp_path / "m.safetensors"
    save_bundle(file, INFO, INFO.build())
    header = {"holdfast": json.dumps(vars(INFO) | {"input_space": vars(INFO.input_space), "format": 1})}
    weights = load_file(file)
    weights[name] = alter(weights[name])
    save_file(weights, file, header)
    code, _, err = call("certify", "--model", file, "--out", tmp_path / "run", "--limit", 1, "--n", 10, "--quiet")
    assert (code, message in err) == (1, True), err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"mean": [0.1], "std": [0.0]}, "the entry input_space.std[0] is 0.0; expected a number above 0.0"),
        ({"mean": [float("nan")], "std": [1.0]}, "NaN is not a number"),
        ({"low": 1.0}, "the entry input_space: low = 1.0 is not below high = 1.0"),
        ({"wide": 1}, "the entry 'input_space.wide' is unknown"),
    ],
)
def test_a_header_that_makes_no_sense_is_an_error(
    call: Call, tmp_path: Path, space: dict[str, object], message: str
) -> None:
    file = tmp_path / "m.safetensors"
    said = vars(INFO) | {"input_space": vars(INFO.input_space) | space, "format": 1}
    save_file(INFO.build().state_dict(), file, {"holdfast": json.dumps(said)})
    code, _, err = call("info", file)
    assert (code, message in err) == (1, True), err


@pytest.fixture
def tied() -> Any:
    """An architecture with one tensor under two names."""

    @architecture("tied")
    def made(shape: tuple[int, ...], num_classes: int) -> nn.Module:
        first, second = nn.Linear(64, 64), nn.Linear(64, 64)
        second.weight = first.weight
        return nn.Sequential(nn.Flatten(), first, nn.ReLU(), second, nn.Linear(64, num_classes))

    yield made
    table.ARCHITECTURES.remove("tied")


def test_one_tensor_under_two_names(call: Call, tmp_path: Path, tied: Any) -> None:
    weights = dict(build("tied", (1, 8, 8), 10).state_dict())
    torch.save(weights, tmp_path / "w.pth")
    assert imported(call, tmp_path / "w.pth", arch="tied")[0] == 0
    held = load_bundle(tmp_path / "w.ours.safetensors").module.state_dict()
    assert torch.equal(held["1.1.weight"], weights["1.weight"])
    weights["3.weight"] = weights["3.weight"] + 1.0
    torch.save(weights, tmp_path / "w.pth")
    code, _, err = imported(call, tmp_path / "w.pth", arch="tied")
    assert (code, "The architecture has one tensor under several names, for which the file has" in err) == (1, True), (
        err
    )


@pytest.mark.parametrize(
    "prefix",
    [
        "_orig_mod.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "model.module.",
        "model._orig_mod.module.net.",
        "backbone.",
        "net.network.",
        "1.module.",
    ],
)
def test_names_of_wrappers_are_taken_off_in_any_order(call: Call, tmp_path: Path, prefix: str) -> None:
    weights = perceptron()
    torch.save({"state_dict": {prefix + name: tensor for name, tensor in weights.items()}}, tmp_path / "w.pth")
    code, _, err = imported(call, tmp_path / "w.pth", arch="digits-mlp")
    assert code == 0, err
    held = load_bundle(tmp_path / "w.ours.safetensors").module.state_dict()
    assert all(torch.equal(held[f"1.{name}"], tensor) for name, tensor in weights.items())


def test_wrappers_of_parts_and_averages_are_taken_off(call: Call, tmp_path: Path) -> None:
    weights = normalized()
    theirs = {
        "module." + name.replace("layer1.", "layer1._orig_mod.").replace("layer2.0.", "layer2.0.module."): tensor
        for name, tensor in weights.items()
    }
    torch.save({"n_averaged": torch.tensor(7), **theirs}, tmp_path / "w.pth")
    code, _, err = imported(call, tmp_path / "w.pth")
    assert code == 0, err
    held = load_bundle(tmp_path / "w.ours.safetensors").module.state_dict()
    assert all(torch.equal(held[f"1.{name}"], tensor) for name, tensor in weights.items())


class _Wrapped(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.module(x)
        return logits


def test_what_an_architecture_calls_so_itself_stays(call: Call, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    @architecture("wrapped-itself")
    def made(shape: tuple[int, ...], num_classes: int) -> nn.Module:
        return _Wrapped(build("digits-mlp", shape, num_classes))

    request.addfinalizer(lambda: table.ARCHITECTURES.remove("wrapped-itself"))
    torch.save({f"_orig_mod.module.{name}": tensor for name, tensor in perceptron().items()}, tmp_path / "w.pth")
    code, _, err = imported(call, tmp_path / "w.pth", arch="wrapped-itself")
    assert code == 0, err


def test_which_of_several_weights_is_said_and_can_be_chosen(call: Call, tmp_path: Path) -> None:
    raw = perceptron()
    averaged = {name: tensor / 2 for name, tensor in raw.items()}
    file, ours = tmp_path / "w.pth", tmp_path / "w.ours.safetensors"

    def first(*extra: object) -> tuple[Tensor, str]:
        code, _, err = imported(call, file, *extra, arch="digits-mlp")
        assert code == 0, err
        return load_bundle(ours).module.state_dict()["1.1.weight"], err

    for saved, key in (
        ({"epoch": 1, "state_dict_ema": averaged, "state_dict": raw}, "state_dict_ema"),
        (
            {"model_ema": {"module": averaged}, "model": {"state_dict": raw}, "optimizer": {"mean": {}}},
            "model_ema.module",
        ),
        ({"ema_state_dict": averaged, "anything": raw, "optimizer": {"mean": torch.ones(2)}}, "ema_state_dict"),
    ):
        torch.save(saved, file)
        held, err = first()
        assert torch.equal(held, raw["1.weight"])
        assert f"it also has {key}, which can be named" in err
        held, _ = first("--weights", key)
        assert torch.equal(held, averaged["1.weight"])
        assert read_info(ours).training["weights"] == key
    # Nothing but an average is taken without a word.
    torch.save({"ema": {"shadow": averaged}}, file)
    assert torch.equal(first()[0], averaged["1.weight"])


def test_two_networks_side_by_side_need_a_choice(call: Call, tmp_path: Path) -> None:
    raw = perceptron()
    file = tmp_path / "w.pth"
    both = {f"student.{name}": tensor for name, tensor in raw.items()}
    both |= {f"teacher.module.{name}": tensor / 2 for name, tensor in raw.items()}
    torch.save({"state_dict": both}, file)
    code, _, err = imported(call, file, arch="digits-mlp")
    assert (
        code,
        "those whose names begin with student or with teacher would fit: choose them as the weights" in err,
    ) == (1, True), err
    for key in ("teacher", "state_dict.teacher"):
        assert imported(call, file, "--weights", key, arch="digits-mlp")[0] == 0
        held = load_bundle(tmp_path / "w.ours.safetensors").module.state_dict()
        assert torch.equal(held["1.1.weight"], raw["1.weight"] / 2)
    code, _, err = imported(call, file, "--weights", "nobody", arch="digits-mlp")
    assert (code, "under 'nobody', and none whose names begin so. It holds state_dict (12 tensors)" in err) == (1, True)
    torch.save({"generator": raw, "judge": {name: tensor / 2 for name, tensor in raw.items()}}, file)
    code, _, err = imported(call, file, arch="digits-mlp")
    assert code == 1
    assert (
        "holds several sets of weights: generator (6 tensors), judge (6 tensors). Choose one of them as the weights"
        in err
    )
    torch.save({"epoch": 3, "model": {"config": {"depth": 3}}}, file)
    code, _, err = imported(call, file, arch="digits-mlp")
    assert (code, "holds a dict with epoch, model (config); expected tensors by name" in err) == (1, True), err


def _torchscript(file: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), file)


def _zip(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "weights")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "w.pth",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
            "w.pth is a git-lfs pointer, not the file itself: `git lfs pull` fetches it",
        ),
        ("w.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "`git lfs pull` fetches it"),
        ("w.onnx", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "`git lfs pull` fetches it"),
        ("w.pth", b"\n<!DOCTYPE html><html>", "an HTML or XML page, as a server sends where a download fails"),
        ("w.safetensors", b"<html lang=en>", "an HTML or XML page, as a server sends where a download fails"),
        ("w.pth", b"/annex/objects/MD5E-s1--0", "a git-annex pointer"),
        ("w.pth", b"", "an empty file"),
        ("w.safetensors", b"", "an empty file"),
        ("w.onnx", b"\x08\x07", "an ONNX graph, by its name"),
        ("w.h5", b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes"),
        ("w.pt", _torchscript, "a TorchScript program"),
        ("w.zip", _zip, "a zip archive that torch did not write"),
    ],
)
def test_files_that_are_no_weights_are_named(
    call: Call, tmp_path: Path, name: str, content: bytes | Callable[[Path], None], message: str
) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        content(tmp_path / name)
    code, _, err = imported(call, tmp_path / name)
    assert (code, message in err) == (1, True), err
    if name.endswith(".safetensors"):
        # Files of the other kinds may be models of their own, which `info` reads.
        code, _, err = call("info", tmp_path / name)
        assert (code, message in err) == (1, True), err
