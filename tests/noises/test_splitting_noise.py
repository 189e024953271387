"""Splitting noise: cells, the Lipschitz property itself, exact radii against every adversary, and published radii."""

from __future__ import annotations

import math
from fractions import Fraction
from hashlib import shake_256
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from noise_cases import draws
from scipy.stats import chisquare

import holdfast as hf
from holdfast.errors import InputError, UsageError
from holdfast.estimators import Exact
from holdfast.noises import subsets
from holdfast.noises.base import find_guarantee
from holdfast.noises.splitting import Splitting
from holdfast.types import ClassBounds, Counts
from holdfast.verification.manifest import Manifest
from holdfast.verification.pixels import offsets
from holdfast.verification.rules import Claim, Votes, rule_of


def of_width(steps: int, levels: int, shift: int = 0) -> Splitting:
    """Noise whose cells are so many steps wide."""
    noise = Splitting(steps / (2 * (levels - 1)), levels, shift)
    assert noise.offsets == steps
    return noise


def everywhere(noise: Splitting, x: torch.Tensor) -> torch.Tensor:
    """The noisy inputs of all offsets, `(offsets, *event)`."""
    return noise.apply(x.unsqueeze(0), noise.enumerate(x, 0, noise.offsets))


def middle(noise: Splitting, offset: int, shift: int, step: int) -> Fraction:
    """The middle of the cell of a value, by looking for the cuts around it."""
    q, last = noise.offsets, noise.levels - 1
    cut = Fraction(2 * ((offset + shift) % q) + 1, 2)
    while cut > step:
        cut -= q
    while cut + q < step:
        cut += q
    return (max(cut, Fraction(0)) + min(cut + q, Fraction(last))) / 2 / last


@pytest.mark.parametrize(("steps", "levels"), [(2, 5), (3, 17), (16, 17), (29, 17), (441, 256), (5, 2), (100, 65536)])
def test_a_value_becomes_the_middle_of_its_cell(steps: int, levels: int) -> None:
    noise, random = of_width(steps, levels, 7), np.random.default_rng(0)
    values = np.concatenate([[0, levels - 1], random.integers(0, levels, 13)])
    x = torch.from_numpy(values / (levels - 1)).float().view(3, 5, 1)
    noisy, shifts = everywhere(noise, x).flatten(1), noise.shifts((3, 5, 1)).ravel().tolist()
    for offset in range(noise.offsets):
        exact = [middle(noise, offset, shift, step) for shift, step in zip(shifts, values.tolist(), strict=True)]
        # One rounding, that of the last division: what is left of a value is its cell, and nothing else.
        assert noisy[offset].tolist() == [float(np.float32(float(value))) for value in exact]


def test_middles_are_exact_with_the_widest_cells_and_the_finest_grid() -> None:
    noise = of_width(2**17, 65536, 3)
    x = torch.tensor([0.0, 1.0, 0.25, 40_000 / 65535])
    x[2] = 16_384 / 65535
    chosen = torch.tensor([0, 1, 2**16, 2**17 - 1, 70_000, 12_345])
    noisy, shifts = noise.apply(x.unsqueeze(0), chosen), noise.shifts((4,)).tolist()
    for row, offset in zip(noisy.tolist(), chosen.tolist(), strict=True):
        steps = [0, 65535, 16_384, 40_000]
        exact = [middle(noise, offset, shift, step) for shift, step in zip(shifts, steps, strict=True)]
        assert row == [float(np.float32(float(value))) for value in exact]


def told_apart(noise: Splitting, x: torch.Tensor, other: torch.Tensor) -> int:
    """The number of offsets whose noisy inputs differ."""
    return int((everywhere(noise, x) != everywhere(noise, other)).flatten(1).any(1).sum())


@pytest.mark.parametrize("steps", [2, 3, 4, 6, 7])
@pytest.mark.parametrize("shift", [0, 1])
def test_no_more_offsets_tell_two_inputs_apart_than_steps_lie_between_them(steps: int, shift: int) -> None:
    """All pairs of inputs with three values of five levels."""
    noise = of_width(steps, 5, shift)
    grid = torch.tensor(list(product(range(5), repeat=3)))
    noisy = noise.apply((grid / 4).repeat_interleave(steps, 0), torch.arange(steps).repeat(len(grid)))
    noisy = noisy.view(len(grid), steps, 3)
    apart = (noisy[:, None] != noisy[None]).any(3).sum(2)
    distances = (grid[:, None] - grid[None]).abs().sum(2)
    assert bool((apart <= distances).all())
    # One step is always seen, by exactly one offset; and far inputs by all.
    assert bool((apart[distances == 1] == 1).all())
    assert int(apart.max()) == steps or steps > 4


@pytest.mark.parametrize(("half_width", "levels"), [(0.5, 256), (3**0.5 / 2, 256), (0.1, 256), (1.0, 17)])
def test_the_share_of_offsets_is_at_most_the_distance_over_the_width_of_a_cell(half_width: float, levels: int) -> None:
    noise, random = Splitting(half_width, levels), np.random.default_rng(4)
    width, most = Fraction(noise.offsets, levels - 1), 0.0
    assert width <= 2 * Fraction(half_width) + Fraction(1, 10**9)
    for size in (1, 2, 5, 30, 200):
        start = random.integers(0, levels, 48)
        other, left = start.copy(), size
        for place in random.permutation(48):
            moved = int(np.clip(start[place] + random.integers(-left, left + 1), 0, levels - 1))
            left -= abs(moved - int(start[place]))
            other[place] = moved
        x, y = (torch.from_numpy(each / (levels - 1)).float() for each in (start, other))
        distance = Fraction(int(np.abs(start - other).sum()), levels - 1)
        share = Fraction(told_apart(noise, x, y), noise.offsets)
        assert share <= distance / width
        most = max(most, float(share / (distance / width)) if distance else 0.0)
    assert most > 0.5, "the bound is nearly met by some of them"


def test_one_value_is_told_apart_by_exactly_as_many_offsets_as_steps() -> None:
    noise, x = of_width(100, 256), torch.zeros(1)
    found = [told_apart(noise, x, torch.full((1,), step / 255)) for step in (0, 1, 50, 99, 100, 101, 255)]
    assert found == [0, 1, 50, 99, 100, 100, 100]


def test_no_change_within_an_exact_radius_changes_the_answer() -> None:
    """All inputs with three values of six levels, all changes, under base classifiers that are rough tables."""
    noise, classes, certified, lost = of_width(8, 6, 2), 3, 0, 0
    grid = torch.tensor(list(product(range(6), repeat=3)))
    distances = (grid[:, None] - grid[None]).abs().sum(2)
    generator = torch.Generator().manual_seed(0)
    for roughness in (1.0, 2.0, 4.0, 8.0, 16.0):
        first = torch.randn(3, 16, generator=generator) * roughness
        head = torch.randn(16, classes, generator=generator)

        def f(z: torch.Tensor, first: torch.Tensor = first, head: torch.Tensor = head) -> torch.Tensor:
            return torch.sin(z @ first) @ head

        found = hf.SmoothedClassifier(f, noise, classes, batch_size=4096).certify_exactly(grid / 5)
        labels = torch.tensor([-1 if each.label is None else each.label for each in found])
        steps = torch.tensor([round(each.radius * 5) for each in found])
        assert all(each.alpha == 0.0 for each in found)
        assert all(each.radius <= Fraction(round(each.radius * 5), 5) for each in found)
        inside = distances <= steps[:, None]
        assert bool((labels[None] == labels[:, None])[inside].all())
        certified += int((steps > 0).sum())
        lost += int(((labels[None] != labels[:, None]) & (distances == steps[:, None] + 1)).any(1).sum())
    assert certified > 300
    assert lost > 20, "one step more is too much for some"


def test_offsets_are_drawn_evenly_and_in_parts_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    noise, x = of_width(51, 256), torch.zeros(3, 2, 2)
    found = noise.draw(x, draws(51_000, 6))
    # Failure rate 1e-4, fixed seed.
    counts = np.bincount(found.numpy(), minlength=51)
    assert (len(counts), chisquare(counts).pvalue > 1e-4) == (51, True)
    pairs = np.bincount((found[:-1:2] * 51 + found[1::2]).numpy(), minlength=51 * 51)
    assert chisquare(pairs).pvalue > 1e-4
    monkeypatch.setattr(subsets, "_TABLE", 1000)
    assert torch.equal(noise.draw(x, draws(2_000, 6)), found[:2_000])
    assert noise.enumerate(x, 3, 9).tolist() == [3, 4, 5, 6, 7, 8]
    assert noise.realizations((3, 2, 2)) == 51


def test_the_shifts_are_the_same_everywhere() -> None:
    """They are part of the smoothed classifier, and so of the format."""
    words = shake_256(b"holdfast splitting 5").digest(8 * 12)
    expected = [int.from_bytes(words[8 * i : 8 * i + 8], "little") % 441 for i in range(12)]
    noise = Splitting(3**0.5 / 2, shift=5)
    assert noise.shifts((3, 2, 2)).ravel().tolist() == expected
    assert noise.shifts((4,)).tolist() == expected[:4], "they do not depend on the shape"
    assert Splitting(3**0.5 / 2, shift=6).shifts((12,)).tolist() != expected


@pytest.mark.parametrize(
    ("half_width", "levels", "expected"),
    # sqrt(3) times .5 and 3 are published as 441 and 2,650 offsets.
    [(3**0.5 * 0.5, 256, 441), (3**0.5 * 3, 256, 2650), (0.3, 256, 153), (0.1, 256, 51), (1, 17, 32), (0.999, 17, 31)],
)
def test_the_number_of_offsets(half_width: float, levels: int, expected: int) -> None:
    noise = Splitting(half_width, levels)
    assert noise.offsets == offsets(noise.to_dict()) == expected


def test_cells_of_whole_steps_are_not_lost_by_rounding() -> None:
    for levels in (17, 256, 1000):
        for steps in range(2, 600):
            noise = Splitting(steps / 2 / (levels - 1), levels)
            assert noise.offsets == offsets(noise.to_dict()) == steps


def manifest(noise: Splitting, shape: tuple[int, ...], classes: int) -> Manifest:
    described = {"name": "exact", "n": noise.offsets}
    return Manifest("certify", noise.to_dict(), "splitting", described, 0, shape, classes, range(1), 1, None, "0" * 64)


@pytest.mark.parametrize("sigma", [0.5, 3.0])
def test_all_published_radii_follow_from_their_votes(data_folder: Path, sigma: float) -> None:
    """CIFAR-10, 10,000 images each (github.com/alevine0/smoothingSplittingNoise); by both versions of the theorem."""
    path = data_folder.parent / "published" / "dssn_cifar10.npz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    published, key = np.load(path), f"s{sigma}".replace(".", "_")
    noise, shape = Splitting(math.sqrt(3) * sigma), (3, 32, 32)
    votes, radii = published[f"{key}_counts"].tolist(), published[f"{key}_radius_255ths"].tolist()
    assert noise.offsets == int(published[f"{key}_realizations"])
    assert len(votes) == len(radii) == 10_000
    estimator, theorem, rule = Exact(noise.offsets), find_guarantee(noise), rule_of(manifest(noise, shape, 10))
    for each, steps in zip(votes, radii, strict=True):
        counts = Counts(tuple(each))
        radius = theorem.radius(noise, estimator.bounds(counts.top, counts), shape)
        assert radius is not None
        assert Fraction(radius) <= Fraction(steps, 255) < Fraction(math.nextafter(radius, math.inf)) or (
            Fraction(radius) == Fraction(steps, 255)
        )
        claim = Claim(0, counts.top, radius)
        assert rule.complaints(Votes((0,) * 10, tuple(each)), claim) == []


def test_radius_is_the_formula_for_every_vote_vector_and_verify_agrees() -> None:
    noise, shape = of_width(9, 4), (2,)
    rule, theorem, checked = Exact(9), find_guarantee(noise), rule_of(manifest(noise, shape, 3))
    for votes in product(range(10), repeat=3):
        if sum(votes) != 9:
            continue
        counts = Counts(votes)
        top = counts.top
        radius = theorem.radius(noise, rule.bounds(top, counts), shape)
        steps = min((votes[top] - votes[c] - (c < top)) // 2 for c in range(3) if c != top)
        assert radius is not None
        assert Fraction(radius) <= Fraction(steps, 3) < Fraction(radius) + Fraction(1, 10**15)
        assert checked.complaints(Votes((0, 0, 0), votes), Claim(0, top, radius)) == []
        for other in (radius + 1 / 3, math.nextafter(radius, 2), radius - 1e-9):
            assert checked.complaints(Votes((0, 0, 0), votes), Claim(0, top, other))


def test_sampled_radii_are_whole_steps_and_no_more_than_there_can_be() -> None:
    noise, theorem = of_width(100, 256), find_guarantee(Splitting(0.5))
    # 0.605 of 100 offsets is at least 61, 0.305 at most 30: ahead by 31, one less for a lost tie.
    assert theorem.radius(noise, ClassBounds(0, 0.605, 0.305), (3, 8, 8)) == 15 / 255
    assert theorem.radius(noise, ClassBounds(0, 0.505, 0.495), (3, 8, 8)) == 0.0
    assert theorem.radius(noise, ClassBounds(0, 0.5, 0.5), (3, 8, 8)) is None
    assert theorem.radius(of_width(100, 2), ClassBounds(0, 1.0, 0.0), (3,)) == 3.0


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Splitting(0.0), "half_width is a positive number"),
        (lambda: Splitting(0.5, levels=1), "levels is a whole number from 2"),
        (lambda: Splitting(0.5, levels=256.0), "levels is a whole number from 2"),
        (lambda: Splitting(0.5, shift=-1), "shift is a whole number from 0"),
        (lambda: Splitting(0.5, shift=2**32), "shift is a whole number from 0"),
        (lambda: Splitting(0.003), "makes 1 steps of 1/255"),
        (lambda: Splitting(300.0), "is 2 to 131,072 steps of the grid"),
        (lambda: Splitting(0.5).check_inputs((1, 8, 8), 0.0, 255.0), r"inputs on a grid in \[0, 1\]"),
        (lambda: Splitting(0.5).check_inputs((2, 0), 0.0, 1.0), "inputs have the shape"),
    ],
)
def test_what_cannot_be_split_is_refused(make: object, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        make()  # type: ignore[operator]


def test_inputs_off_the_grid_are_refused() -> None:
    with pytest.raises(InputError, match="multiples of 1/255"):
        Splitting(0.5).sample(torch.full((1, 4, 4), 0.5), draws(2))
