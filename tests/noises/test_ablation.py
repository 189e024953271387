"""Levine & Feizi: Delta in exact arithmetic, the thresholds of their Figure 2, the sampler and the encodings."""

from collections import Counter
from fractions import Fraction
from itertools import combinations
from math import comb

import pytest
import torch
from noise_cases import draws

from holdfast.errors import UsageError
from holdfast.noises.ablation import Ablation, delta, levine
from holdfast.noises.base import NOISES
from holdfast.types import ClassBounds

MNIST = (1, 28, 28)


@pytest.mark.parametrize(
    ("d", "k", "rho", "smallest_p"), [(784, 45, 8, 0.8782), (1024, 75, 7, 0.9138), (50176, 1000, 16, 0.7754)]
)
def test_delta_against_the_oracles(d: int, k: int, rho: int, smallest_p: float) -> None:
    assert float(delta(d, k, rho)) + 0.5 == pytest.approx(smallest_p, abs=5e-5)


@pytest.mark.parametrize(("d", "k"), [(784, 45), (784, 5), (64, 16), (10, 10), (10, 1)])
def test_delta_is_the_ratio_of_binomial_coefficients(d: int, k: int) -> None:
    """Theorem 1, equation 4; Figure 2 is d = 784."""
    for rho in range(min(d, 40) + 1):
        assert delta(d, k, rho) == 1 - Fraction(comb(d - rho, k), comb(d, k))


def test_delta_by_enumeration() -> None:
    d, k, rho = 9, 4, 3
    met = sum(bool(set(kept) & set(range(rho))) for kept in combinations(range(d), k))
    assert delta(d, k, rho) == Fraction(met, comb(d, k))


@pytest.mark.parametrize(("d", "k", "rho"), [(10, 0, 1), (10, 11, 1), (10, 5, -1), (10, 5, 11)])
def test_delta_out_of_range_is_refused(d: int, k: int, rho: int) -> None:
    with pytest.raises(UsageError, match="Delta needs"):
        delta(d, k, rho)


@pytest.mark.parametrize(("k", "shape"), [(45, MNIST), (5, MNIST), (784, MNIST), (75, (3, 32, 32)), (3, (10,))])
def test_radius_is_the_last_rho_whose_delta_fits(k: int, shape: tuple[int, ...]) -> None:
    d = shape[0] if len(shape) == 1 else shape[1] * shape[2]
    for p_lower in (0.500001, 0.6, 0.75, 0.9, 0.99, 1.0):
        radius = levine(Ablation(k), ClassBounds(0, p_lower, 1 - p_lower), shape)
        assert radius is not None
        rho = int(radius)
        assert Fraction(p_lower) - delta(d, k, rho) > Fraction(1, 2)
        assert rho == d or Fraction(p_lower) - delta(d, k, rho + 1) <= Fraction(1, 2)


def test_radius_at_the_threshold_itself_is_not_certified() -> None:
    """Corollary 1 needs more than 1/2; d = 4, k = 2 makes p_lower - Delta(1) = 1/2 exactly representable."""
    assert delta(4, 2, 1) == Fraction(1, 2)
    assert levine(Ablation(2), ClassBounds(0, 1.0, 0.0), (4,)) == 0.0
    assert levine(Ablation(1), ClassBounds(0, 0.75, 0.25), (4,)) == 0.0
    assert levine(Ablation(1), ClassBounds(0, 0.7500000000000001, 0.2499999), (4,)) == 1.0


def test_masks_keep_exactly_k_pixels_and_all_channels_together() -> None:
    x = torch.rand(3, 6, 5)
    noisy = Ablation(7).sample(x, draws(200, 0))
    kept = (noisy[:, :3] + noisy[:, 3:]).round()
    assert torch.equal(kept.amax(1), kept.amin(1))
    assert (kept[:, 0].sum((1, 2)) == 7).all()


def test_null_is_a_pair_of_zeros_distinct_from_every_colour() -> None:
    x = torch.tensor([[[0.0, 0.5, 1.0, 0.25]]])
    everything = Ablation(4).sample(x, draws(1, 0))[0]
    assert everything.tolist() == [[[0.0, 0.5, 1.0, 0.25]], [[1.0, 0.5, 0.0, 0.75]]]
    one = Ablation(1).sample(x, draws(1, 0))[0]
    assert int((one.sum(0) == 1).sum()) == 1
    assert int((one.sum(0) == 0).sum()) == 3


def test_colour_channels_come_before_their_complements() -> None:
    """Levine & Feizi 2020: (red, green, blue, 1 - red, 1 - green, 1 - blue)."""
    x = torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)
    noisy = Ablation(1).sample(x, draws(1, 0))[0].flatten()
    assert torch.allclose(noisy, torch.tensor([0.1, 0.2, 0.3, 0.9, 0.8, 0.7]))


def test_mean_encoding_puts_the_fill_value_of_each_channel() -> None:
    noise = Ablation(1, null="mean").fitted((0.1, 0.2, 0.3))
    noisy = noise.sample(torch.ones(3, 2, 2), draws(1, 0))[0]
    for channel, fill in enumerate((0.1, 0.2, 0.3)):
        values = noisy[channel].flatten().tolist()
        assert sorted(values)[:3] == pytest.approx([fill] * 3)
        assert max(values) == 1.0


MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_normalized_encoding_is_that_of_the_normalized_image() -> None:
    """Levine & Feizi 2020, footnote 1: each channel gets mean 0 and deviation 1, then it is doubled, then ablated."""
    noise, x = Ablation(9, null="normalized").fitted(MEAN, DEVIATION), torch.rand(4, 3, 6, 5)
    noise.check_inputs((3, 6, 5), 0.0, 1.0)
    assert noise.noisy_shape((3, 6, 5)) == (6, 6, 5)
    places = noise.draw(x[0], draws(4, 0))
    mean, deviation = (torch.tensor(each).view(1, 3, 1, 1) for each in (MEAN, DEVIATION))
    normalized = (x - mean) / deviation
    expected = torch.cat([normalized, 1.0 - normalized], dim=1)
    kept = torch.zeros(4, 30).scatter(1, places, 1.0).view(4, 1, 6, 5).bool()
    assert torch.equal(noise.apply(x, places), torch.where(kept, expected, 0.0))
    # NULL is still distinct, though no longer as far from every colour.
    sums = noise.apply(x, places).view(4, 2, 3, 30).sum(1)
    assert torch.allclose(sums.sum(2), torch.full((4, 3), 9.0), atol=1e-4)


def test_normalized_encoding_from_a_spec_and_back() -> None:
    noise = Ablation(9, null="normalized").fitted(MEAN, DEVIATION)
    assert NOISES.from_spec(str(noise)) == noise == NOISES.from_dict({**noise.to_dict(), "fill": [*MEAN, *DEVIATION]})
    assert noise.fitted((0.5,), (0.5,)) == noise, "what is fitted stays"
    assert Ablation(9).fitted(MEAN, DEVIATION) == Ablation(9)


@pytest.mark.parametrize("k", [0, -3, 2.5, "7", True])
def test_k_out_of_range_is_refused(k: int) -> None:
    with pytest.raises(UsageError, match="retention constant k is a whole number"):
        Ablation(k)


def test_settings_that_cannot_be_right_are_refused() -> None:
    with pytest.raises(UsageError, match="null is 'multichannel', 'normalized' or 'mean'"):
        Ablation(3, null="zero")
    with pytest.raises(UsageError, match="fill belongs to null='mean' and null='normalized'"):
        Ablation(3, fill=(0.5,))
    with pytest.raises(UsageError, match="k = 65 pixels cannot be kept of the 64"):
        Ablation(65).check_inputs((1, 8, 8), 0.0, 1.0)
    with pytest.raises(UsageError, match=r"must lie in \[0, 1\]"):
        Ablation(3).check_inputs((1, 8, 8), 0.0, 255.0)
    with pytest.raises(UsageError, match="one fill value for each of the 3 channels"):
        Ablation(3, null="mean").check_inputs((3, 8, 8), 0.0, 1.0)
    for fill in (None, (0.5,) * 3, (0.5,) * 7, (0.5, 0.5, 0.5, 0.2, 0.0, 0.2)):
        with pytest.raises(UsageError, match="a mean and then a deviation above 0 as fill for each of the 3 channels"):
            Ablation(3, null="normalized", fill=fill).check_inputs((3, 8, 8), 0.0, 1.0)


def test_pictures_of_normalized_images_have_the_colours_of_the_image() -> None:
    noise, x = Ablation(3, null="normalized").fitted(MEAN, DEVIATION), torch.rand(3, 4, 4)
    noisy = noise.sample(x, draws(1, 0))[0].numpy()
    picture = noise.render(noisy)
    kept = (noisy != 0).any(0)
    colours = (x.permute(1, 2, 0).numpy() * 255).round()
    assert kept.sum() == 3
    assert abs(picture[kept] - colours[kept]).max() <= 1
    assert (picture[~kept] == Ablation(3).render(0 * noisy)[0, 0]).all()
    assert noise.legend


def test_pictures_show_null_in_a_colour_of_its_own() -> None:
    noise = Ablation(2)
    noisy = noise.sample(torch.zeros(1, 4, 4), draws(1, 0))[0].numpy()
    picture = noise.render(noisy)
    colours = Counter(tuple(pixel) for pixel in picture.reshape(-1, 3).tolist())
    assert colours[(0, 0, 0)] == 2
    assert max(colours.values()) == 14


@pytest.mark.parametrize(("p_lower", "p_upper"), [(0.6, 0.1), (0.45, 0.2), (0.95, 0.01), (0.8, 0.2)])
def test_multi_class_radius_is_corollary_2(p_lower: float, p_upper: float) -> None:
    radius = levine(Ablation(45), ClassBounds(0, p_lower, p_upper), MNIST)
    assert radius is not None
    gap = Fraction(p_lower) - Fraction(p_upper)
    assert gap > 2 * delta(784, 45, int(radius))
    assert gap <= 2 * delta(784, 45, int(radius) + 1)


def test_corollary_1_is_corollary_2_with_the_rest_as_the_rival() -> None:
    for p_lower in (0.51, 0.7, 0.8782, 0.99):
        first = max(rho for rho in range(30) if Fraction(p_lower) - delta(784, 45, rho) > Fraction(1, 2))
        assert levine(Ablation(45), ClassBounds(0, p_lower, 1 - p_lower), MNIST) == first
