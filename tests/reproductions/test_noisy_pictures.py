"""The noisy copies of studies, and the pages that show them."""

from __future__ import annotations

import math
from dataclasses import replace

import made
import numpy as np
import pytest

from holdfast.data import DataSet
from holdfast.errors import UsageError
from holdfast.reproductions import find_study
from holdfast.reproductions.plans import Noising
from holdfast.workflows.study_copies import averaged, noised

SIZE = 40


@pytest.fixture(scope="module")
def data() -> DataSet:
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (SIZE, 3, 16, 16)).astype(np.uint8)
    return DataSet.from_arrays(images, np.arange(SIZE) % 10)


def job(noise: str | None = "gaussian:sigma=0.5", **changes: int) -> Noising:
    return replace(Noising("copies", noise, every=7, limit=4), **changes)


def test_which_images_are_shown_and_without_noise_they_are_themselves(data: DataSet) -> None:
    copies = noised(job(None), data)
    assert [each.index for each in copies] == [0, 7, 14, 21]
    assert [each.label for each in copies] == [data.class_names[index % 10] for index in (0, 7, 14, 21)]
    for each in copies:
        expected = np.rint(data[each.index].x.transpose(1, 2, 0) * 255)
        assert np.array_equal(each.picture, expected)
        assert (each.distance, each.outside, each.values) == (0.0, 0, 768)


def test_noise_is_that_of_the_name_and_the_same_each_time(data: DataSet) -> None:
    first, again = noised(job(), data), noised(job(), data)
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.picture, other.picture)
    squares = sum(each.distance**2 for each in noised(job(limit=40, every=1), data))
    # 30,720 values: the deviation is known to 0.4%.
    assert math.sqrt(squares / (SIZE * 768)) == pytest.approx(0.5, rel=0.025)
    assert all(0 < each.outside < each.values for each in first)


def test_only_sigma_makes_a_difference(data: DataSet) -> None:
    half, whole = noised(job(), data), noised(job("gaussian:sigma=1"), data)
    for one, other in zip(half, whole, strict=True):
        assert other.distance == pytest.approx(2 * one.distance, rel=1e-5)


def test_squares_are_averaged_before_or_after_the_noise(data: DataSet) -> None:
    image = data[0].x
    low = averaged(image, 4)
    assert low.shape == (3, 4, 4)
    assert low[1, 2, 3] == pytest.approx(image[1, 8:12, 12:16].mean(), abs=1e-6)
    many = {"every": 1, "limit": SIZE}
    for side in (2, 4):
        before, after = noised(job(before=side, **many), data), noised(job(after=side, **many), data)
        assert before[0].picture.shape == after[0].picture.shape == (16 // side, 16 // side, 3)
        values = sum(each.values for each in before)
        spread = [math.sqrt(sum(each.distance**2 for each in found) / values) for found in (before, after)]
        assert spread == pytest.approx([0.5, 0.5 / side], rel=0.1)


def test_what_cannot_be_shown_is_refused(data: DataSet) -> None:
    with pytest.raises(UsageError, match="squares of 3 x 3 pixels do not tile an image of 16 x 16"):
        noised(job(before=3), data)
    with pytest.raises(UsageError, match="changes the shape of an image"):
        noised(job("ablation:k=5"), data)
    features = DataSet.from_arrays(np.zeros((4, 9), np.float32), np.arange(4), low=0.0, high=1.0)
    with pytest.raises(UsageError, match=r"the inputs have the shape \(9,\)"):
        noised(job(), features)


@pytest.mark.parametrize("kind", ["cifar10", "imagenet"])
def test_cohen_noise_has_a_column_a_sigma_and_a_row_an_image(kind: str) -> None:
    study = find_study("cohen-noise")
    (gallery,) = study.page(made.finished(study, "small", kind)).pictures
    sigmas = ["sigma = 0", *(["sigma = 0.12"] if kind == "cifar10" else []), "sigma = 0.25", "sigma = 0.5", "sigma = 1"]
    assert list(gallery.columns) == sigmas
    assert len(gallery.strips) == 2


def test_cohen_noise_can_say_no() -> None:
    study = find_study("cohen-noise")
    done = made.finished(study, "small", "cifar10")
    assert [each.holds for each in study.page(done).statements] == [True]
    near = {
        name: tuple(replace(each, distance=0.1 * each.distance) for each in found) for name, found in done.noisy.items()
    }
    assert [each.holds for each in study.page(replace(done, noisy=near)).statements] == [False]


@pytest.mark.parametrize(("kind", "columns"), [("imagenet", (56, 112, 224)), ("cifar10", (8, 16, 32))])
def test_cohen_resolution_shows_three_sizes_and_can_say_no(kind: str, columns: tuple[int, ...]) -> None:
    study = find_study("cohen-resolution")
    done = made.finished(study, "small", kind)
    page = study.page(done)
    (gallery,) = page.pictures
    assert gallery.columns == tuple(f"{side} x {side}" for side in columns)
    assert len(gallery.strips) == 2 * 3
    assert [each.holds for each in page.statements] == [True, True]
    wrong = {
        name: tuple(replace(each, distance=1.2 * each.distance) for each in found) if "after" in name else found
        for name, found in done.noisy.items()
    }
    assert [each.holds for each in study.page(replace(done, noisy=wrong)).statements] == [True, False]


def test_cohen_prior_bounds_has_the_best_of_every_parameter() -> None:
    page = find_study("cohen-prior-bounds").page(made.Finished("small"))
    assert [each.holds for each in page.statements] == [True, True]
    for table in page.tables:
        for row in table.groups[0].rows:
            best, *others = [each.value for each in row.found if each is not None and each.value is not None]
            assert max(others) <= best * 1.001
