"""Inputs of any number of dimensions: series (channels, time), volumes (channels, depth, height, width)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from noise_cases import draws

from holdfast.attacks.distances import distance
from holdfast.execution.smoothed import SmoothedClassifier
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import Noise, pixel_count
from holdfast.noises.gaussian import Gaussian
from holdfast.noises.partition import Partition
from holdfast.noises.uniform import Uniform
from holdfast.noises.uniform_flip import UniformFlip
from holdfast.types import Norm

SHAPES = [(5,), (2, 7), (1, 3, 4), (2, 3, 2, 4)]
NOISES: list[Noise] = [
    Gaussian(sigma=0.5),
    Uniform(half_width=0.5),
    Ablation(k=2),
    Ablation(k=2, null="mean", fill=(0.0, 0.0)),
    Partition(k=2),
    UniformFlip(kappa=0.6, levels=2),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_positions_are_counted_without_the_channels(shape: tuple[int, ...]) -> None:
    assert pixel_count(shape) == (shape[0] if len(shape) == 1 else math.prod(shape[1:]))
    x, other = torch.zeros(shape), torch.zeros(shape)
    # All channels of one position.
    other.view(1 if len(shape) == 1 else shape[0], -1)[:, 1] = 1.0
    assert distance(x, other, Norm.L0) == 1.0


@pytest.mark.parametrize("noise", NOISES, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_each_noise_is_drawn_and_what_is_kept_is_whole_positions(noise: Noise, shape: tuple[int, ...]) -> None:
    channels = 1 if len(shape) == 1 else shape[0]
    if getattr(noise, "fill", None) is not None and channels != 2:
        pytest.skip("one fill value for each of two channels")
    # On the grid of two levels, and nowhere the value of NULL.
    x = torch.ones(shape)
    noisy = noise.sample(x, draws(6, 0))
    assert tuple(noisy.shape) == (6, *noise.noisy_shape(shape))
    if isinstance(noise, Ablation | Partition):
        kept = noisy.view(6, -1, pixel_count(shape))[:, :channels] == 1.0
        assert bool((kept.all(dim=1) == kept.any(dim=1)).all())
        if isinstance(noise, Ablation):
            assert kept[:, 0].sum(dim=1).tolist() == [2] * 6


@pytest.mark.parametrize("shape", [(2, 7), (2, 3, 2, 4)])
def test_a_known_classifier_gets_its_known_radius(shape: tuple[int, ...]) -> None:
    # Class 1 where the sum is positive: the margin in L2 is the distance to that plane.
    def linear(z: torch.Tensor) -> torch.Tensor:
        score = z.flatten(1).sum(dim=1)
        return torch.stack([-score, score], dim=1)

    x = np.full(shape, 0.2, dtype=np.float32)
    margin = float(x.sum()) / math.sqrt(x.size)
    (certificate,) = SmoothedClassifier(linear, Gaussian(sigma=1.0), num_classes=2).certify(
        x[None], n0=50, n=4000, alpha=0.001, seed=3
    )
    assert certificate.label == 1
    assert 0.8 * margin < certificate.radius <= margin


def test_an_exact_certificate_of_a_series_counts_times() -> None:
    # A series of 9 times, of which one holds the evidence: whoever sees it answers class 1.
    def sees(z: torch.Tensor) -> torch.Tensor:
        seen = (z[:, :1].amax(dim=(1, 2)) > 0).float()
        return torch.stack([torch.full_like(seen, 0.5), seen], dim=1)

    x = np.zeros((1, 1, 9), dtype=np.float32)
    x[0, 0, :7] = 1.0
    (certificate,) = SmoothedClassifier(sees, Ablation(k=1), num_classes=2, layout="channels-first").certify(
        x, n0=200, n=4000, alpha=0.001, seed=3
    )
    # 7 of 9 draws see it: Levine & Feizi, p - r/9 > 1/2 for r = 2 only.
    assert (certificate.label, certificate.radius) == (1, 2.0)
