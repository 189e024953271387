"""Bands of columns and blocks: which windows a patch meets, exact radii, and every patch on small images."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from noise_cases import draws

import holdfast as hf
from holdfast.attacks.distances import patch_side
from holdfast.errors import UsageError
from holdfast.estimators import Exact
from holdfast.noises.base import find_guarantee
from holdfast.noises.blocks import Blocks
from holdfast.noises.columns import Columns
from holdfast.noises.masking import MaskingNoise
from holdfast.noises.windows import Windows
from holdfast.types import ClassBounds, Counts, Norm
from holdfast.verification.manifest import Manifest
from holdfast.verification.pixels import realizations, touched
from holdfast.verification.rules import Claim, Votes, rule_of

SHAPES = [(1, 5, 7), (3, 6, 4), (1, 1, 6), (2, 6, 1), (1, 4, 4)]
NOISES = [Columns(1), Columns(2), Columns(3), Columns(4), Blocks(1), Blocks(2), Blocks(3), Blocks(4)]


def fits(noise: Windows, shape: tuple[int, ...]) -> bool:
    return all(size <= length for size, length in zip(noise.window(shape), shape[1:], strict=True))


FITTING = [(noise, shape) for noise in NOISES for shape in SHAPES if fits(noise, shape)]


def masks(noise: Windows, shape: tuple[int, ...]) -> torch.Tensor:
    """Which pixels each window shows, `(windows, height, width)`."""
    count = noise.realizations(shape)
    places = noise.enumerate(torch.zeros(shape), 0, count)
    shown = torch.zeros(count, shape[1] * shape[2], dtype=torch.bool).scatter_(1, places, value=True)
    return shown.view(count, *shape[1:])


def patch(shape: tuple[int, ...], row: int, column: int, height: int, width: int) -> torch.Tensor:
    """A rectangle of pixels, which goes on at the opposite edge, `(height, width)`."""
    found = torch.zeros(shape[1:], dtype=torch.bool)
    down, right = (torch.arange(height) + row) % shape[1], (torch.arange(width) + column) % shape[2]
    found[down[:, None], right] = True
    return found


@pytest.mark.parametrize(("noise", "shape"), FITTING, ids=str)
def test_every_pixel_is_in_as_many_windows_as_a_window_has_places_for_it(
    noise: Windows, shape: tuple[int, ...]
) -> None:
    shown = masks(noise, shape)
    assert len(shown) == (shape[2] if isinstance(noise, Columns) else shape[1] * shape[2])
    assert len(shown) == realizations(noise.to_dict(), shape)
    if isinstance(noise, Columns):
        assert bool((shown.sum((1, 2)) == noise.width * shape[1]).all())
        assert bool((shown.sum(0) == noise.width).all())
        for begin in range(shape[2]):
            expected = {(begin + step) % shape[2] for step in range(noise.width)}
            assert set(shown[begin].any(0).nonzero().flatten().tolist()) == expected
    if isinstance(noise, Blocks):
        assert bool((shown.sum((1, 2)) == noise.size**2).all())
        assert bool((shown.sum(0) == noise.size**2).all())
        assert torch.equal(shown[0], patch(shape, 0, 0, noise.size, noise.size))
        assert torch.equal(shown[-1], patch(shape, shape[1] - 1, shape[2] - 1, noise.size, noise.size))


@pytest.mark.parametrize(("noise", "shape"), FITTING, ids=str)
def test_no_patch_meets_more_windows_than_are_counted(noise: Windows, shape: tuple[int, ...]) -> None:
    """Every square, at every place, also beyond the edges; smaller rectangles in it; by both versions of the count."""
    shown = masks(noise, shape)
    for side in range(max(shape[1:]) + 2):
        worst = 0
        for row, column in product(range(shape[1]), range(shape[2])):
            for height, width in [(side, side), (max(0, side - 1), side), (side, max(0, side - 1))]:
                here = patch(shape, row, column, height, width)
                met = int((shown & here).flatten(1).any(1).sum())
                assert met <= noise.met(side, shape)
                worst = max(worst, met)
        assert worst == noise.met(side, shape) == touched(side, noise.to_dict(), shape)


def test_the_published_counts() -> None:
    """Levine & Feizi 2020: m + s - 1 bands and (m + s - 1)^2 blocks, as long as the image is larger."""
    assert [Columns(4).met(side, (3, 32, 32)) for side in (1, 5, 8, 28, 29, 30)] == [4, 8, 11, 31, 32, 32]
    assert [Blocks(12).met(side, (3, 32, 32)) for side in (1, 5, 20, 21, 22)] == [144, 256, 961, 1024, 1024]
    assert Columns(25).met(42, (3, 224, 224)) == 66
    assert Blocks(5).met(10, (1, 8, 100)) == 8 * 14


@pytest.mark.parametrize(
    ("noise", "shape"),
    [(Columns(1), (1, 2, 9)), (Columns(2), (1, 3, 9)), (Blocks(1), (1, 3, 3)), (Blocks(1), (1, 1, 9))],
    ids=str,
)
def test_radius_is_the_formula_for_every_vote_vector_and_verify_agrees(noise: Windows, shape: tuple[int, ...]) -> None:
    rule, theorem = Exact(9), find_guarantee(noise)
    described = {"name": "exact", "n": 9}
    manifest = Manifest(
        "certify", noise.to_dict(), noise.name, described, 0, shape, 3, range(1), 1, None, "0" * 64
    )  # fmt: skip
    checked, sides = rule_of(manifest), set()
    assert theorem.norm is Norm.PATCH
    for votes in product(range(10), repeat=3):
        if sum(votes) != 9:
            continue
        counts = Counts(votes)
        top = counts.top
        radius = theorem.radius(noise, rule.bounds(top, counts), shape)
        holds = [
            side
            for side in range(10)
            if all(votes[top] >= votes[c] + (c < top) + 2 * noise.met(side, shape) for c in range(3) if c != top)
        ]
        assert radius == max(holds)
        assert holds == list(range(len(holds)))
        sides.add(radius)
        assert checked.complaints(Votes((0, 0, 0), votes), Claim(0, top, radius)) == []
        for other in (radius + 1, radius + 1e-9, radius - 1):
            assert checked.complaints(Votes((0, 0, 0), votes), Claim(0, top, other))
        # One more: there are votes of the windows that such a patch meets with which a rival wins.
        if radius < max(shape[1:]):
            met = noise.met(int(radius) + 1, shape)
            moved = min(met, votes[top])
            lost = [
                Counts(tuple(votes[c] - moved * (c == top) + moved * (c == rival) for c in range(3))).top
                for rival in range(3)
                if rival != top
            ]
            assert any(label != top for label in lost)
    assert len(sides) >= 2


@pytest.mark.parametrize(
    ("noise", "shape"),
    [
        (Columns(1), (1, 2, 6)),
        (Columns(2), (1, 2, 6)),
        (Columns(1), (1, 3, 4)),
        (Blocks(1), (1, 3, 4)),
        (Blocks(2), (1, 3, 4)),
        (Blocks(1), (1, 2, 6)),
        (Columns(2, null="mean", fill=(0.5,)), (1, 2, 6)),
    ],
    ids=str,
)
def test_no_patch_within_an_exact_radius_changes_the_answer(noise: MaskingNoise, shape: tuple[int, ...]) -> None:
    """All images with values 0 and 1 and all changes of them, under base classifiers that are random tables."""
    pixels, classes, certified, lost = shape[1] * shape[2], 3, 0, 0
    images = torch.tensor(list(product([0.0, 1.0], repeat=pixels))).view(-1, *shape)
    # The side of a change depends on which pixels differ: those of a number in binary.
    sides = np.array([patch_side(images[0], image) for image in images])
    numbers = np.arange(2**pixels)
    generator = torch.Generator().manual_seed(0)
    inputs = int(np.prod(noise.noisy_shape(shape)))
    for roughness in (1.0, 3.0):
        first = torch.randn(inputs, 24, generator=generator) * roughness
        head = torch.randn(24, classes, generator=generator)
        head[:, 0] += 0.4 * torch.randn(24, generator=generator)
        bias = torch.tensor([4.0, 0.0, 0.0]) / roughness

        def f(
            z: torch.Tensor, first: torch.Tensor = first, head: torch.Tensor = head, bias: torch.Tensor = bias
        ) -> torch.Tensor:
            return torch.tanh(z.flatten(1) @ first) @ head + bias

        found = hf.SmoothedClassifier(f, noise, classes, batch_size=8192).certify_exactly(images)
        labels = np.array([-1 if each.label is None else each.label for each in found])
        radii = np.array([each.radius for each in found])
        assert all(each.alpha == 0.0 and each.norm is Norm.PATCH for each in found)
        for number in np.flatnonzero(radii > 0):
            size = sides[numbers ^ number]
            assert bool((labels[size <= radii[number]] == labels[number]).all())
            lost += bool((labels[size == radii[number] + 1] != labels[number]).any())
        certified += int((radii > 0).sum())
    assert certified > 100
    assert lost > 0 or isinstance(noise, Blocks), "a patch that is larger by one is too much for some"


def test_windows_are_drawn_evenly() -> None:
    noise, x = Blocks(2), torch.zeros(1, 4, 6)
    places = noise.draw(x, draws(48_000, 1))
    begins = np.bincount(places[:, 0].numpy(), minlength=24)
    # 2,000 of each: 6 deviations.
    assert bool((np.abs(begins - 2_000) < 6 * 2_000**0.5).all())
    assert torch.equal(noise.draw(x, draws(48_000, 1)[5:9]), places[5:9])


def test_sampling_windows_is_sound_too() -> None:
    noise, theorem = Columns(2), find_guarantee(Columns(2))
    # 0.605 of 100 bands is at least 61, 0.305 at most 30: ahead by 31, one less for a lost tie: 15 bands.
    assert theorem.radius(noise, ClassBounds(0, 0.605, 0.305), (1, 8, 100)) == 14.0
    assert theorem.radius(noise, ClassBounds(0, 0.51, 0.49), (1, 8, 100)) == 0.0
    assert theorem.radius(noise, ClassBounds(0, 0.5, 0.5), (1, 8, 100)) is None


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Columns(0), "the width of a band is a whole number of pixels"),
        (lambda: Columns(2.0), "the width of a band is a whole number of pixels"),
        (lambda: Blocks(-1), "the size of a block is a whole number of pixels"),
        (lambda: Columns(4, null="nothing"), "null is"),
        (lambda: Columns(9).check_inputs((1, 8, 8), 0.0, 1.0), "keeps 8 x 9 pixels, more than the 8 x 8"),
        (lambda: Blocks(7).check_inputs((1, 6, 8), 0.0, 1.0), "keeps 7 x 7 pixels, more than the 6 x 8"),
        (lambda: Columns(2).check_inputs((64,), 0.0, 1.0), "patches of images"),
        (lambda: Columns(2).realizations((64,)), "patches of images"),
        (lambda: Blocks(2).realizations((1, 2, 3, 4)), "patches of images"),
        (lambda: Columns(2).check_inputs((1, 8, 8), 0.0, 255.0), "inputs must lie in"),
    ],
)
def test_what_cannot_be_smoothed_is_refused(make: object, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        make()  # type: ignore[operator]


def test_the_side_of_a_change_is_that_of_the_smallest_square_around_it() -> None:
    """Against every square at every place, on random changes of an image with three channels."""
    shape, random = (3, 5, 7), np.random.default_rng(0)
    for density in (0.0, 0.02, 0.05, 0.1, 0.3, 1.0):
        for _ in range(20):
            changed = torch.from_numpy(random.random(shape) < density)
            x = torch.rand(shape)
            other = torch.where(changed, x + 1.0, x)
            smallest = next(
                side
                for side in range(8)
                if any(
                    not bool((changed.any(0) & ~patch(shape, row, column, side, side)).any())
                    for row, column in product(range(5), range(7))
                )
            )
            assert patch_side(x, other) == smallest
    assert patch_side(torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)) == 0
    with pytest.raises(UsageError, match="patches are of images"):
        patch_side(torch.zeros(4), torch.ones(4))
