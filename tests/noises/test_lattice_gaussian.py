"""The integer sampler: thresholds against 40 digits, draws against plain inversion, the loss, the radius."""

import itertools
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from noise_cases import draws
from scipy.stats import chisquare

from holdfast.errors import InputError, UsageError
from holdfast.noises.gaussian import Gaussian, cohen
from holdfast.noises.lattice_gaussian import (
    BITS,
    LatticeGaussian,
    cohen_lattice,
    steps_of,
    tables,
    thresholds,
    total_variation,
)
from holdfast.types import ClassBounds

SHAPE = (3, 32, 32)
NOISES = [(0.12, 256), (0.25, 256), (1.0, 256), (0.5, 17), (0.25, 2), (0.01, 65536)]


def source(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def exact_threshold(sigma: float, levels: int, i: int) -> mpmath.mpf:
    """2^60 Phi((2i + 1)/(2 (levels - 1) sigma)), with mpmath's current number of digits."""
    z = mpmath.mpf(2 * i + 1) / (2 * (levels - 1) * mpmath.mpf(sigma))
    return mpmath.mpf(2) ** 59 * mpmath.erfc(-z / mpmath.sqrt(2))


def plain_inversion(uniform: np.ndarray, sigma: float, levels: int) -> np.ndarray:
    """The definition: the number of thresholds up to each integer, minus half the number of thresholds."""
    exact = thresholds(sigma, levels)
    return exact.searchsorted(uniform, side="right") - len(exact) // 2


@pytest.mark.parametrize(("sigma", "levels"), NOISES)
def test_thresholds_are_the_rounded_values_of_40_digit_arithmetic(sigma: float, levels: int) -> None:
    exact = thresholds(sigma, levels)
    half = len(exact) // 2
    assert len(exact) == 2 * half
    assert np.all(np.diff(exact) >= 0)
    checked = range(-half, half) if half < 300 else [*range(-half, half, half // 50), half - 1]
    with mpmath.workdps(40):
        for i in checked:
            assert int(exact[i + half]) == int(mpmath.floor(exact_threshold(sigma, levels, i) + 0.5))
        # None is missing at either end.
        assert exact_threshold(sigma, levels, -half - 1) < 0.5
        assert 2**BITS - exact_threshold(sigma, levels, half) < 0.5
    assert int(exact[0]) >= 1
    assert int(exact[-1]) <= 2**BITS - 1


@pytest.mark.parametrize(("sigma", "levels"), NOISES)
def test_tables_agree_with_plain_inversion_at_the_ends_of_every_bucket_and_around_every_threshold(
    sigma: float, levels: int
) -> None:
    first = np.arange(2**16, dtype=np.int64) << 44
    last = first + (2**44 - 1)
    decided = tables(sigma, levels).decided
    at_first, at_last = plain_inversion(first, sigma, levels), plain_inversion(last, sigma, levels)
    clear = np.isfinite(decided)
    assert np.array_equal(clear, at_first == at_last)
    assert np.array_equal(decided[clear], at_first[clear])
    around = (thresholds(sigma, levels)[:, None] + np.array([-1, 0, 1])).ravel()
    uniform = np.concatenate([first, last, around.clip(0, 2**BITS - 1)])
    assert np.array_equal(steps_of(uniform, sigma, levels), plain_inversion(uniform, sigma, levels))


@pytest.mark.parametrize(("sigma", "levels"), NOISES)
def test_draws_are_plain_60_bit_inversions_of_the_words(sigma: float, levels: int) -> None:
    """The same bits by hand: 16 for each value, four to a word, then words of the next lanes for undecided values."""
    x, some = torch.zeros(1, 13, 7), draws(50, 9)
    drawn = LatticeGaussian(sigma, levels).draw(x, some)
    first = some.words64(x, 23).contiguous().numpy().view(np.uint16)[:, :91].astype(np.int64)
    # A lane has words for a sixteenth of the values.
    low = np.concatenate([some.words64(x, 6, lane).numpy() for lane in range(1, 17)], axis=1) & (2**44 - 1)
    start = first << 44
    undecided = plain_inversion(start, sigma, levels) != plain_inversion(start + (2**44 - 1), sigma, levels)
    # The other 44 bits of a decided value do not matter.
    uniform = start + 12345
    for row in range(50):
        where = undecided[row].nonzero()[0]
        uniform[row, where] = start[row, where] + low[row, : len(where)]
    assert drawn.dtype == torch.float32
    assert np.array_equal(drawn.view(50, 91).numpy(), plain_inversion(uniform, sigma, levels))


@pytest.mark.parametrize(("sigma", "levels"), [(0.02, 256), (0.25, 256), (0.5, 17)])
def test_a_million_draws_have_the_exact_probabilities(sigma: float, levels: int) -> None:
    """Chi-square on 1,000,000 draws; the failure rate of this test is 1e-6, and its seed is fixed."""
    steps = LatticeGaussian(sigma, levels).draw(torch.zeros(1000), draws(1000, 5)).long().flatten().numpy()
    exact = thresholds(sigma, levels)
    half = len(exact) // 2
    expected = np.diff(np.concatenate([[0], exact, [2**BITS]])) / 2.0**BITS * 1e6
    counts = np.bincount(steps + half, minlength=len(expected)).astype(float)
    rare = expected < 10
    pooled = [np.append(values[~rare], values[rare].sum()) for values in (counts, expected)]
    assert chisquare(*pooled).pvalue > 1e-6


def test_tails_reach_further_than_float32_noise() -> None:
    """The first and last thresholds are beyond 8.8 sigma: float32 noise ends at 6.66."""
    exact = thresholds(0.25, 256)
    assert len(exact) // 2 / (255 * 0.25) > 8.8
    # The outermost thresholds are so close together that several round to the same integer.
    assert int((exact == 1).sum()) > 1
    steps = steps_of(np.array([0, 2**BITS - 1]), 0.25, 256)
    assert steps.tolist() == [-(len(exact) // 2), len(exact) // 2]


@pytest.mark.parametrize(("sigma", "levels", "values"), [(0.25, 2, 1), (0.5, 2, 2), (0.05, 17, 1), (0.02, 17, 2)])
def test_total_variation_bounds_the_exact_one(sigma: float, levels: int, values: int) -> None:
    """Against the sum over all outcomes, with 60 digits; for two values over all pairs of outcomes."""
    exact = [int(t) for t in thresholds(sigma, levels)]
    half = len(exact) // 2
    with mpmath.workdps(60):
        ideal = [mpmath.mpf(0), *(exact_threshold(sigma, levels, i) / 2**BITS for i in range(-half, half)), 1]
        below, above = (exact_threshold(sigma, levels, -half - 1), 2**BITS - exact_threshold(sigma, levels, half))
        ideal_masses = [b - a for a, b in itertools.pairwise(ideal)]
        # The outermost steps, without the tails of the ideal noise.
        ideal_masses[0] -= below / 2**BITS
        ideal_masses[-1] -= above / 2**BITS
        drawn = [0, *exact, 2**BITS]
        drawn_masses = [mpmath.mpf(b - a) / 2**BITS for a, b in itertools.pairwise(drawn)]
        beyond = 1 - mpmath.fsum(ideal_masses) ** values
        differences = (
            abs(mpmath.fprod(drawn_masses[i] for i in each) - mpmath.fprod(ideal_masses[i] for i in each))
            for each in itertools.product(range(len(drawn_masses)), repeat=values)
        )
        true = (mpmath.fsum(differences) + beyond) / 2
        bound = total_variation(LatticeGaussian(sigma, levels), (values,))
        assert bound == values * Fraction(len(exact) + 2, 2**61)
        assert 0 < true <= mpmath.mpf(bound.numerator) / bound.denominator


def test_total_variation_counts_every_value_of_an_input() -> None:
    noise = LatticeGaussian(0.5)
    one = total_variation(noise, (1,))
    assert one == Fraction(len(thresholds(0.5, 256)) + 2, 2**61)
    assert total_variation(noise, SHAPE) == 3 * 32 * 32 * one
    assert float(total_variation(LatticeGaussian(1.0), (3, 224, 224))) < 1e-9


@pytest.mark.parametrize("levels", [17, 256, 65536])
def test_noisy_inputs_are_a_function_of_the_sum_of_the_integers(levels: int) -> None:
    """All pairs with the same j + N give the same bits: those of that integer over levels - 1."""
    noise = LatticeGaussian(0.03 if levels == 65536 else 0.25, levels)
    j = torch.randint(0, levels, (2000,), generator=source(1))
    sums = torch.randint(-levels, 2 * levels, (2000,), generator=source(2))
    noisy = noise.apply(j / (levels - 1), (sums - j).float())
    assert torch.equal(noisy, sums / (levels - 1))
    # For each way of dividing: 8-bit images as bytes times a float32 reciprocal.
    other = noise.apply(j * torch.tensor(1 / (levels - 1)), (sums - j).float())
    assert torch.equal(noisy, other)


def test_nothing_is_clipped() -> None:
    noisy = LatticeGaussian(1.0).sample(torch.ones(SHAPE), draws(5))
    assert float(noisy.max()) > 2.0
    assert float(noisy.min()) < 0.0


def test_inputs_off_the_grid_are_refused() -> None:
    x = torch.zeros(SHAPE)
    x[0, 0, 0] = 0.5
    with pytest.raises(InputError, match="values must be multiples of 1/255"):
        LatticeGaussian(0.5).sample(x, draws(2))
    x[0, 0, 0] = float("nan")
    with pytest.raises(InputError, match="values must be multiples of 1/255"):
        LatticeGaussian(0.5).sample(x, draws(2))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([0.12, 0.25, 0.5, 1.0]), st.floats(0.5001, 1.0), st.floats(0.0, 1.0))
def test_radius_is_cohens_for_the_wider_bounds_and_never_above_it(sigma: float, p_lower: float, share: float) -> None:
    noise, p_upper = LatticeGaussian(sigma), (1 - p_lower) * share
    bounds = ClassBounds(0, p_lower, p_upper)
    radius = cohen_lattice(noise, bounds, SHAPE)
    loss = total_variation(noise, SHAPE)
    with mpmath.workdps(50):
        lower, upper = (
            mpmath.mpf(p.numerator) / p.denominator for p in (Fraction(p_lower) - loss, Fraction(p_upper) + loss)
        )
        true = mpmath.mpf(sigma) / 2 * mpmath.sqrt(2) * (mpmath.erfinv(2 * lower - 1) - mpmath.erfinv(2 * upper - 1))
        assert radius is not None
        assert radius <= true
        # Rounding p near 1 to float64 can move it by 2^-53, a relative 2^-53/loss of the distance to 1.
        assert radius >= true * (1 - mpmath.mpf(10) ** -4) - mpmath.mpf(10) ** -14
    plain = cohen(Gaussian(sigma), bounds, SHAPE)
    assert plain is not None
    assert radius <= plain


def test_the_loss_costs_next_to_nothing_at_common_sample_sizes() -> None:
    p = 0.001 ** (1 / 100_000)
    ours = cohen_lattice(LatticeGaussian(0.5), ClassBounds(0, p, 1 - p), SHAPE)
    assert ours == pytest.approx(0.5 * 3.8115, rel=2e-4)
    assert cohen_lattice(LatticeGaussian(0.5), ClassBounds(0, 0.5, 0.5 - 1e-13), SHAPE) is None
    assert cohen_lattice(LatticeGaussian(0.5), ClassBounds(0, 1.0, 0.0), SHAPE) < 0.5 * 9


def test_normalization_fits_it_and_the_report_says_what_is_assumed() -> None:
    noise = LatticeGaussian(0.5)
    assert noise.normalizable
    assert "taken off the class bounds" in noise.assumption
    assert "not identical" not in noise.assumption


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LatticeGaussian(0.0), "sigma is a positive number"),
        (lambda: LatticeGaussian(0.5, levels=1), "levels is a whole number from 2"),
        (lambda: LatticeGaussian(0.5, levels=65537), "levels is a whole number from 2"),
        (lambda: LatticeGaussian(0.5, levels=256.0), "levels is a whole number from 2"),  # type: ignore[arg-type]
        (lambda: LatticeGaussian(0.0001), "between 0.125 and 4096 steps"),
        (lambda: LatticeGaussian(100.0), "between 0.125 and 4096 steps"),
        (lambda: LatticeGaussian(0.5).check_inputs(SHAPE, 0.0, 255.0), r"inputs on a grid in \[0, 1\]"),
        (lambda: LatticeGaussian(0.5).check_inputs((2, 0), 0.0, 1.0), "inputs have the shape"),
    ],
)
def test_parameters_out_of_range_are_refused(make, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()
