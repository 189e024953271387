"""Draws in parts equal those of one call, bit for bit: old runs can be drawn again, with any batch size."""

from __future__ import annotations

import math
import sys

import pytest
import torch
from noise_cases import others

from holdfast.noises import base
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import Noise
from holdfast.noises.gaussian import Gaussian
from holdfast.noises.laplace import Laplace
from holdfast.noises.lattice_gaussian import LatticeGaussian
from holdfast.noises.partition import Partition
from holdfast.noises.uniform import Uniform
from holdfast.noises.uniform_flip import UniformFlip
from holdfast.sampling.blocks import Blocks
from holdfast.sampling.rng import BLOCK, Stream, generator

# Noises that make large draws in small parts, which is optional.
IN_PARTS: list[Noise] = [
    Gaussian(0.5),
    Uniform(0.5),
    Laplace(0.3),
    LatticeGaussian(0.25),
    UniformFlip(0.5),
    Ablation(5),
    Partition(5),
]
NOISES = [*IN_PARTS, *others(IN_PARTS)]
# Multiples of 16, of 4, odd ones, and fewer than 16 values.
SHAPES = [(1, 8, 8), (3, 5, 7), (1, 6, 6), (11,), (3, 32, 32), (1, 27, 29)]
CPU = torch.device("cpu")
# By commit 8dc179a, for seed 7, example 3, estimation, block 0.
RECORDED: dict[Noise, tuple[float, float]] = {
    Gaussian(0.5): (0.17048153281211853, 0.5922641158103943),
    Uniform(0.5): (0.3295385241508484, 0.08387202024459839),
    Laplace(0.3): (0.007924064993858337, 1.013893723487854),
    LatticeGaussian(0.25): (0.3843137323856354, 0.9372549057006836),
    UniformFlip(0.5): (0.14509804546833038, 0.4431372582912445),
    Ablation(5): (0.14509804546833038, 0.46666663885116577),
    Partition(5): (1.0, 0.3529411554336548),
}


def some_input(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1)) / 255


def at(example: int, block: int = 0) -> torch.Generator:
    return generator(7, example, Stream.ESTIMATION, block, CPU)


@pytest.mark.parametrize("noise", NOISES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("num", [1, 5, BLOCK])
@pytest.mark.parametrize("rows", [1, 3, 17])
def test_parts_together_are_the_draws(
    noise: Noise, shape: tuple[int, ...], num: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = some_input(shape)
    monkeypatch.setattr(base, "_PART_BYTES", rows * x.numel() * x.element_size())
    source, other = at(3), at(3)
    parts = list(noise.draw_parts(x, num, source))
    assert torch.equal(torch.cat(parts), noise.draw(x, num, other))
    # The generator ends in the same state.
    assert torch.equal(source.get_state(), other.get_state())
    if num == BLOCK and rows < BLOCK and noise in IN_PARTS:
        # No generator needs more than 16 rows together.
        assert max(map(len, parts)) <= max(32, rows)


@pytest.mark.parametrize("noise", IN_PARTS, ids=str)
def test_large_draws_come_in_small_parts(noise: Noise) -> None:
    x = some_input((3, 256, 256))
    parts = [len(draws) for draws in noise.draw_parts(x, BLOCK, at(1))]
    assert sum(parts) == BLOCK
    assert max(parts) <= 2**22 // (4 * x.numel()) == 5


@pytest.mark.parametrize("noise", NOISES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rows", [1, 1000])
def test_copies_cut_from_blocks_are_those_of_whole_blocks(
    noise: Noise, shape: tuple[int, ...], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any pieces, in order, with one repeated, and two examples in turn."""
    x = some_input(shape)
    whole = {example: noise.sample(x, BLOCK, at(example)) for example in (1, 2)}
    monkeypatch.setattr(base, "_PART_BYTES", rows * x.numel() * x.element_size())
    blocks = Blocks(noise, 7, CPU)
    asked = [
        (1, 0, 1),
        (1, 1, 3),
        (1, 3, 40),
        (2, 0, 7),
        (1, 40, 41),
        (1, 20, 30),
        (2, 60, 64),
        (1, 41, 64),
        (2, 0, 64),
    ]
    for example, first, end in asked:
        noisy = torch.full((end - first, *noise.noisy_shape(shape)), math.nan)
        blocks.write(noisy, x, example, Stream.ESTIMATION, first)
        assert torch.equal(noisy, whole[example][first:end])


def test_laplace_noise_of_large_inputs_is_that_of_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    from holdfast.noises import laplace

    x = some_input((3, 129, 131))
    found = Laplace(0.3).draw(x, 7, at(1))
    monkeypatch.setattr(laplace, "_PIECE", 2**40)
    assert torch.equal(found, Laplace(0.3).draw(x, 7, at(1)))


@pytest.mark.parametrize(
    ("noise", "steps"),
    [(Laplace(0.3), "_PIECE"), (LatticeGaussian(0.25), "_SKIPPED"), (UniformFlip(0.5), "_SKIPPED")],
    ids=str,
)
@pytest.mark.parametrize("length", [1, 100, 783 * BLOCK // 4, 10**6])
def test_a_generator_that_goes_ahead_in_several_steps_comes_as_far(
    noise: Noise, steps: str, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for photographs: the steps are 2^18 numbers, shortened here for the test."""
    x, num = some_input((1, 27, 29)), 5 if length == 1 else BLOCK
    source, other = at(3), at(3)
    expected = noise.draw(x, num, other)
    monkeypatch.setattr(base, "_PART_BYTES", 3 * x.numel() * x.element_size())
    monkeypatch.setattr(sys.modules[type(noise).__module__], steps, length)
    assert torch.equal(torch.cat(list(noise.draw_parts(x, num, source))), expected)
    assert torch.equal(source.get_state(), other.get_state())


def test_values_drawn_by_the_version_before_parts_were() -> None:
    """First and last values of a block for each noise: stored runs were drawn with these."""
    x = some_input((3, 5, 7))
    for noise, (first, last) in RECORDED.items():
        noisy = noise.sample(x, BLOCK, at(3)).flatten()
        found = noisy[noisy.nonzero().flatten()]
        assert (float(found[0]), float(found[-1])) == (first, last), noise
