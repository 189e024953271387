"""What every noise must do, for each noise in the table."""

from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
import torch
from noise_cases import draws, others

from holdfast.errors import UsageError
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import (
    Noise,
    find_guarantee,
    guarantees_of,
    noise_from_dict,
    noise_names,
    pixel_count,
)
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
from holdfast.types import ClassBounds

CASES = [
    (Gaussian(0.25), (1, 8, 8)),
    (Gaussian(0.5), (3, 5, 7)),
    (Gaussian(1.0), (11,)),
    (Ablation(5), (1, 8, 8)),
    (Ablation(35), (3, 5, 7)),
    (Ablation(4), (11,)),
    (Ablation(5, null="mean", fill=(0.1, 0.2, 0.3)), (3, 5, 7)),
    (Ablation(5, null="mean", fill=(0.5,)), (11,)),
    (Partition(5), (1, 8, 8)),
    (Partition(4, pattern="random"), (3, 5, 7)),
    (Partition(5, decision="runoff"), (1, 8, 8)),
    (Partition(3, null="mean", fill=(0.5,)), (11,)),
    (Columns(4), (1, 8, 8)),
    (Columns(6), (3, 5, 7)),
    (Columns(2, null="mean", fill=(0.1, 0.2, 0.3)), (3, 5, 7)),
    (Blocks(1), (1, 8, 8)),
    (Blocks(4), (3, 5, 7)),
    (Splitting(0.5), (1, 8, 8)),
    (Splitting(0.25, shift=3), (3, 5, 7)),
    (Splitting(3.0), (11,)),
    (Laplace(0.3), (1, 8, 8)),
    (LatticeGaussian(0.25), (1, 8, 8)),
    (LatticeGaussian(0.5), (3, 5, 7)),
    (LatticeGaussian(1.0), (11,)),
    (Uniform(0.5), (3, 5, 7)),
    (UniformFlip(0.5), (1, 8, 8)),
    (UniformFlip(0.5), (3, 5, 7)),
    (UniformFlip(0.8), (11,)),
    (ChannelFlip(0.5), (1, 8, 8)),
    (ChannelFlip(0.5), (3, 5, 7)),
    (ChannelFlip(0.8), (11,)),
]
CASES += [(noise, (1, 8, 8)) for noise in others(noise for noise, _ in CASES)]


def some_input(*shape: int) -> torch.Tensor:
    """An 8-bit input in [0, 1]."""
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1)) / 255


def test_every_noise_has_an_example() -> None:
    assert {noise.name for noise in others([])} == {noise.name for noise, _ in CASES} == set(noise_names())


@pytest.mark.parametrize(("noise", "shape"), CASES, ids=str)
def test_sample_has_the_promised_shape_and_leaves_the_input_alone(noise: Noise, shape: tuple[int, ...]) -> None:
    x = some_input(*shape)
    before = x.clone()
    noisy = noise.sample(x, draws(6))
    assert noisy.shape == (6, *noise.noisy_shape(shape))
    assert noisy.dtype == x.dtype
    assert torch.equal(x, before)


@pytest.mark.parametrize(("noise", "shape"), CASES, ids=str)
def test_the_draws_are_the_only_source_of_randomness(noise: Noise, shape: tuple[int, ...]) -> None:
    x = some_input(*shape)
    assert torch.equal(noise.sample(x, draws(4, 3)), noise.sample(x, draws(4, 3)))
    if noise != Ablation(35):
        assert not torch.equal(noise.sample(x, draws(4, 3)), noise.sample(x, draws(4, 4)))


@pytest.mark.parametrize(("noise", "shape"), CASES, ids=str)
@pytest.mark.parametrize("num", [1, 6, 64])
def test_samples_are_the_same_written_in_place(noise: Noise, shape: tuple[int, ...], num: int) -> None:
    x = some_input(*shape)
    before = x.clone()
    noisy = torch.full((num, *noise.noisy_shape(shape)), float("nan"))
    noise.sample_into(noisy, x, draws(num, 3))
    assert torch.equal(noisy, noise.sample(x, draws(num, 3)))
    assert torch.equal(noisy, noise.apply(x.unsqueeze(0), noise.draw(x, draws(num, 3))))
    assert torch.equal(x, before)


@pytest.mark.parametrize(("noise", "shape"), CASES, ids=str)
def test_draws_do_not_depend_on_the_input_values(noise: Noise, shape: tuple[int, ...]) -> None:
    zeros, others = torch.zeros(shape), some_input(*shape)
    assert torch.equal(noise.draw(zeros, draws(4, 3)), noise.draw(others, draws(4, 3)))


@pytest.mark.parametrize(("noise", "shape"), CASES, ids=str)
def test_one_draw_for_a_batch_is_shared_by_all_its_inputs(noise: Noise, shape: tuple[int, ...]) -> None:
    x = some_input(3, *shape)
    draw = noise.draw(x[0], draws(1))
    together = noise.apply(x, draw)
    for row in range(3):
        assert torch.equal(together[row], noise.apply(x[row : row + 1], draw)[0])


@pytest.mark.parametrize(("noise", "shape"), CASES, ids=str)
def test_dictionaries_and_back(noise: Noise, shape: tuple[int, ...]) -> None:
    assert noise_from_dict(noise.to_dict()) == noise
    assert str(noise).startswith(noise.name + ":")


@pytest.mark.parametrize(("noise", "shape"), CASES, ids=str)
def test_frozen(noise: Noise, shape: tuple[int, ...]) -> None:
    name = fields(noise)[0].name  # type: ignore[arg-type]
    with pytest.raises(FrozenInstanceError):
        setattr(noise, name, 3)


@pytest.mark.parametrize(("noise", "shape"), [case for case in CASES if len(case[1]) == 3], ids=str)
def test_pictures_are_bytes_in_colour(noise: Noise, shape: tuple[int, ...]) -> None:
    noisy = noise.sample(some_input(*shape), draws(1))[0].numpy()
    picture = noise.render(noisy)
    assert picture.shape == (*shape[1:], 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize(("noise", "shape"), CASES, ids=str)
def test_guarantees_grow_with_the_bounds_and_abstain_without_a_majority(noise: Noise, shape: tuple[int, ...]) -> None:
    theorem = find_guarantee(noise)
    assert theorem in guarantees_of(noise)
    assert theorem.radius(noise, ClassBounds(0, 0.5, 0.5), shape) is None
    assert theorem.radius(noise, ClassBounds(0, 0.3, 0.7), shape) is None
    # Of a run-off, shares alone say nothing.
    bounds = [ClassBounds(0, p, 1 - p, replaced=int(10 * p) - 5 if noise.runoff else None) for p in (0.51, 0.7, 0.9, 1)]
    radii = [theorem.radius(noise, each, shape) for each in bounds]
    assert all(radius is not None and radius >= 0.0 for radius in radii)
    assert radii == sorted(radii, key=lambda radius: radius or 0.0)


def test_unknown_names_and_parameters_are_refused_with_what_is_known() -> None:
    with pytest.raises(
        UsageError,
        match=r"'laplacian'; known are ablation, blocks, channel-flip, columns, gaussian, laplace, lattice-gaussian, ",
    ):
        noise_from_dict({"name": "laplacian"})
    with pytest.raises(UsageError, match=r"no parameter 'sigm'; it takes sigma"):
        noise_from_dict({"name": "gaussian", "sigm": 1})
    with pytest.raises(UsageError, match=r"needs the parameter 'k', as in ablation:k=VALUE"):
        noise_from_dict({"name": "ablation"})
    with pytest.raises(UsageError, match=r"no guarantee 'wong'; it has cohen, lecuyer, li, cohen_linf"):
        find_guarantee(Gaussian(1.0), "wong")


def test_two_noises_of_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="two noises are named 'gaussian'"):
        type("Other", (Noise,), {"name": "gaussian"})


@pytest.mark.parametrize("shape", [(), (0,), (1, 0, 3), (2, 3, 0, 4)])
def test_shapes_that_are_no_inputs_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="inputs have the shape"):
        pixel_count(shape)
