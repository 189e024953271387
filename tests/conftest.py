"""What all tests share: one thread, the folder of real data, and a tiny trained model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder that HOLDFAST_DATA names, with real data sets; the test is skipped where it is not set."""
    named = os.environ.get("HOLDFAST_DATA")
    if not named:
        pytest.skip("HOLDFAST_DATA is not set: it names the folder with mnist/, cifar10/, cohen-logs/ ...")
    folder = Path(named)
    if not folder.is_dir():
        pytest.fail(f"HOLDFAST_DATA names {folder}, which is not a folder")
    return folder
