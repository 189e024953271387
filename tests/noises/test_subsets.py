"""Sets of places: exactly k different ones, every set equally likely, by each way of finding them."""

from collections import Counter
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
import torch
from noise_cases import draws
from scipy.stats import chisquare

from holdfast.noises import subsets
from holdfast.noises.ablation import Ablation
from holdfast.noises.draws import Draws
from holdfast.noises.subsets import draws_for, random_subsets

WAYS = [subsets._on_processor, subsets._elsewhere]


def check_uniform(sets, size: int, k: int) -> None:
    """Chi-square over all sets; the failure rate of each check is 1e-4, and its seed is fixed."""
    seen = Counter(tuple(sorted(row)) for row in np.asarray(sets).tolist())
    assert set(seen) == set(combinations(range(size), k))
    assert chisquare(list(seen.values())).pvalue > 1e-4


@pytest.mark.parametrize(("size", "k"), [(6, 3), (7, 2), (7, 5), (5, 4), (20, 1), (12, 3)])
def test_every_set_of_k_places_is_equally_likely(size: int, k: int) -> None:
    check_uniform(random_subsets(torch.zeros(1), draws(40_000, 5), size, k), size, k)


def test_ablation_draws_such_sets_of_its_pixels() -> None:
    check_uniform(Ablation(3).draw(torch.zeros(3, 2, 3), draws(40_000, 7)), 6, 3)


@pytest.mark.parametrize(("size", "k"), [(784, 45), (784, 700), (64, 32), (50_000, 40), (300, 299), (4, 4), (3, 9)])
def test_places_are_different_in_range_and_as_many_as_asked_for(size: int, k: int) -> None:
    places = random_subsets(torch.zeros(1), draws(64), size, k).sort(dim=1).values
    assert places.shape == (64, min(k, size))
    assert places.dtype == torch.int64
    assert int(places.min()) >= 0
    assert int(places.max()) < size
    assert bool((places.diff(dim=1) > 0).all())


def test_every_place_is_kept_equally_often_among_many() -> None:
    places = random_subsets(torch.zeros(1), draws(20_000, 3), 784, 45)
    # Places of one set exclude each other, which only makes the counts more even.
    assert chisquare(np.bincount(places.flatten(), minlength=784)).pvalue > 1e-4
    assert chisquare(np.bincount(places[:, 0], minlength=784)).pvalue > 1e-4


def few_bits(monkeypatch: pytest.MonkeyPatch, bits: int) -> None:
    """Words of a few bits, which are unfair and repeat often, in the place of 32."""
    whole = Draws.words
    monkeypatch.setattr(subsets, "_BITS", bits)
    monkeypatch.setattr(subsets, "_WORD", 2**bits)
    monkeypatch.setattr(Draws, "words", lambda *arguments: whole(*arguments) & (2**bits - 1))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("size", "k"), [(5, 2), (6, 3), (4, 2), (7, 1)])
def test_rows_that_are_unfair_or_not_enough_are_drawn_anew(
    monkeypatch: pytest.MonkeyPatch, way: Any, size: int, k: int
) -> None:
    """With words of 3 bits and as few of them as possible most rows fail; the choice stays uniform."""
    monkeypatch.setattr(subsets, "draws_for", lambda size, k: k + 1)
    few_bits(monkeypatch, 3)
    check_uniform(way(torch.zeros(1), draws(3_000, 2), size, k, leave_out=False), size, k)


def test_both_ways_draw_the_same_sets_when_rows_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subsets, "draws_for", lambda size, k: k + 1)
    few_bits(monkeypatch, 3)
    first, second = (way(torch.zeros(1), draws(300, 4), 6, 3, leave_out=True) for way in WAYS)
    assert torch.equal(first.sort(dim=1).values, second)


def test_fair_words_are_equally_many_for_each_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly, over all words of 8 bits; rows of two words, of which the second is fair."""
    monkeypatch.setattr(subsets, "_BITS", 8)
    monkeypatch.setattr(subsets, "_WORD", 256)
    for size in (3, 64, 100, 255):
        words = np.stack([np.arange(256), np.full(256, 255)], axis=1).astype(np.uint32)
        _, enough = subsets._first_different(words, size, 1)
        places = np.arange(256)[enough] * size >> 8
        assert (np.bincount(places, minlength=size) == 256 // size).all()
        assert len(places) == 256 - 256 % size


@pytest.mark.parametrize("way", [subsets._first_different, subsets._first_different_elsewhere])
def test_sets_are_a_symmetric_function_of_the_words(monkeypatch: pytest.MonkeyPatch, way: Any) -> None:
    """Every row of 4 words of 4 places, once each: all 6 sets of 2 occur equally often, exactly."""
    rows = np.array([row for row in product(range(4), repeat=4) if len(set(row)) > 1])
    monkeypatch.setattr(subsets, "draws_for", lambda size, k: 4)
    monkeypatch.setattr(subsets, "_BITS", 2)
    monkeypatch.setattr(subsets, "_WORD", 4)
    words = rows.astype(np.uint32) if way is subsets._first_different else torch.from_numpy(rows).int()
    found, enough = way(words, 4, 2)
    assert bool(enough.all())
    seen = Counter(tuple(sorted(row)) for row in found.tolist())
    assert set(seen.values()) == {len(rows) // 6}


def test_rows_are_rarely_too_short() -> None:
    rng = np.random.default_rng(0)
    for size, k in ((784, 45), (64, 16), (64, 32), (1024, 75), (10, 5), (1000, 1)):
        rows = np.sort(rng.integers(0, size, (4000, draws_for(size, k))), axis=1)
        different = 1 + (np.diff(rows, axis=1) > 0).sum(axis=1)
        assert (different < k).sum() <= 40
        assert draws_for(size, k) <= 2 * k + 8
