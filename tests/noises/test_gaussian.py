"""Cohen's radius against high-precision arithmetic, and the noise's distribution."""

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from holdfast.errors import UsageError
from holdfast.estimators import FixedSize, best_radius
from holdfast.noises.gaussian import Gaussian, cohen
from holdfast.types import ClassBounds

SHAPE = (1, 8, 8)


def true_radius(sigma: float, p_lower: float, p_upper: float) -> mpmath.mpf:
    quantile = lambda p: mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p) - 1)  # noqa: E731
    return mpmath.mpf(sigma) / 2 * (quantile(p_lower) - quantile(p_upper))


@settings(max_examples=200, deadline=None)
@given(st.floats(0.01, 10.0), st.floats(0.5001, 0.9999999), st.floats(1e-9, 1.0))
def test_radius_never_exceeds_the_theorem(sigma: float, p_lower: float, share: float) -> None:
    p_upper = (1 - p_lower) * share
    radius = cohen(Gaussian(sigma), ClassBounds(0, p_lower, p_upper), SHAPE)
    with mpmath.workdps(50):
        true = true_radius(sigma, p_lower, p_upper)
        assert radius is not None
        assert radius <= true
        assert radius >= true * (1 - mpmath.mpf(10) ** -11) - mpmath.mpf(10) ** -14


def test_two_sided_bounds_reduce_to_sigma_times_the_quantile() -> None:
    """Cohen et al. 2019, Theorem 1 with p_upper = 1 - p_lower: R = sigma quantile(p_lower)."""
    radius = cohen(Gaussian(0.5), ClassBounds(0, 0.99, 1 - 0.99), SHAPE)
    assert radius == pytest.approx(0.5 * 2.3263478740408408, rel=1e-12)


@pytest.mark.parametrize(
    ("n", "alpha", "in_sigmas"),
    # Cohen et al. 2019, section 3.2.2 and Figure 7: the radius that n unanimous samples allow.
    [(1_000, 0.001, 2.4632), (10_000, 0.001, 3.1986), (100_000, 0.001, 3.8115), (1_000_000, 0.001, 4.3462)],
)
def test_largest_radius_that_n_allows(n: int, alpha: float, in_sigmas: float) -> None:
    radius, _ = best_radius(Gaussian(0.25), FixedSize(n, alpha), SHAPE)
    assert radius == pytest.approx(0.25 * in_sigmas, rel=2e-4)


def test_no_radius_without_separation() -> None:
    assert cohen(Gaussian(1.0), ClassBounds(0, 0.6, 0.6), SHAPE) is None
    assert cohen(Gaussian(1.0), ClassBounds(0, 0.4, 0.3), SHAPE) is not None


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf"), "a"])
def test_sigma_out_of_range_is_refused(sigma: float) -> None:
    with pytest.raises(UsageError, match="sigma is a positive number in input units"):
        Gaussian(sigma)


def test_noise_is_normal_with_the_given_sigma_in_input_units() -> None:
    """Kolmogorov-Smirnov on 100,000 values; the failure rate of this test is 1e-4, and its seed is fixed."""
    noisy = Gaussian(0.25).sample(torch.full((1, 10, 10), 0.5), 1000, torch.Generator().manual_seed(2))
    assert kstest((noisy.flatten().double().numpy() - 0.5) / 0.25, "norm").pvalue > 1e-4


def test_nothing_is_clipped() -> None:
    noisy = Gaussian(1.0).sample(torch.ones(1, 8, 8), 100, torch.Generator().manual_seed(0))
    assert float(noisy.max()) > 1.0
    assert float(noisy.min()) < 0.0


def test_noise_follows_the_input_precision_and_float64_has_more_digits() -> None:
    double = Gaussian(1.0).sample(torch.zeros(1, 8, 8, dtype=torch.float64), 1, torch.Generator().manual_seed(0))
    assert double.dtype == torch.float64
    assert not torch.equal(double, double.float().double())
