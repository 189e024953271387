"""Rounding toward safety."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.stats.rounding import (
    complement_upper,
    down,
    float_above,
    float_below,
    normal_quantile_lower,
    normal_quantile_upper,
    show_down,
    up,
)


@settings(max_examples=300, deadline=None)
@given(st.floats(1e-300, 1.0, exclude_max=True))
def test_normal_quantiles_enclose_the_true_one(p: float) -> None:
    with mpmath.workdps(330):
        lower, upper = (mpmath.ncdf(mpmath.mpf(q)) for q in (normal_quantile_lower(p), normal_quantile_upper(p)))
        assert lower <= mpmath.mpf(p) <= upper


@pytest.mark.parametrize("p", [0.5000001, 0.51, 0.75, 0.9, 0.99, 0.999, 0.999999, 1 - 1e-12])
def test_normal_quantile_loses_less_than_a_millionth_of_a_millionth(p: float) -> None:
    with mpmath.workdps(50):
        true = mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p) - 1)
    assert 0 <= float(true) - normal_quantile_lower(p) <= 1e-13 * float(true) + 1e-15


def test_normal_quantile_at_the_ends() -> None:
    assert normal_quantile_lower(0.0) == -np.inf
    assert normal_quantile_upper(1.0) == np.inf
    assert normal_quantile_upper(0.0) == -np.inf
    for outside in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="probability"):
            normal_quantile_lower(outside)


@given(st.fractions(0, 1), st.integers(0, 80))
def test_floats_around_a_fraction_are_the_next_ones(value: Fraction, halvings: int) -> None:
    value /= 2**halvings
    below, above = float_below(value), float_above(value)
    assert Fraction(below) <= value <= Fraction(above)
    assert above in (below, up(below))
    assert (above == below) == (Fraction(below) == value)


@given(st.floats(0.0, 1.0))
def test_complement_is_the_next_float_from_one_minus_p_on(p: float) -> None:
    assert Fraction(complement_upper(p)) >= 1 - Fraction(p) >= Fraction(down(complement_upper(p)))


def test_radii_are_shown_rounded_down_not_to_nearest() -> None:
    """Round-to-nearest prints half of all radii larger than the proved ones."""
    assert show_down(0.6159, 3) == "0.615"
    assert show_down(0.9999999, 2) == "0.99"
    assert show_down(0.5, 3) == "0.500"
    assert show_down(11.0, 0) == "11"
    rng = np.random.default_rng(0)
    for radius in rng.uniform(0, 4, 1000):
        assert Fraction(show_down(radius, 3)) <= Fraction(float(radius))


def test_down_and_up_step_by_one_float() -> None:
    assert down(1.0) < 1.0 < up(1.0)
    assert np.nextafter(down(1.0), 2) == 1.0
