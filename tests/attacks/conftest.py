"""Small trained models of digits: without noise, for Gaussian noise and for ablation; one on MNIST where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from victims import Victim, trained

from holdfast.noises.ablation import Ablation
from holdfast.noises.gaussian import Gaussian

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    """digits-cnn without noise."""
    return trained(tmp_path_factory.mktemp("plain") / "m.safetensors", None)


@pytest.fixture(scope="session")
def gaussian(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    """digits-cnn for Gaussian noise."""
    return trained(tmp_path_factory.mktemp("gaussian") / "m.safetensors", Gaussian(0.25))


@pytest.fixture(scope="session")
def ablation(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    """digits-cnn for ablation."""
    return trained(tmp_path_factory.mktemp("ablation") / "m.safetensors", Ablation(20))


@pytest.fixture(scope="session")
def mnist(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Victim:
    """wong-small (two convolutions) without noise, after four epochs on 10,000 images: an unprotected model of 97%."""
    return trained(
        tmp_path_factory.mktemp("mnist") / "m.safetensors", None, "mnist", data_folder / "mnist", "wong-small"
    )
