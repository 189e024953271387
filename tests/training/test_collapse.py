"""A training that ends with a constant network raises an error, as a diverged one does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from holdfast.data import DataSet, open_data
from holdfast.errors import ClassifierError
from holdfast.noises.gaussian import Gaussian
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.training.recipes import NoiseAugmentation, Standard
from holdfast.training.trainer import Trainer, TrainProgress
from holdfast.workflows.train import begun_bundle

QUICK = TrainConfig(epochs=1, batch_size=256, learning_rate=0.01)


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return open_data("digits", None, "train", {})


@pytest.mark.parametrize("noise", [None, Gaussian(0.25)], ids=str)
def test_a_network_that_became_a_constant_is_refused(
    tmp_path: Path, digits: DataSet, monkeypatch: pytest.MonkeyPatch, noise: Gaussian | None
) -> None:
    """All units of a hidden layer die, as with too high a learning rate: only the last layer's biases remain."""
    trainers: list[Trainer] = []
    made = Trainer.__init__

    def kept(self: Trainer, *arguments: object) -> None:
        made(self, *arguments)  # type: ignore[arg-type]
        trainers.append(self)

    def kill(progress: TrainProgress) -> None:
        if progress.step == progress.steps:
            first = next(layer for layer in trainers[-1].module.modules() if isinstance(layer, torch.nn.Linear))
            with torch.no_grad():
                first.weight.zero_()
                assert first.bias is not None
                first.bias.fill_(-1.0)

    monkeypatch.setattr(Trainer, "__init__", kept)
    out = tmp_path / "m.safetensors"
    info = replace(begun_bundle(digits, noise, "digits-mlp"), arguments={"widths": [32]})
    recipe = Standard() if noise is None else NoiseAugmentation()
    with pytest.raises(ClassifierError, match=r"training collapsed: the network gives 64 different images the same lo"):
        train(info, replace(QUICK, recipe=recipe), digits, out, on_progress=kill)
    assert not out.exists()
    done = train(info, replace(QUICK, recipe=recipe, seed=1), digits, tmp_path / "alive.safetensors")
    assert done.training["recipe"] == str(recipe)


def test_equal_images_may_have_equal_logits(tmp_path: Path) -> None:
    """Without noise and with the same image repeated, nothing has collapsed."""
    data = DataSet.in_memory(
        source="made",
        split="train",
        class_names=["a", "b"],
        labels=np.arange(8) % 2,
        values=np.full((8, 1, 8, 8), 7, np.uint8),
    )
    config = replace(QUICK, recipe=Standard(), batch_size=4)
    info = begun_bundle(data, None, "digits-mlp")
    # Constant images have no deviation to divide by.
    space = replace(info.input_space, mean=None, std=None)
    train(replace(info, input_space=space), config, data, tmp_path / "m.safetensors")
    assert (tmp_path / "m.safetensors").exists()


def test_a_bundle_says_how_many_images_its_accuracy_is_of(tmp_path: Path, digits: DataSet) -> None:
    held_out = open_data("digits", None, "test", {}).part(3)
    info = replace(begun_bundle(digits, Gaussian(0.25), "digits-mlp"), arguments={"widths": [32]})
    done = train(info, QUICK, digits, tmp_path / "m.safetensors", held_out=held_out)
    assert done.training["held_out_images"] == len(held_out)
    assert done.training["held_out_majority"] == pytest.approx(max(np.bincount(held_out.labels)) / len(held_out))
