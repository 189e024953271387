"""Tests that need a CUDA card: they have the marker `cuda`, and are skipped where there is none.

`benchmarks/gpu.py` runs them on its card. Where HOLDFAST_CUDA_TESTS_ON names the processor, they run there, so that no
line of them runs on a card first: its smoke run does so.
"""

from __future__ import annotations

import os

import pytest
import torch

# The device of these tests.
CUDA = os.environ.get("HOLDFAST_CUDA_TESTS_ON", "cuda")
IS_HERE = CUDA == "cpu" or torch.cuda.is_available()
# For a whole module (`pytestmark = ON_CUDA`), or for one parameter.
ON_CUDA = [pytest.mark.cuda, pytest.mark.skipif(not IS_HERE, reason="no CUDA device")]
BOTH = ["cpu", pytest.param(CUDA, marks=ON_CUDA, id="cuda")]
