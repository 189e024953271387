"""Augmentation: every shift and mirror image, with the expected frequency, and nothing else."""

import pytest
import torch

from holdfast.errors import UsageError
from holdfast.training.augment import augment
from holdfast.training.config import TrainConfig


def one_pixel(batch: int) -> torch.Tensor:
    """Images of 5 x 5 with two channels and one pixel that is not zero, away from the middle column."""
    x = torch.zeros(batch, 2, 5, 5)
    x[:, 0, 2, 1] = 1.0
    x[:, 1, 2, 1] = 0.5
    return x


def test_a_crop_moves_each_image_by_every_shift_alike() -> None:
    moved = augment(one_pixel(9000), TrainConfig(crop=1), torch.Generator().manual_seed(1))
    assert moved.shape == (9000, 2, 5, 5)
    assert torch.equal(moved[:, 1], 0.5 * moved[:, 0]), "channels move together"
    counts = moved[:, 0].sum(0)
    assert counts.sum() == 9000
    places = counts[1:4, 0:3]
    assert places.sum() == 9000
    # 9 places, 1,000 expected in each: five standard deviations of a binomial are 149.
    assert (places - 1000).abs().max() < 149


def test_what_leaves_the_image_is_gone_and_zeros_come_in() -> None:
    ones = torch.ones(200, 1, 5, 5)
    moved = augment(ones, TrainConfig(crop=2), torch.Generator().manual_seed(1))
    sizes = moved.sum((1, 2, 3)).unique().tolist()
    assert sizes == [9.0, 12.0, 15.0, 16.0, 20.0, 25.0]


def test_a_flip_mirrors_half_of_the_images() -> None:
    moved = augment(one_pixel(10000), TrainConfig(flip=True), torch.Generator().manual_seed(1))
    mirrored = moved[:, 0, 2, 3].sum()
    assert mirrored + moved[:, 0, 2, 1].sum() == 10000
    assert abs(mirrored - 5000) < 250


def test_without_augmentation_images_stay() -> None:
    x = one_pixel(3)
    assert augment(x, TrainConfig(), torch.Generator()) is x


@pytest.mark.parametrize(("name", "value"), [("crop", -1), ("crop", 1.5), ("ema", 1.0), ("ema", -0.1)])
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{name} .* got {value}"):
        TrainConfig(**{name: value})
