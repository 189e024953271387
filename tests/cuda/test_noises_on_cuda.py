"""Every noise on a card: that of the processor, the same in parts as in one, and of the same distribution."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from noise_cases import others
from on_cuda import CUDA, ON_CUDA
from scipy.stats import ks_2samp

from holdfast.noises.base import Noise
from holdfast.noises.card import checked
from holdfast.noises.draws import Draws, philox
from holdfast.noises.gaussian import Gaussian
from holdfast.noises.laplace import Laplace

pytestmark = ON_CUDA

NOISES = others([])
SHAPE = (1, 8, 8)
# A correct sampler is called wrong with about this probability.
TEST_FAILS = 1e-6
NUM = 70


def image(device: str) -> torch.Tensor:
    values = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.float32) / 255
    return torch.from_numpy(values).to(device)


def fitted(noise: Noise) -> Noise:
    return noise.fitted((0.5,), (0.25,))


@pytest.mark.skipif(CUDA == "cpu", reason="Triton's words are for cards")
def test_words_come_from_one_launch() -> None:
    """With torch's builds for CUDA, which bring Triton along, its words are right and nothing warns."""
    pytest.importorskip("triton", reason="Triton is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = checked(philox, torch.zeros(0, dtype=torch.int64, device=CUDA))
    assert found.__module__ == "holdfast.noises.card.triton_words"


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_the_noise_is_the_processors_and_another_key_gives_another(noise: Noise) -> None:
    """Integers bit for bit; normal and Laplace values up to the rounding of logarithms, sines and cosines."""
    noise = fitted(noise)
    drawn = noise.draw(image(CUDA), Draws(7, 3, 1, NUM))
    assert drawn.device.type == torch.device(CUDA).type
    expected = noise.draw(image("cpu"), Draws(7, 3, 1, NUM))
    if isinstance(noise, Gaussian | Laplace):
        scale = noise.sigma if isinstance(noise, Gaussian) else noise.b
        assert float((drawn.cpu() - expected).abs().max()) < 2e-6 * scale
    else:
        assert torch.equal(drawn.cpu(), expected)
    for key in ((7, 4, 1), (7, 3, 0), (8, 3, 1), (7, 3 + 2**64, 1)):
        assert not torch.equal(drawn, noise.draw(image(CUDA), Draws(*key, NUM)))


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_copies_are_the_same_in_parts_in_place_and_as_one(noise: Noise) -> None:
    noise, x, draws = fitted(noise), image(CUDA), Draws(1, 0, 1, NUM)
    whole = noise.sample(x, draws)
    parts = torch.cat([noise.sample(x, some) for some in draws.parts(7)])
    assert torch.equal(parts, whole)
    # In the middle of a batch, as the engine does: memory has another alignment there.
    batch = torch.full((NUM + 3, *noise.noisy_shape(SHAPE)), 7.0, device=CUDA)
    noise.sample_into(batch[1 : NUM + 1], x, draws)
    assert torch.equal(batch[1 : NUM + 1], whole)
    assert bool((batch[[0, NUM + 1, NUM + 2]] == 7.0).all())


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_noise_has_the_distribution_of_the_processors(noise: Noise) -> None:
    """The mean of each noisy copy, which depends on all of its values, in two samples."""
    noise = fitted(noise)
    found = []
    for seed, device in ((1, "cpu"), (2, CUDA)):
        noisy = noise.sample(image(device), Draws(seed, 0, 1, 512 if CUDA == "cpu" else 4096)).flatten(1)
        weights = torch.linspace(-1, 1, noisy.shape[1], device=device)
        found.append((noisy @ weights).double().cpu().numpy())
    assert ks_2samp(*found).pvalue > TEST_FAILS
