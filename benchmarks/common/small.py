"""A model and data for smoke runs that get none: the digits of the package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from holdfast.data.base import DataSet
from holdfast.data.source import open_data
from holdfast.noises.gaussian import Gaussian
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.workflows.train import begun_bundle

DATA = "digits"


def digits(split: str) -> DataSet:
    """A split of the digits."""
    return open_data(DATA, None, split, {})


def digits_model(folder: Path) -> Path:
    """A bundle trained for two epochs under Gaussian noise, in a folder that the caller removes."""
    out, data = folder / "digits.safetensors", digits("train")
    config = replace(TrainConfig(), epochs=2, batch_size=128, optimizer="adamw", learning_rate=0.004)
    train(begun_bundle(data, Gaussian(0.25), "digits-cnn"), config, data, out)
    return out
