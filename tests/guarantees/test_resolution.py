"""Averaging squares of pixels: the same votes at s times the noise, s times the radius (Cohen et al. 2019, Prop. 7)."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chi2_contingency
from torch import Tensor
from torch.nn.functional import avg_pool2d

import holdfast as hf

SIGMA = 0.25
HIGH = 8
N = 20_000
# 6 comparisons fail by chance with this probability each.
CHANCE = 1e-6


def image(seed: int) -> Tensor:
    return torch.rand(1, 1, HIGH, HIGH, generator=torch.Generator().manual_seed(seed))


def curved(low: Tensor) -> Tensor:
    """Three classes of images of low resolution that no plane separates."""
    values = low.flatten(1)
    return torch.bucketize((values[:, 0] - 0.5) ** 2 + values.sum(1) / values.shape[1], torch.tensor([0.55, 0.7]))


def smoothed(side: int, sigma: float) -> hf.SmoothedClassifier:
    return hf.SmoothedClassifier(
        lambda z: curved(avg_pool2d(z, side)), hf.Gaussian(sigma), 3, input_range=(-5.0, 5.0), batch_size=4096
    )


def votes(classifier: hf.SmoothedClassifier, x: Tensor, seed: int) -> tuple[int, ...]:
    (certificate,) = classifier.certify(x, n0=10, n=N, alpha=0.001, seed=seed)
    return certificate.estimation.votes


def differ(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Whether two counts of votes come from different probabilities, but for chance."""
    pairs = [pair for pair in zip(first, second, strict=True) if sum(pair)]
    return bool(chi2_contingency(list(zip(*pairs, strict=True))).pvalue < CHANCE)


@pytest.mark.parametrize("side", [2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_the_votes_are_those_of_the_low_resolution(side: int, seed: int) -> None:
    x = image(seed)
    low = votes(smoothed(1, SIGMA), avg_pool2d(x, side), seed)
    assert sum(count > 0 for count in low) >= 2, "a vote without doubt shows nothing"
    assert not differ(low, votes(smoothed(side, side * SIGMA), x, seed + 100))


def test_without_more_noise_the_votes_differ() -> None:
    """What the test above can see."""
    x = image(0)
    assert differ(votes(smoothed(1, SIGMA), avg_pool2d(x, 2), 0), votes(smoothed(2, SIGMA), x, 100))


@pytest.mark.parametrize("side", [2, 4])
def test_the_radius_is_that_many_times_the_margin_and_no_more(side: int) -> None:
    """A linear classifier of low resolution has a known margin, and the change that uses it up is flat in squares."""
    low_side = HIGH // side
    w = torch.randn(low_side * low_side, generator=torch.Generator().manual_seed(side))
    w = w / w.norm()
    margin = 1.5 * SIGMA
    low = (0.5 + margin * w).view(1, 1, low_side, low_side)
    x = low.repeat_interleave(side, 2).repeat_interleave(side, 3)

    def f(z: Tensor) -> Tensor:
        return ((avg_pool2d(z, side).flatten(1) - 0.5) @ w > 0).long()

    classifier = hf.SmoothedClassifier(f, hf.Gaussian(side * SIGMA), 2, input_range=(-5.0, 5.0), batch_size=4096)
    (certificate,) = classifier.certify(x, n0=100, n=100_000, alpha=1e-6, seed=1)
    assert certificate.label == 1
    assert certificate.radius is not None
    assert 0.95 * side * margin <= certificate.radius <= side * margin
    change = -(w.view(1, 1, low_side, low_side)).repeat_interleave(side, 2).repeat_interleave(side, 3)
    beyond = x + 1.3 * side * margin * change / change.norm()
    (other,) = classifier.certify(beyond, n0=1_000, n=100_000, alpha=1e-6, seed=2)
    assert other.label == 0
