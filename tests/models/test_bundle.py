"""Bundles: what is saved comes back, and nothing else is loaded."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from holdfast.errors import BundleError, UsageError
from holdfast.models.backends import Job, prepare
from holdfast.models.bundle import BundleInfo, InputSpace, load_bundle, read_info, save_bundle
from holdfast.noises.ablation import Ablation
from holdfast.noises.gaussian import Gaussian

INFO = BundleInfo(
    architecture="digits-mlp",
    arguments={"widths": [16]},
    input_space=InputSpace((1, 8, 8), 0.0, 1.0, (0.3,), (0.4,)),
    noise=Gaussian(0.25).to_dict(),
    class_names=tuple("0123456789"),
    training={"epochs": 1},
)


def saved(path: Path, info: BundleInfo = INFO) -> torch.nn.Module:
    torch.manual_seed(0)
    module = info.build().eval()
    save_bundle(path, info, module)
    return module


def test_weights_and_words_come_back(tmp_path: Path) -> None:
    module = saved(tmp_path / "m.safetensors")
    bundle = load_bundle(tmp_path / "m.safetensors")
    assert bundle.info == INFO == read_info(tmp_path / "m.safetensors")
    x = torch.rand(5, 1, 8, 8)
    assert torch.equal(bundle.module(x), module(x))
    assert not any(part.training for part in bundle.module.modules())
    assert len(bundle.sha256) == 64


def test_normalization_is_the_first_layer(tmp_path: Path) -> None:
    """Noise is added in input units, before normalization: the checkpoint carries its preprocessing."""
    saved(tmp_path / "m.safetensors")
    bundle = load_bundle(tmp_path / "m.safetensors")
    x = torch.rand(3, 1, 8, 8)
    network = list(bundle.module.children())[1]
    assert torch.allclose(bundle.module(x), network((x - 0.3) / 0.4), atol=1e-6)


def test_ablation_doubles_the_channels_and_is_not_normalized(tmp_path: Path) -> None:
    info = replace(INFO, noise=Ablation(16).to_dict(), input_space=InputSpace((1, 8, 8), 0.0, 1.0))
    saved(tmp_path / "m.safetensors", info)
    assert load_bundle(tmp_path / "m.safetensors").module(torch.rand(2, 2, 8, 8)).shape == (2, 10)


def test_bfloat16_is_another_classifier_of_the_same_bundle(tmp_path: Path) -> None:
    saved(tmp_path / "m.safetensors")
    bundle = load_bundle(tmp_path / "m.safetensors")
    x = torch.rand(2, 1, 8, 8)
    assert prepare("torch", Job(bundle.module, (1, 8, 8), "bfloat16"))(x).dtype is torch.bfloat16
    assert bundle.module(x).dtype is torch.float32
    with pytest.raises(UsageError, match="the precision is float32, bfloat16 or int8, got 'int4'"):
        prepare("torch", Job(bundle.module, (1, 8, 8), "int4"))


def test_other_weights_have_another_hash(tmp_path: Path) -> None:
    """Resume keyed by name instead of content would serve stale results for another checkpoint."""
    saved(tmp_path / "a.safetensors")
    torch.manual_seed(1)
    save_bundle(tmp_path / "b.safetensors", INFO, INFO.build())
    assert load_bundle(tmp_path / "a.safetensors").sha256 != load_bundle(tmp_path / "b.safetensors").sha256


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("unpickled"),))


def test_a_pickle_is_refused_and_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pt").write_bytes(pickle.dumps(_Evil()))
    with pytest.raises(BundleError, match=r"not a safetensors file.*never\s+pickled models"):
        load_bundle(tmp_path / "model.pt")
    assert not (tmp_path / "unpickled").exists()


def test_what_is_not_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no model file"):
        read_info(tmp_path / "none.safetensors")
    save_file({"w": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(BundleError, match="not a Holdfast bundle"):
        read_info(tmp_path / "other.safetensors")
    save_file({"w": torch.zeros(1)}, tmp_path / "old.safetensors", {"holdfast": json.dumps({"format": 0})})
    with pytest.raises(BundleError, match="another version of Holdfast"):
        read_info(tmp_path / "old.safetensors")
    saved(tmp_path / "whole.safetensors")
    whole = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "torn.safetensors").write_bytes(whole[:-100])
    with pytest.raises(BundleError, match="cut off"):
        load_bundle(tmp_path / "torn.safetensors")


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    save_bundle(tmp_path / "m.safetensors", INFO, replace(INFO, arguments={"widths": [8]}).build())
    with pytest.raises(BundleError, match="do not fit its architecture 'digits-mlp'"):
        load_bundle(tmp_path / "m.safetensors")
