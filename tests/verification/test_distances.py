"""The size of a change, as attacks measure it and as `verify` does: the same, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from holdfast.attacks.distances import distance
from holdfast.types import Norm
from holdfast.verification.attack import _distance

SHAPE = (2, 5, 7)


@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize("changed", [0, 1, 3, 70])
def test_both_measure_the_same(norm: Norm, changed: int) -> None:
    rng = np.random.default_rng(changed)
    x = rng.random(SHAPE, dtype=np.float32)
    other = x.copy()
    other.ravel()[rng.choice(x.size, changed, replace=False)] = rng.random(changed, dtype=np.float32)
    found = distance(torch.from_numpy(x), torch.from_numpy(other), norm)
    assert _distance(norm.value, SHAPE, x.ravel().tolist(), other.ravel().tolist()) == pytest.approx(found, rel=1e-12)


@pytest.mark.parametrize(
    ("norm", "expected"), [("L0", 2.0), ("L1", 1.75), ("L2", 1.3125**0.5), ("Linf", 1.0), ("patch", 2.0)]
)
def test_by_hand(norm: str, expected: float) -> None:
    """Two pixels, the last of a row in both channels and the first of the next row: within a square over the edge."""
    x, other = np.zeros(SHAPE), np.zeros(SHAPE)
    other[0, 1, 6], other[1, 1, 6], other[0, 2, 0] = 1.0, -0.25, 0.5
    found = _distance(norm, SHAPE, x.ravel().tolist(), other.ravel().tolist())
    assert found == pytest.approx(expected)
    assert distance(torch.from_numpy(x), torch.from_numpy(other), Norm(norm)) == pytest.approx(found)
