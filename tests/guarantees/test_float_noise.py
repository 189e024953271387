"""What float32 noise is and is not: the limits that docs/guarantees.md states are measured here."""

import math

import torch
from scipy.stats import norm

from holdfast.noises.base import noise_from_dict
from holdfast.noises.gaussian import Gaussian, cohen
from holdfast.types import ClassBounds


def test_float32_noise_on_a_processor_is_cut_off_and_the_report_says_that_it_is_approximate() -> None:
    """24-bit uniforms reach 5.77 sigma at most; the mass beyond is 8e-9 a value, as the docs say."""
    largest = math.sqrt(2 * 24 * math.log(2))
    values = Gaussian(1.0).sample(torch.zeros(4096), 500, torch.Generator().manual_seed(1))
    assert float(values.abs().max()) <= largest + 1e-5
    assert 7e-9 < 2 * norm.sf(largest) < 9e-9
    assert "not identical" in Gaussian(1.0).assumption
    assert "not identical" in noise_from_dict({"name": "gaussian", "sigma": 1.0}).assumption


def test_float32_noise_can_issue_a_false_certificate_to_a_classifier_made_for_it() -> None:
    """The known counter-example, which the docs name as the limit of float32 noise.

    f(z) = 1 iff z is a multiple of 2^-24. At x = 1 every float32 sum is one; at x = 0, at distance 1, few are.
    """
    noise, n = Gaussian(0.27), 20_000

    def hits(x: float) -> int:
        z = noise.sample(torch.full((1,), x), n, torch.Generator().manual_seed(2)).double()
        return int((z * 2**24 == (z * 2**24).round()).sum())

    assert hits(1.0) == n
    assert hits(0.0) < n / 2
    claimed = cohen(noise, ClassBounds(1, 0.001 ** (1 / n), 1 - 0.001 ** (1 / n)), (1,))
    assert claimed is not None
    assert claimed > 0.9
