"""What float32 noise is and is not: the limits that docs/guarantees.md states are measured here."""

import math
from itertools import pairwise

import numpy as np
import torch
from noise_cases import draws
from scipy.stats import norm

import holdfast as hf
from holdfast.noises.base import noise_from_dict
from holdfast.noises.gaussian import Gaussian, cohen
from holdfast.noises.lattice_gaussian import BITS, LatticeGaussian, cohen_lattice, thresholds
from holdfast.types import ClassBounds


def test_float32_noise_on_a_processor_is_cut_off_and_the_report_says_that_it_is_approximate() -> None:
    """31-bit uniforms reach 6.66 sigma at most; the mass beyond is 2.7e-11 a value, as the docs say."""
    largest = math.sqrt(2 * 32 * math.log(2))
    values = Gaussian(1.0).sample(torch.zeros(4096), draws(500, 1))
    assert float(values.abs().max()) <= largest + 1e-5
    assert 2.6e-11 < 2 * norm.sf(largest) < 2.8e-11
    assert "not identical" in Gaussian(1.0).assumption
    assert "not identical" in noise_from_dict({"name": "gaussian", "sigma": 1.0}).assumption


def test_float32_noise_can_issue_a_false_certificate_to_a_classifier_made_for_it() -> None:
    """The known counter-example, which the docs name as the limit of float32 noise.

    f(z) = 1 iff z is a multiple of 2^-24. At x = 1 every float32 sum is one; at x = 0, at distance 1, few are.
    """
    noise, n = Gaussian(0.27), 20_000

    def hits(x: float) -> int:
        z = noise.sample(torch.full((1,), x), draws(n, 2)).double()
        return int((z * 2**24 == (z * 2**24).round()).sum())

    assert hits(1.0) == n
    assert hits(0.0) < n / 2
    claimed = cohen(noise, ClassBounds(1, 0.001 ** (1 / n), 1 - 0.001 ** (1 / n)), (1,))
    assert claimed is not None
    assert claimed > 0.9


def a_multiple_of_2_to_the_minus_24(z: torch.Tensor) -> torch.Tensor:
    """The classifier above: 1 iff z is a multiple of 2^-24."""
    scaled = z.double() * 2**24
    return (scaled == scaled.round()).long()


def exact_probabilities(noise: LatticeGaussian) -> list[float]:
    """P(f(j + N) = 1) at every grid point j, summed in integers and divided last."""
    exact = [0, *(int(t) for t in thresholds(noise.sigma, noise.levels)), 2**BITS]
    weights = [above - below for below, above in pairwise(exact)]
    half, top = len(weights) // 2, noise.levels - 1
    says = a_multiple_of_2_to_the_minus_24(torch.arange(-half, top + half + 1) / top).tolist()
    return [
        sum(weight for weight, one in zip(weights, says[j : j + len(weights)], strict=True) if one) / 2**BITS
        for j in range(noise.levels)
    ]


def test_lattice_noise_issues_no_false_certificate_to_that_classifier() -> None:
    """At every grid point, the radius from its exact probability, which no votes can exceed for long, is a true one."""
    noise = LatticeGaussian(0.27)
    p = exact_probabilities(noise)
    assert p[255] > 0.9
    assert p[0] < 0.5
    for j, here in enumerate(p):
        label = int(here > 0.5)
        claimed = cohen_lattice(noise, ClassBounds(label, max(here, 1 - here), min(here, 1 - here)), (1,))
        assert claimed is not None
        assert all((p[k] > 0.5) == label for k in range(256) if abs(j - k) / 255 <= claimed)
        if j == 255:
            assert 0.2 < claimed < 1.0


def test_certificates_for_that_classifier_under_lattice_noise_hold_at_every_grid_point() -> None:
    """Votes and bounds from the library for all 256 inputs; alpha = 1e-9 each, so this fails once in 4 million."""
    noise = LatticeGaussian(0.27)
    smoothed = hf.SmoothedClassifier(
        lambda z: a_multiple_of_2_to_the_minus_24(z[:, 0]), noise, 2, batch_size=8192, threads=1
    )
    p = exact_probabilities(noise)
    inputs = np.arange(256, dtype=np.float32)[:, None] / np.float32(255)
    certificates = smoothed.certify(inputs, n=10_000, alpha=1e-9, seed=1)
    assert certificates[255].label == 1
    assert certificates[0].label == 0
    for j, certificate in enumerate(certificates):
        if certificate.label is not None:
            reached = [k for k in range(256) if abs(j - k) / 255 < certificate.radius]
            assert all(int(p[k] > 0.5) == certificate.label for k in reached)
