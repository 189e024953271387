"""Every noise has its stated size: its moments and its independence, measured on samples.

A noise that is 2% too small makes every certificate false, and nothing else need notice. Each noise of the table has
an entry in `MOMENTS`, or the first test fails.

A sample mean may be 6 standard errors off, which happens with a probability of 2e-9: all tests of a correct noise here
together fail by chance less often than 1 in 1,000,000 times, and the seeds are fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from noise_cases import draws
from scipy.stats import norm
from torch import Tensor

from holdfast.noises.ablation import Ablation
from holdfast.noises.base import Noise, noise_names
from holdfast.noises.blocks import Blocks
from holdfast.noises.channel_flip import ChannelFlip
from holdfast.noises.columns import Columns
from holdfast.noises.gaussian import Gaussian
from holdfast.noises.laplace import Laplace
from holdfast.noises.lattice_gaussian import LatticeGaussian
from holdfast.noises.partition import Partition
from holdfast.noises.splitting import Splitting
from holdfast.noises.uniform import Uniform
from holdfast.noises.uniform_flip import UniformFlip
from holdfast.noises.windows import Windows

STANDARD_ERRORS = 6.0
FEATURES, DRAWS = 32, 25_000
# As many values, for noises of images alone.
IMAGE = 1, 4, 8
# A multiple of 1/255 and of 1/15: on the grids of the noises below that have one.
VALUE = 0.2


@dataclass(frozen=True)
class Moment:
    """An expectation of independent values computed from samples.

    Attributes:
        name: in words.
        of: noisy inputs `(draws, *noisy event)` -> values, each independent of the others.
        mean: expectation of one value.
        deviation: its standard deviation.
    """

    name: str
    of: Callable[[Tensor], Tensor]
    mean: float
    deviation: float

    def errors(self, noisy: Tensor) -> float:
        """The error of a sample's mean, in standard errors."""
        values = self.of(noisy).double().flatten()
        return float(values.mean() - self.mean) / (self.deviation / math.sqrt(len(values)))


def share(name: str, hits: Callable[[Tensor], Tensor], p: float) -> Moment:
    """An event of probability `p`."""
    return Moment(name, hits, p, math.sqrt(p * (1 - p)))


def added(square: float, fourth: float, absolute: float) -> list[Moment]:
    """Moments of symmetric noise added to each value independently.

    Args:
        square: expectation of the square of one value.
        fourth: of its fourth power.
        absolute: of its absolute value.
    """

    def noise(noisy: Tensor) -> Tensor:
        return noisy.double() - VALUE

    def sums(noisy: Tensor) -> Tensor:
        return noise(noisy).sum(1).square() / noisy.shape[1]

    sum_of_fourth = 3 * square**2 + (fourth - 3 * square**2) / FEATURES
    return [
        Moment("mean", noise, 0.0, math.sqrt(square)),
        Moment("square", lambda noisy: noise(noisy).square(), square, math.sqrt(fourth - square**2)),
        Moment("absolute value", lambda noisy: noise(noisy).abs(), absolute, math.sqrt(square - absolute**2)),
        Moment("square of the sum over an input", sums, square, math.sqrt(sum_of_fourth - square**2)),
        Moment("product of neighbours", lambda noisy: noise(noisy)[:, ::2] * noise(noisy)[:, 1::2], 0.0, square),
        Moment("product of successive draws", lambda noisy: noise(noisy)[::2] * noise(noisy)[1::2], 0.0, square),
        Moment(
            "product of squares of neighbours",
            lambda noisy: (noise(noisy)[:, ::2] * noise(noisy)[:, 1::2]).square(),
            square**2,
            math.sqrt(fourth**2 - square**4),
        ),
    ]


def gaussian(noise: Gaussian) -> list[Moment]:
    sigma = noise.sigma
    return added(sigma**2, 3 * sigma**4, sigma * math.sqrt(2 / math.pi))


def lattice_gaussian(noise: LatticeGaussian) -> list[Moment]:
    """Sums over the steps, from the normal distribution and not from the thresholds of the sampler."""
    step = 1.0 / (noise.levels - 1)
    steps = np.arange(-12 * math.ceil(noise.sigma / step), 12 * math.ceil(noise.sigma / step) + 1)
    ends = norm.cdf((steps + 0.5) * step / noise.sigma), norm.cdf((steps - 0.5) * step / noise.sigma)
    masses = ends[0] - ends[1]
    powers = [float((masses * np.abs(steps * step) ** power).sum()) for power in (1, 2, 4)]
    return added(powers[1], powers[2], powers[0])


def laplace(noise: Laplace) -> list[Moment]:
    return added(2 * noise.b**2, 24 * noise.b**4, noise.b)


def uniform(noise: Uniform) -> list[Moment]:
    width = noise.half_width
    # Within 1% of an end: the noise reaches as far as it should, and no further.
    edges = share("near the ends", lambda noisy: (noisy - VALUE).abs() > 0.99 * width, 0.01)
    return [*added(width**2 / 3, width**4 / 5, width / 2), edges]


def uniform_flip(noise: UniformFlip | ChannelFlip) -> list[Moment]:
    """Pixels of one channel: frequencies of kept ones, of neighbours kept together, and of each other value."""
    kappa, others = noise.kappa, noise.levels - 1

    def kept(noisy: Tensor) -> Tensor:
        return (noisy - VALUE).abs() < 1e-4

    def became(noisy: Tensor, value: float) -> Tensor:
        return (noisy - value).abs() < 1e-4

    low_half = (noise.levels // 2) / others - 1e-4
    below = sum(value / others < low_half for value in range(noise.levels)) - (low_half > VALUE)
    return [
        share("kept", kept, kappa),
        share("both neighbours kept", lambda noisy: kept(noisy)[:, ::2] & kept(noisy)[:, 1::2], kappa**2),
        share("kept twice in a row", lambda noisy: kept(noisy)[::2] & kept(noisy)[1::2], kappa**2),
        share("0", lambda noisy: became(noisy, 0.0), (1 - kappa) / others),
        share("1", lambda noisy: became(noisy, 1.0), (1 - kappa) / others),
        share(
            "another value below the middle",
            lambda noisy: ~kept(noisy) & (noisy < low_half),
            (1 - kappa) * below / others,
        ),
    ]


def visible(noisy: Tensor) -> Tensor:
    """Which pixels are kept, `(draws, pixels)`, in the encoding with complements."""
    return noisy.sum(1) > 0.5


def ablation(noise: Ablation) -> list[Moment]:
    k, d = noise.k, FEATURES
    pair = k * (k - 1) / (d * (d - 1))

    def kept(*pixels: int) -> Callable[[Tensor], Tensor]:
        return lambda noisy: visible(noisy)[:, list(pixels)].all(1)

    return [
        *(share(f"pixel {pixel} kept", kept(pixel), k / d) for pixel in (0, 7, d - 1)),
        share("two neighbours kept", kept(3, 4), pair),
        share("first and last kept", kept(0, d - 1), pair),
        share("kept twice in a row", lambda noisy: visible(noisy)[::2, 5] & visible(noisy)[1::2, 5], (k / d) ** 2),
    ]


def partition(noise: Partition) -> list[Moment]:
    count = math.ceil(FEATURES / noise.k)
    blocks = torch.from_numpy(noise.blocks((FEATURES,)))

    def shown(noisy: Tensor, block: int) -> Tensor:
        return (visible(noisy) == (blocks == block)).all(1)

    return [
        *(share(f"block {block}", lambda noisy, at=block: shown(noisy, at), 1 / count) for block in range(count)),
        share("twice in a row", lambda noisy: shown(noisy[::2], 0) & shown(noisy[1::2], 0), 1 / count**2),
    ]


def splitting(noise: Splitting) -> list[Moment]:
    """Each offset, by the cuts themselves, in half steps: one in each cell, which is as wide as the noise is meant."""
    last = noise.levels - 1
    width = 2 * math.floor(2 * noise.half_width * last + 1e-6)
    here, shifts = round(2 * VALUE * last), noise.shifts((FEATURES,))

    def middles(offset: int) -> Tensor:
        first = [2 * ((offset + shift) % (width // 2)) + 1 for shift in shifts.tolist()]
        cuts = [[cut + width * cell for cell in range(-2, 2 * last)] for cut in first]
        ends = [
            (max(0, *(c for c in each if c < here)), min(2 * last, *(c for c in each if c > here))) for each in cuts
        ]
        return torch.tensor([(low + high) / (4 * last) for low, high in ends])

    def met(noisy: Tensor, offset: int) -> Tensor:
        return (noisy - middles(offset)).abs().amax(1) < 1e-5

    count = width // 2
    return [
        *(share(f"offset {each}", lambda noisy, at=each: met(noisy, at), 1 / count) for each in range(count)),
        share("twice in a row", lambda noisy: met(noisy[::2], 1) & met(noisy[1::2], 1), 1 / count**2),
    ]


def windows(noise: Windows) -> list[Moment]:
    """Each position alike, and a window that goes on at the opposite edge."""
    rows, columns = IMAGE[1:]
    height, width = noise.window(IMAGE)
    down, right = noise.positions(IMAGE)

    def met(noisy: Tensor, place: int) -> Tensor:
        mask = torch.zeros(rows, columns, dtype=torch.bool)
        for i, j in product(range(height), range(width)):
            mask[(place // right + i) % rows, (place % right + j) % columns] = True
        return (visible(noisy) == mask).flatten(1).all(1)

    count = down * right
    return [
        *(share(f"position {each}", lambda noisy, at=each: met(noisy, at), 1 / count) for each in range(count)),
        share("twice in a row", lambda noisy: met(noisy[::2], 1) & met(noisy[1::2], 1), 1 / count**2),
    ]


MOMENTS: dict[str, Callable[[Any], list[Moment]]] = {
    "ablation": ablation,
    "blocks": windows,
    "channel-flip": uniform_flip,
    "columns": windows,
    "gaussian": gaussian,
    "laplace": laplace,
    "lattice-gaussian": lattice_gaussian,
    "partition": partition,
    "splitting": splitting,
    "uniform": uniform,
    "uniform-flip": uniform_flip,
}

# For each noise, others that the test must reject: a parameter off by 2%, or by one pixel, or another pattern.
CASES: dict[Noise, list[Noise]] = {
    Gaussian(0.25): [Gaussian(0.245), Gaussian(0.255)],
    Gaussian(2.0): [Gaussian(1.96), Gaussian(2.04)],
    LatticeGaussian(0.25): [LatticeGaussian(0.245), LatticeGaussian(0.255)],
    LatticeGaussian(0.05, 16): [LatticeGaussian(0.049, 16), LatticeGaussian(0.051, 16)],
    Laplace(0.3): [Laplace(0.294), Laplace(0.306)],
    Uniform(0.5): [Uniform(0.49), Uniform(0.51)],
    UniformFlip(0.5): [UniformFlip(0.49), UniformFlip(0.51)],
    UniformFlip(0.8, 16): [UniformFlip(0.784, 16), UniformFlip(0.816, 16), UniformFlip(0.8, 256)],
    ChannelFlip(0.5): [ChannelFlip(0.49), ChannelFlip(0.51)],
    Ablation(5): [Ablation(4), Ablation(6)],
    Ablation(27): [Ablation(26), Ablation(28)],
    Partition(4): [Partition(5)],
    Partition(3, "random"): [Partition(3)],
    Columns(3): [Columns(2), Columns(4), Blocks(3)],
    Blocks(2): [Blocks(1), Blocks(3), Columns(2)],
    Splitting(0.25, 16): [Splitting(0.28, 16), Splitting(0.2, 16), Splitting(0.25, 16, shift=1)],
    Splitting(0.05, 256, shift=5): [Splitting(0.049, 256, shift=5), Splitting(0.051, 256, shift=5)],
}
WRONG = [(noise, wrong) for noise, several in CASES.items() for wrong in several]


def sampled(noise: Noise) -> Tensor:
    shape = IMAGE if isinstance(noise, Windows) else (FEATURES,)
    return noise.sample(torch.full(shape, VALUE), draws(DRAWS, 20))


def test_every_noise_has_moments_and_a_wrong_one() -> None:
    assert set(MOMENTS) == set(noise_names())
    assert {noise.name for noise in CASES} == set(noise_names())
    assert all(CASES.values())


@pytest.mark.parametrize("noise", CASES, ids=str)
def test_samples_have_the_moments_of_the_noise(noise: Noise) -> None:
    noisy = sampled(noise)
    off = {moment.name: moment.errors(noisy) for moment in MOMENTS[noise.name](noise)}
    assert {name: errors for name, errors in off.items() if abs(errors) > STANDARD_ERRORS} == {}


@pytest.mark.parametrize(("noise", "wrong"), WRONG, ids=str)
def test_a_noise_that_is_a_little_off_is_seen(noise: Noise, wrong: Noise) -> None:
    """Twice the error that may occur by chance, so that the test above fails in any case."""
    noisy = sampled(wrong)
    assert max(abs(moment.errors(noisy)) for moment in MOMENTS[noise.name](noise)) > 2 * STANDARD_ERRORS
