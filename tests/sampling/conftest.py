"""A small trained model for the tests of engines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from engine_cases import Real

from holdfast.data import open_data
from holdfast.noises.gaussian import Gaussian
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.workflows.train import begun_bundle


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Real:
    """digits-mlp after two epochs."""
    data = open_data("digits", None, "train", {})
    info = replace(begun_bundle(data, Gaussian(0.25), "digits-mlp"), arguments={"widths": [32]})
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    train(info, TrainConfig(epochs=2, learning_rate=0.1), data, path)
    return Real.load(path)
