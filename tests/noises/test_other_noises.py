"""Laplace, uniform and flip noise: distributions, oracles, and theorems checked by direct computation."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from noise_cases import draws
from scipy.stats import chisquare, kstest

import holdfast as hf
from holdfast.errors import InputError, UsageError
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import Noise
from holdfast.noises.channel_flip import ChannelFlip, channel_radius, lee_channels
from holdfast.noises.gaussian import Gaussian, cohen, cohen_linf
from holdfast.noises.laplace import Laplace, dwork
from holdfast.noises.uniform import Uniform, overlap_l1, overlap_linf
from holdfast.noises.uniform_flip import UniformFlip, lee, surviving, threshold
from holdfast.types import ClassBounds

SHAPE = (1, 8, 8)


def two_class(p: float) -> ClassBounds:
    return ClassBounds(0, p, 1 - p)


def test_laplace_radii_are_finite_for_the_smallest_rival():
    # 0.9 / 5e-324 overflows.
    assert dwork(Laplace(1.0), ClassBounds(0, 0.9, 5e-324), SHAPE) < 400.0


@pytest.mark.parametrize(
    ("noise", "distribution", "arguments"),
    [(Laplace(0.3), "laplace", (0, 0.3)), (Uniform(0.5), "uniform", (-0.5, 1.0))],
    ids=str,
)
def test_additive_noise_has_its_distribution(noise, distribution: str, arguments: tuple[float, float]) -> None:
    """Kolmogorov-Smirnov on 64,000 values; the failure rate of this test is 1e-4, and its seed is fixed."""
    values = noise.sample(torch.zeros(SHAPE), draws(1000, 3)).flatten().double().numpy()
    assert kstest(values, distribution, arguments).pvalue > 1e-4


@given(st.floats(0.5001, 0.999999))
@settings(max_examples=100, deadline=None)
def test_laplace_radius_for_two_classes(p: float) -> None:
    """-b ln(2 (1 - p)): at that distance the probability of a half-line falls from p to exactly 1/2."""
    radius = dwork(Laplace(2.0), two_class(p), SHAPE)
    exact = -2.0 * math.log(2 * (1 - p))
    assert radius is not None
    assert exact - 1e-9 <= radius <= exact


def test_laplace_radius_for_several_classes_is_the_better_of_both() -> None:
    assert dwork(Laplace(1.0), ClassBounds(0, 0.4, 0.1), SHAPE) == pytest.approx(0.5 * math.log(4), rel=1e-9)
    assert dwork(Laplace(1.0), ClassBounds(0, 0.95, 0.04), SHAPE) == pytest.approx(-math.log(0.09), rel=1e-9)
    assert dwork(Laplace(1.0), ClassBounds(0, 0.5, 0.0), SHAPE) == math.inf


@pytest.mark.parametrize("p", [0.6, 0.9, 0.99])
def test_uniform_radii_against_the_overlap_of_cubes(p: float) -> None:
    noise, shape = Uniform(0.5), (7,)
    radius = overlap_l1(noise, two_class(p), shape)
    assert radius == pytest.approx(2 * 0.5 * (p - 0.5), rel=1e-9)
    everywhere = overlap_linf(noise, two_class(p), shape)
    assert everywhere is not None
    # At this Linf distance the cubes have 1 - (p - 1/2) in common.
    assert (1 - everywhere / (2 * 0.5)) ** 7 == pytest.approx(1.5 - p, rel=1e-9)
    assert overlap_linf(noise, two_class(p), (1,)) == pytest.approx(radius, rel=1e-9)


def test_gaussian_linf_is_the_l2_radius_over_the_root_of_the_dimension() -> None:
    inside = cohen_linf(Gaussian(0.5), two_class(0.9), (3, 4, 3))
    assert inside == pytest.approx(cohen(Gaussian(0.5), two_class(0.9), (3, 4, 3)) / 6, rel=1e-12)
    assert cohen_linf(Gaussian(0.5), two_class(0.4), SHAPE) is None


@pytest.mark.parametrize(
    ("kappa", "others", "expected"),
    [
        ("0.8", 1, [0.875, 0.96875, 0.9921875, 0.99275]),
        ("0.2", 255, [0.696862745, 0.853735333, 0.978988297, 0.994936459]),
    ],
)
def test_flip_thresholds_against_the_oracles(kappa: str, others: int, expected: list[float]) -> None:
    found = [float(threshold(Fraction(kappa), others, r)) for r in (1, 2, 3, 4)]
    assert found == pytest.approx(expected, abs=5e-10)
    assert float(threshold(Fraction("0.1"), 255, 1)) == pytest.approx(0.596, abs=5e-4)


@pytest.mark.parametrize("others", [1, 2, 3])
@pytest.mark.parametrize("kappa", [Fraction(3, 5), Fraction(4, 5)])
def test_what_survives_by_enumeration(kappa: Fraction, others: int) -> None:
    """All outcomes of r = 2 pixels at x = (0, 0) and x' = (1, 1): the least mass at x' of sets of given mass at x."""
    values, b = range(others + 1), (1 - kappa) / others
    outcomes = []
    for first in values:
        for second in values:
            at_x, at_other = ((kappa if v == w else b) for v, w in ((first, 0), (first, 1)))
            at_x *= kappa if second == 0 else b
            at_other *= kappa if second == 1 else b
            outcomes.append((at_x, at_other))
    outcomes.sort(key=lambda pair: pair[0] / pair[1], reverse=True)
    for p in (Fraction(1, 3), Fraction(1, 2), Fraction(9, 10), Fraction(1)):
        left, reached = p, Fraction(0)
        for at_x, at_other in outcomes:
            taken = min(left, at_x)
            reached += at_other * taken / at_x
            left -= taken
        assert surviving(kappa, others, 2, p) == reached


def test_flip_radius_is_the_last_threshold_below_p_lower() -> None:
    noise = UniformFlip(0.8, levels=2)
    for p, r in ((0.874, 0), (0.876, 1), (0.97, 2), (0.9922, 3), (0.99274, 3), (0.99276, 4)):
        assert lee(noise, two_class(p), SHAPE) == float(r)
    assert lee(noise, two_class(0.5), SHAPE) is None
    assert lee(noise, two_class(0.85), SHAPE) == 0.0
    assert lee(noise, ClassBounds(0, 0.85, 0.05), SHAPE) == 1.0


@pytest.mark.parametrize(("kappa", "levels"), [(Fraction(3, 5), 3), (Fraction(1, 4), 5)])
def test_flips_of_channels_by_enumeration(kappa: Fraction, levels: int) -> None:
    """All outcomes of two pixels of two channels: what keeps a set of probability p in both channels of one pixel."""
    others = levels - 1

    def chance(outcome: tuple[int, ...], x: tuple[int, ...]) -> Fraction:
        terms = (kappa if a == b else (1 - kappa) / others for a, b in zip(outcome, x, strict=True))
        return math.prod(terms, start=Fraction(1))

    x, other = (0, 0, 0, 0), (1, 0, 1, 0)
    masses = [(chance(z, x), chance(z, other)) for z in product(range(levels), repeat=4)]
    assert sum(at_x for at_x, _ in masses) == 1
    masses.sort(key=lambda pair: pair[1] / pair[0])
    for p in (Fraction(1, 2), Fraction(4, 5), Fraction(19, 20)):
        left, reached = p, Fraction(0)
        for at_x, at_other in masses:
            taken = min(left, at_x)
            reached += at_other * taken / at_x
            left -= taken
        assert surviving(kappa, others, 2, p) == reached


def test_a_radius_in_channels_is_one_in_pixels() -> None:
    noise, flips = ChannelFlip(0.8, levels=2), UniformFlip(0.8, levels=2)
    for p in (0.5, 0.85, 0.874, 0.97, 0.9922, 0.99276, 0.99999):
        bounds = two_class(p)
        # A grey image has one channel a pixel.
        assert lee_channels(noise, bounds, (1, 8, 8)) == lee(flips, bounds, (1, 8, 8))
        whole, colour = channel_radius(noise, bounds, 3 * 64), lee_channels(noise, bounds, (3, 8, 8))
        assert colour == (None if whole is None else whole // 3)
    assert channel_radius(noise, two_class(0.97), 192) == 2
    assert lee_channels(noise, two_class(0.97), (3, 8, 8)) == 0.0, "two channels are no pixel of three"
    assert channel_radius(ChannelFlip(0.51, 2), two_class(1 - 1e-16), 10**6) == 64
    assert channel_radius(ChannelFlip(0.51, 2), two_class(1 - 1e-16), 5) == 5


def test_channels_are_flipped_apart() -> None:
    """Chi-square over the 27 colours of 3 levels and 3 channels; failure rate 1e-4, fixed seed."""
    noise, kept = ChannelFlip(0.4, levels=3), (0, 2, 1)
    x = torch.tensor(kept).view(3, 1, 1) / 2
    steps = (noise.sample(x, draws(60_000, 3)) * 2).round().long().flatten(1)
    counts = np.bincount((steps * torch.tensor([1, 3, 9])).sum(1).numpy(), minlength=27)
    colours = [(code % 3, code // 3 % 3, code // 9) for code in range(27)]
    shares = [math.prod(0.4 if a == b else 0.3 for a, b in zip(colour, kept, strict=True)) for colour in colours]
    assert chisquare(counts, np.array(shares) * 60_000).pvalue > 1e-4
    assert noise.information((3, 4, 5), 3) == pytest.approx(UniformFlip(0.4, 3).information((1, 12, 5), 3))


def test_flip_radii_do_not_depend_on_the_dimension() -> None:
    assert lee(UniformFlip(0.2), two_class(0.99), (1, 224, 224)) == lee(UniformFlip(0.2), two_class(0.99), SHAPE) == 3.0


def test_flips_keep_pixels_with_probability_kappa_and_are_uniform_otherwise() -> None:
    """Chi-square over the 8 colours of 2 levels and 3 channels; failure rate 1e-4, fixed seed."""
    noise = UniformFlip(0.4, levels=2)
    x = torch.tensor([0.0, 1.0, 1.0]).view(3, 1, 1)
    noisy = noise.sample(x, draws(40_000, 3)).long().flatten(1)
    codes = (noisy * torch.tensor([1, 2, 4])).sum(1)
    counts = np.bincount(codes.numpy(), minlength=8)
    expected = [0.4 if code == 0 * 1 + 1 * 2 + 1 * 4 else 0.6 / 7 for code in range(8)]
    assert chisquare(counts, np.array(expected) * 40_000).pvalue > 1e-4


def test_flipped_pixels_stay_on_the_grid_and_never_keep_their_value_by_a_flip() -> None:
    noise = UniformFlip(0.3, levels=17)
    x = torch.randint(0, 17, SHAPE, generator=torch.Generator().manual_seed(1)) / 16
    noisy = noise.sample(x, draws(500, 3))
    assert torch.equal((noisy * 16).round(), noisy * 16)
    steps = noise.draw(x, draws(500, 3))
    assert torch.equal((noisy == x).flatten(1), steps == 0)
    assert float((steps == 0).double().mean()) == pytest.approx(0.3, abs=0.01)


def test_information_of_an_ablated_and_of_a_flipped_image() -> None:
    """Levine & Feizi 2020, equations 20 and 21: 116,168 and about 50,590.4 bits, with each channel as a pixel."""
    shape = (1, 3 * 224, 224)
    assert Ablation(14521).information(shape) == 116_168
    assert UniformFlip(0.1).information(shape) == pytest.approx(50_590.4, abs=0.05)
    assert Gaussian(0.5).information(shape) is None


def test_inputs_off_the_grid_are_refused() -> None:
    with pytest.raises(InputError, match="values must be multiples of 1/255"):
        UniformFlip(0.5).sample(torch.full(SHAPE, 0.5), draws(2, 3))
    with pytest.raises(UsageError, match="inputs on a grid in"):
        UniformFlip(0.5).check_inputs(SHAPE, 0.0, 255.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Laplace(0.0), "b is a positive number"),
        (lambda: Uniform(float("inf")), "half_width is a positive number"),
        (lambda: UniformFlip(1.0), "kappa is a probability"),
        (lambda: ChannelFlip(1.0), "kappa is a probability"),
        (lambda: ChannelFlip(0.5, levels=1), "levels is a whole number from 2"),
        (lambda: ChannelFlip(0.5, levels=2).check_inputs(SHAPE, 0.0, 1.0), "keeps a channel less often"),
        (lambda: ChannelFlip(0.5).check_inputs(SHAPE, 0.0, 255.0), "flips of channels are for inputs on a grid"),
        (lambda: UniformFlip(0.5, levels=1), "levels is a whole number from 2"),
        (lambda: UniformFlip(0.5, levels=2).check_inputs(SHAPE, 0.0, 1.0), "keeps a pixel less often"),
        (lambda: lee(UniformFlip(0.001), two_class(0.9), SHAPE), "keeps a pixel less often"),
    ],
)
def test_parameters_out_of_range_are_refused(make, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize(
    ("levels", "channels", "most"), [(256, 8, 7), (256, 1000, 7), (255, 8, 7), (17, 16, 15), (2, 64, 63), (3, 40, 39)]
)
def test_pixels_with_more_values_than_can_be_drawn_are_refused(levels: int, channels: int, most: int) -> None:
    """Every draw was rejected for ever: the last integer before the incomplete round was -1."""
    noise = UniformFlip(0.8, levels)
    shape = (channels, 5, 6)
    words = f"have {channels} channels of {levels} levels.*which is {most} channels"
    with pytest.raises(UsageError, match=words):
        noise.check_inputs(shape, 0.0, 1.0)
    with pytest.raises(UsageError, match=words):
        noise.sample(torch.zeros(shape), draws(2, 0))
    smoothed = hf.SmoothedClassifier(lambda z: z.flatten(1)[:, :2], noise, 2, batch_size=64)
    with pytest.raises(UsageError, match=words):
        smoothed.certify(torch.zeros(1, *shape), n=10, alpha=0.1)


@pytest.mark.parametrize(("levels", "channels"), [(256, 7), (17, 15), (2, 63), (3, 39)])
def test_pixels_with_as_many_values_as_can_be_drawn_have_all_of_them(levels: int, channels: int) -> None:
    noise = UniformFlip(0.01, levels)
    x = torch.zeros(channels, 4, 4)
    noise.check_inputs(tuple(x.shape), 0.0, 1.0)
    noisy = noise.sample(x, draws(64, 0))
    # Each channel is 0 once in `levels` times: also the last one, the highest digit of the step.
    zero = (noisy == 0).double().mean(dim=(0, 2, 3))
    deviation = (1 / levels * (1 - 1 / levels) / (64 * 16)) ** 0.5
    assert (zero - (0.99 / levels + 0.01)).abs().max() < 6 * deviation + 0.02
    assert noisy.min() >= 0.0
    assert noisy.max() <= 1.0


@pytest.mark.parametrize("noise", [UniformFlip(0.8, 17), hf.LatticeGaussian(0.5, 17)], ids=str)
@pytest.mark.parametrize("batch_size", [7, 64])
def test_a_value_off_the_grid_is_named_with_its_example(noise: Noise, batch_size: int) -> None:
    x = torch.full((3, 1, 4, 4), 0.5)
    x[1, 0, 2, 2] = 0.51
    smoothed = hf.SmoothedClassifier(lambda z: z.flatten(1)[:, :2], noise, 2, batch_size=batch_size)
    with pytest.raises(InputError, match=r"example 8: values must be multiples of 1/16, got 0\.51; scale the data"):
        smoothed.certify(x, n=100, alpha=0.1, indices=[9, 8, 7])


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 4, 5), (20,)])
def test_information_counts_all_channels_of_a_pixel(shape: tuple[int, ...]) -> None:
    """By definition: the entropy of one noisy pixel, minus that of the noise alone."""
    noise = UniformFlip(0.3, levels=4)
    values = 4 ** (shape[0] if len(shape) == 3 else 1)
    each = np.full(values, 0.7 / (values - 1))
    each[0] = 0.3
    assert noise.information(shape, levels=4) == pytest.approx(20 * (np.log2(values) + (each * np.log2(each)).sum()))
    assert Ablation(7).information(shape, levels=4) == 7 * np.log2(values)
