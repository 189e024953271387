"""Every noise on a card: keyed, the same in parts as in one, and of the same distribution as on a processor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from noise_cases import others
from on_cuda import CUDA, ON_CUDA
from scipy.stats import ks_2samp

from holdfast.noises.base import Noise
from holdfast.sampling.rng import BLOCK, Generators, Stream

pytestmark = ON_CUDA

NOISES = others([])
SHAPE = (1, 8, 8)
# A correct sampler is called wrong with about this probability.
TEST_FAILS = 1e-6
BLOCKS = 8 if CUDA == "cpu" else 64


def image(device: str) -> torch.Tensor:
    values = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.float32) / 255
    return torch.from_numpy(values).to(device)


def fitted(noise: Noise) -> Noise:
    return noise.fitted((0.5,), (0.25,))


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_a_key_gives_the_same_draws_and_another_key_others(noise: Noise) -> None:
    x, keyed = image(CUDA), Generators(7, torch.device(CUDA))
    draws = [noise.draw(x, BLOCK, keyed.at(*key)).clone() for key in [(3, Stream.ESTIMATION, 5)] * 2]
    assert torch.equal(*draws)
    assert draws[0].device.type == torch.device(CUDA).type
    for key in ((4, Stream.ESTIMATION, 5), (3, Stream.SELECTION, 5), (3, Stream.ESTIMATION, 6), (3 + 2**64, 1, 5)):
        assert not torch.equal(draws[0], noise.draw(x, BLOCK, keyed.at(*key)))


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_a_block_has_the_same_copies_in_parts_in_place_and_as_one(noise: Noise) -> None:
    noise, x = fitted(noise), image(CUDA)
    keyed = Generators(1, torch.device(CUDA))
    whole = noise.sample(x, BLOCK, keyed.at(0, Stream.ESTIMATION, 0))
    parts = torch.cat(list(noise.draw_parts(x, BLOCK, keyed.at(0, Stream.ESTIMATION, 0))))
    assert torch.equal(noise.apply(x.unsqueeze(0), parts), whole)
    # In the middle of a batch, as the engine does: memory has another alignment there.
    batch = torch.full((BLOCK + 3, *noise.noisy_shape(SHAPE)), 7.0, device=CUDA)
    noise.sample_into(batch[1 : BLOCK + 1], x, keyed.at(0, Stream.ESTIMATION, 0))
    assert torch.equal(batch[1 : BLOCK + 1], whole)
    assert bool((batch[[0, BLOCK + 1, BLOCK + 2]] == 7.0).all())


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_noise_has_the_distribution_of_the_processors(noise: Noise) -> None:
    """The mean of each noisy copy, which depends on all of its values, in two samples of blocks."""
    noise = fitted(noise)
    found = []
    for seed, device in ((1, "cpu"), (2, CUDA)):
        x, keyed = image(device), Generators(seed, torch.device(device))
        blocks = [noise.sample(x, BLOCK, keyed.at(0, Stream.ESTIMATION, block)) for block in range(BLOCKS)]
        weights = torch.linspace(-1, 1, blocks[0][0].numel(), device=device)
        found.append((torch.cat(blocks).flatten(1) @ weights).double().cpu().numpy())
    assert ks_2samp(*found).pvalue > TEST_FAILS


def test_no_two_blocks_share_their_noise() -> None:
    """The key of a card is 63 bits of the keyed generator: blocks, examples and streams never meet."""
    keyed, x = Generators(0, torch.device(CUDA)), image(CUDA)
    first = [
        keyed.at(example, stream, block).initial_seed()
        for example in range(20)
        for stream in (Stream.SELECTION, Stream.ESTIMATION)
        for block in range(20)
    ]
    if CUDA != "cpu":
        assert len(set(first)) == len(first)
    noises = [torch.randn(4, generator=keyed.at(0, Stream.ESTIMATION, block), device=x.device) for block in range(99)]
    assert len({tuple(values.tolist()) for values in noises}) == len(noises)
