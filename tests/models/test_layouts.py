"""Weights from elsewhere: read without running them, renamed, and all of them used."""

import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from holdfast.errors import BundleError, UsageError
from holdfast.models.architectures.base import build
from holdfast.models.layouts import LAYOUTS, find_layout, load_into, read_weights

SHAPE = (3, 32, 32)


def network(architecture: str, arguments: dict[str, Any] | None = None, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build(architecture, SHAPE, 10, arguments).eval()


def loaded(weights: dict[str, torch.Tensor], layout: str, architecture: str) -> torch.nn.Module:
    chosen = find_layout(layout)
    fit = chosen.fit(layout, architecture)
    target = network(architecture, dict(fit.arguments), seed=1)
    load_into(target, weights, chosen, fit)
    return target


def renamed(module: torch.nn.Module, rename: Callable[[str], str]) -> "OrderedDict[str, torch.Tensor]":
    return OrderedDict((rename(name), tensor) for name, tensor in module.state_dict().items())


def cohens(name: str) -> str:
    return "1." + name.replace("linear.", "fc.").replace(".shortcut.", ".downsample.")


def kuanglius(name: str) -> str:
    for number in (1, 2, 3, 4):
        name = name.replace(f"stages.{number - 1}.", f"layer{number}.")
    return f"module.{name}"


@pytest.mark.parametrize(
    ("layout", "architecture", "arguments", "rename"),
    [
        ("plain", "mnist-cnn", {}, str),
        ("akamaster", "resnet20", {}, "module.{}".format),
        ("akamaster", "resnet20", {}, str),
        ("cohen", "resnet20", {"shortcut": "projection"}, cohens),
        ("kuangliu", "resnet18", {}, kuanglius),
    ],
)
def test_renamed_weights_are_the_same_network(
    layout: str, architecture: str, arguments: dict[str, Any], rename: Callable[[str], str]
) -> None:
    theirs = network(architecture, arguments)
    ours = loaded(renamed(theirs, rename), layout, architecture)
    x = torch.rand(2, *SHAPE)
    with torch.inference_mode():
        assert torch.equal(ours(x), theirs(x))


def test_names_of_cohens_checkpoints() -> None:
    """As locuslab/smoothing's code makes them: code/archs/cifar_resnet.py and code/architectures.py."""
    fit = LAYOUTS["cohen"].fit("cohen", "resnet110")
    expected = network("resnet110", dict(fit.arguments)).state_dict()
    names = ["conv1.weight", "bn1.running_var", "layer1.17.conv2.weight", "layer2.0.downsample.0.weight"]
    names += ["layer3.0.downsample.1.running_mean", "layer3.17.bn2.bias", "fc.weight", "fc.bias"]
    assert all(fit.name(name) in expected for name in names)
    assert tuple(expected[fit.name("layer2.0.downsample.0.weight")].shape) == (32, 16, 1, 1)
    assert LAYOUTS["cohen"].fit("cohen", "resnet50").name("layer1.0.downsample.0.weight") == (
        "layer1.0.downsample.0.weight"
    )


def test_every_layout_names_architectures_that_exist() -> None:
    from holdfast.models.architectures.base import architecture_names

    for layout in LAYOUTS.values():
        assert set(layout.fits or ()) <= set(architecture_names())


def test_counters_may_lack() -> None:
    weights = renamed(network("resnet20"), str)
    for name in [name for name in weights if name.endswith("num_batches_tracked")]:
        del weights[name]
    found = loaded(weights, "akamaster", "resnet20").state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())
    assert {name.rpartition(".")[2] for name in found.keys() - weights.keys()} == {"num_batches_tracked"}


@pytest.mark.parametrize("inside", ["state_dict", "net", "model_state_dict", None])
@pytest.mark.parametrize("zipped", [True, False])
def test_files_that_torch_saved(tmp_path: Path, inside: str | None, zipped: bool) -> None:
    weights = renamed(network("resnet20"), str)
    whole = weights if inside is None else {"epoch": 90, "arch": "x", inside: weights, "optimizer": {"state": {}}}
    torch.save(whole, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    found = read_weights(tmp_path / "w.pth")
    assert list(found) == list(weights)
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_safetensors(tmp_path: Path) -> None:
    save_file({"weight": torch.ones(3)}, tmp_path / "w.safetensors")
    assert list(read_weights(tmp_path / "w.safetensors")) == ["weight"]


class _Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, (f"touch {self.mark}",))


@pytest.mark.parametrize("form", ["pickle", "legacy", "zip", "beside"])
def test_a_file_with_a_payload_is_refused_and_not_run(tmp_path: Path, form: str) -> None:
    file, mark = tmp_path / "w.pth", tmp_path / "was-run"
    if form == "pickle":
        file.write_bytes(pickle.dumps(_Evil(mark)))
    elif form == "beside":
        torch.save({"state_dict": renamed(network("resnet20"), str), "arguments": _Evil(mark)}, file)
    else:
        torch.save({"state_dict": _Evil(mark)}, file, _use_new_zipfile_serialization=form == "zip")
    reason = r"it asks for \w+.system|Unp.*|its pickle has the operation 0x95.*"
    with pytest.raises(BundleError, match=rf"not hold weights alone \(({reason})\); nothing in it was"):
        read_weights(file)
    assert not mark.exists()


def test_a_whole_pickled_model_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pth")
    with pytest.raises(
        BundleError, match=r"it asks for torch.nn.modules.linear.Linear\); nothing in it was run"
    ) as got:
        read_weights(tmp_path / "w.pth")
    # torch's own message advises to run it.
    assert "weights_only" not in str(got.value)


def test_files_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"there is no file .*none.pth"):
        read_weights(tmp_path / "none.pth")
    for content in (b"", b"no weights", b"PK\x03\x04 no archive"):
        (tmp_path / "w.pth").write_bytes(content)
        with pytest.raises(BundleError, match=r"does not hold weights alone .*; nothing in it was run. Expected what"):
            read_weights(tmp_path / "w.pth")
    torch.save({"epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "w.pth")
    with pytest.raises(BundleError, match=r"holds a dict with epoch, optimizer; expected tensors by name, or a dict"):
        read_weights(tmp_path / "w.pth")
    torch.save([torch.ones(2)], tmp_path / "w.pth")
    with pytest.raises(BundleError, match="holds a list with no names; expected tensors by name"):
        read_weights(tmp_path / "w.pth")


def test_weights_that_do_not_fit() -> None:
    weights = renamed(network("resnet20"), str)
    with pytest.raises(BundleError, match=r"missing: layer1.3.conv1.weight, .*, layer1.3.bn1.bias and \d+ more"):
        loaded(weights, "akamaster", "resnet56")
    with pytest.raises(BundleError, match=r"left over: .*layer1.3.conv1.weight"):
        loaded(renamed(network("resnet56"), str), "akamaster", "resnet20")
    weights["linear.bias"] = torch.zeros(100)
    with pytest.raises(BundleError, match=r"of another shape: linear.bias \(100,\), expected \(10,\). Names are given"):
        loaded(weights, "akamaster", "resnet20")
    with pytest.raises(BundleError, match=r"missing: layer2.0.shortcut.0.weight"):
        loaded(renamed(network("resnet20"), lambda name: f"1.{name}"), "cohen", "resnet20")


def test_layouts_that_do_not_fit() -> None:
    with pytest.raises(
        UsageError, match="unknown layout 'timm'; known are plain, akamaster, cohen, kuangliu, torchvis"
    ):
        find_layout("timm")
    with pytest.raises(UsageError, match=r"'torchvision' has no weights for the architecture 'resnet18'; .* resnet50"):
        find_layout("torchvision").fit("torchvision", "resnet18")
