"""Sets of places: exactly k different ones, every set equally likely, by each way of drawing them."""

from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from holdfast.noises import subsets
from holdfast.noises.ablation import Ablation
from holdfast.noises.subsets import by_draws, by_keys, draws_for, random_subsets


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def few_bits(bits: int, seed: int):
    """Words of a few bits, which are unfair and repeat often."""
    rng = np.random.default_rng(seed)
    return lambda count: rng.integers(0, 2**bits, count, dtype=np.uint32)


def check_uniform(sets, size: int, k: int) -> None:
    """Chi-square over all sets; the failure rate of each check is 1e-4, and its seed is fixed."""
    seen = Counter(tuple(sorted(row)) for row in np.asarray(sets).tolist())
    assert set(seen) == set(combinations(range(size), k))
    assert chisquare(list(seen.values())).pvalue > 1e-4


@pytest.mark.parametrize(("size", "k"), [(6, 3), (7, 2), (7, 5), (5, 4), (20, 1), (12, 3)])
def test_every_set_of_k_places_is_equally_likely(size: int, k: int) -> None:
    check_uniform(random_subsets(torch.zeros(1), 40_000, size, k, source(5)), size, k)
    check_uniform(by_keys(torch.zeros(1), 40_000, size, k, source(6)), size, k)


def test_ablation_draws_such_sets_of_its_pixels() -> None:
    check_uniform(Ablation(3).draw(torch.zeros(3, 2, 3), 40_000, source(7)), 6, 3)


@pytest.mark.parametrize(("size", "k"), [(784, 45), (784, 700), (64, 32), (50_000, 40), (300, 299), (4, 4), (3, 9)])
def test_places_are_different_in_range_and_as_many_as_asked_for(size: int, k: int) -> None:
    for make in (random_subsets, by_keys)[: 2 if k < size else 1]:
        places = make(torch.zeros(1), 64, size, k, source()).sort(dim=1).values
        assert places.shape == (64, min(k, size))
        assert places.dtype == torch.int64
        assert int(places.min()) >= 0
        assert int(places.max()) < size
        assert bool((places.diff(dim=1) > 0).all())


def test_every_place_is_kept_equally_often_among_many() -> None:
    places = random_subsets(torch.zeros(1), 20_000, 784, 45, source(3))
    # Places of one set exclude each other, which only makes the counts more even.
    assert chisquare(np.bincount(places.flatten(), minlength=784)).pvalue > 1e-4
    assert chisquare(np.bincount(places[:, 0], minlength=784)).pvalue > 1e-4


@pytest.mark.parametrize("size", [3, 5, 7])
def test_integers_from_few_bits_are_exactly_uniform(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """8 words cannot be divided evenly among 5 places: three of them are drawn again."""
    monkeypatch.setattr(subsets, "_BITS", 3)
    found = subsets._uniform(few_bits(3, 1), 50_000, size)
    assert chisquare(np.bincount(found, minlength=size)).pvalue > 1e-4
    assert chisquare(np.bincount(np.arange(8) * size >> 3, minlength=size) * 6250).pvalue < 1e-100


def test_fair_words_are_equally_many_for_each_integer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly, over all words of 8 bits."""
    monkeypatch.setattr(subsets, "_BITS", 8)
    for size in (3, 64, 100, 255):
        calls: list[int] = []

        def words(count: int, calls: list[int] = calls) -> np.ndarray:
            calls.append(count)
            return np.arange(256, dtype=np.uint32) if len(calls) == 1 else np.full(count, 255, dtype=np.uint32)

        found = np.bincount(subsets._uniform(words, 256, size), minlength=size)
        unfair = 256 % size
        assert calls == ([256, unfair] if unfair else [256])
        # The word 255 gives the last place, and is fair for these sizes.
        found[-1] -= unfair
        assert (found == 256 // size).all()


@pytest.mark.parametrize(("size", "k"), [(5, 2), (6, 3), (4, 2)])
def test_rows_without_enough_different_draws_are_drawn_anew(monkeypatch: pytest.MonkeyPatch, size: int, k: int) -> None:
    """With as few draws as possible, most rows fail; the choice stays uniform."""
    monkeypatch.setattr(subsets, "draws_for", lambda size, k: k)
    monkeypatch.setattr(subsets, "_BITS", 3)
    check_uniform(by_draws(few_bits(3, 2), 30_000, size, k), size, k)


def test_sets_by_draws_are_a_symmetric_function_of_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row of 4 draws of 4 places, once each: all 6 sets of 2 occur equally often, exactly."""
    rows = np.array([row for row in product(range(4), repeat=4) if len(set(row)) > 1])
    monkeypatch.setattr(subsets, "draws_for", lambda size, k: 4)
    monkeypatch.setattr(subsets, "_BITS", 2)
    found = by_draws(lambda count: rows.astype(np.uint32).ravel()[:count], len(rows), 4, 2)
    seen = Counter(tuple(sorted(row)) for row in found.tolist())
    assert set(seen.values()) == {len(rows) // 6}


def test_rows_of_draws_are_rarely_too_short() -> None:
    rng = np.random.default_rng(0)
    for size, k in ((784, 45), (64, 16), (64, 32), (1024, 75), (10, 5), (1000, 1)):
        rows = np.sort(rng.integers(0, size, (4000, draws_for(size, k))), axis=1)
        different = 1 + (np.diff(rows, axis=1) > 0).sum(axis=1)
        assert (different < k).sum() <= 40
        assert draws_for(size, k) <= 2 * k + 8


def test_ties_between_keys_are_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """With keys rounded to 3 bits nearly every row ties at the k-th key; the choice must stay uniform."""
    fine = torch.Tensor.uniform_
    monkeypatch.setattr(
        torch.Tensor, "uniform_", lambda self, *, generator: fine(self, generator=generator).mul_(8).floor_()
    )
    check_uniform(by_keys(torch.zeros(1), 20_000, 5, 2, source(1)), 5, 2)
