"""Cohen's radius against high-precision arithmetic, and the noise's distribution."""

from fractions import Fraction

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from noise_cases import draws
from scipy.stats import kstest

from holdfast.errors import UsageError
from holdfast.estimators import FixedSize, best_radius
from holdfast.formats.parameters import check_noise
from holdfast.noises.gaussian import Gaussian, cohen, cohen_linf, lecuyer, li
from holdfast.stats.rounding import normal_quantile_lower, normal_quantile_upper
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
    radius, _ = best_radius(Gaussian(0.25), FixedSize(n, alpha, "cohen"), SHAPE, 10)
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
    noisy = Gaussian(0.25).sample(torch.full((1, 10, 10), 0.5), draws(1000, 2))
    assert kstest((noisy.flatten().double().numpy() - 0.5) / 0.25, "norm").pvalue > 1e-4


def test_nothing_is_clipped() -> None:
    noisy = Gaussian(1.0).sample(torch.ones(1, 8, 8), draws(100, 0))
    assert float(noisy.max()) > 1.0
    assert float(noisy.min()) < 0.0


def test_noise_follows_the_input_precision_and_float64_has_more_digits() -> None:
    double = Gaussian(1.0).sample(torch.zeros(1, 8, 8, dtype=torch.float64), draws(1, 0))
    assert double.dtype == torch.float64
    assert not torch.equal(double, double.float().double())


@pytest.mark.parametrize("p_lower", [0.55, 0.7, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("share", [1.0, 0.5, 0.01])
def test_older_theorems_certify_less(p_lower: float, share: float) -> None:
    """Cohen et al. 2019, Figure 5: Lecuyer et al. below Li et al. below Cohen et al., which is tight."""
    bounds = ClassBounds(0, p_lower, (1 - p_lower) * share)
    ours, second, first = (theorem(Gaussian(0.5), bounds, SHAPE) for theorem in (cohen, li, lecuyer))
    assert ours is not None
    assert second is not None
    assert first is not None
    assert 0 < first < second < ours


def test_older_theorems_against_their_formulas_in_closed_form() -> None:
    """At p_lower = 1, p_upper = 0 Lecuyer's best b is 1; Li's supremum at p = .8, .1 is checked by a finer grid."""
    certain = ClassBounds(0, 1.0, 0.0)
    assert lecuyer(Gaussian(2.0), certain, SHAPE) == pytest.approx(
        2.0 / float(mpmath.sqrt(2 * mpmath.log(1.25 * (1 + mpmath.e)))), rel=1e-6
    )
    best = max(
        mpmath.sqrt(
            -2
            / a
            * mpmath.log(
                1 - 0.9 + 2 * (0.5 * (mpmath.mpf("0.8") ** (1 - a) + mpmath.mpf("0.1") ** (1 - a))) ** (1 / (1 - a))
            )
        )
        for a in (mpmath.mpf(step) / 500 for step in range(503, 5000))
    )
    assert li(Gaussian(1.0), ClassBounds(0, 0.8, 0.1), SHAPE) == pytest.approx(float(best), rel=1e-5)


@pytest.mark.parametrize("theorem", [cohen, li, lecuyer])
def test_no_theorem_certifies_without_separation(theorem) -> None:
    assert theorem(Gaussian(1.0), ClassBounds(0, 0.4, 0.4), SHAPE) is None


@pytest.mark.parametrize("p_lower", [0.4, 0.50001, 0.7, 0.9, 0.999, 1 - 1e-12])
@pytest.mark.parametrize("share", [1.0, 0.9, 0.01])
def test_each_step_of_a_radius_is_rounded_toward_zero(p_lower: float, share: float) -> None:
    """Below what exact arithmetic makes of the quantiles' safe ends, and in Linf of the L2 radius."""
    p_upper = min(1 - p_lower, p_lower) * share * (1 - 1e-9)
    bounds = ClassBounds(0, p_lower, p_upper)
    z = Fraction(normal_quantile_lower(p_lower)) - Fraction(normal_quantile_upper(p_upper))
    for sigma in (0.1, 0.25, 0.3, 1.0, 1.7):
        radius = cohen(Gaussian(sigma), bounds, SHAPE)
        assert radius is not None
        assert Fraction(radius) < Fraction(sigma) * z / 2
        for values in range(2, 60):
            everywhere = cohen_linf(Gaussian(sigma), bounds, (values,))
            assert everywhere is not None
            assert Fraction(everywhere) ** 2 * values < Fraction(radius) ** 2


def test_older_theorems_leave_room_for_rounding() -> None:
    """Below the suprema, where these are known in closed form or by a search with 30 digits."""
    with mpmath.workdps(30):
        certain = 2 / mpmath.sqrt(2 * mpmath.log(mpmath.mpf("1.25") * (1 + mpmath.e)))
        assert lecuyer(Gaussian(2.0), ClassBounds(0, 1.0, 0.0), SHAPE) < certain

        def of(order: mpmath.mpf) -> mpmath.mpf:
            mean = (0.5 * (mpmath.mpf(0.8) ** (1 - order) + mpmath.mpf(0.1) ** (1 - order))) ** (1 / (1 - order))
            return mpmath.sqrt(-2 / order * mpmath.log(1 - mpmath.mpf(0.8) - mpmath.mpf(0.1) + 2 * mean))

        best = max(of(mpmath.mpf(step) / 1000) for step in range(1001, 6000))
        assert li(Gaussian(1.0), ClassBounds(0, 0.8, 0.1), SHAPE) < best * (1 + mpmath.mpf(10) ** -7)


def test_the_largest_sigma_is_what_float32_and_the_manifests_hold() -> None:
    assert Gaussian(1e30).sigma == 1e30
    with pytest.raises(UsageError, match=r"sigma is 1e\+30 at most"):
        Gaussian(1.000001e30)
    check_noise({"name": "gaussian", "sigma": 1e30})
    with pytest.raises(ValueError, match="sigma"):
        check_noise({"name": "gaussian", "sigma": 1.000001e30})
