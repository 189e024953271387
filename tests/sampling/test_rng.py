"""Keyed generators of torch: a function of the key alone, and different for every key."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from holdfast.errors import HoldfastError, UsageError
from holdfast.sampling import rng
from holdfast.sampling.rng import Stream, check_seed, fresh_seed, generator

CPU = torch.device("cpu")


def drawn(*key: int) -> list[float]:
    seed, example, stream, block = key
    return torch.empty(8).uniform_(generator=generator(seed, example, Stream(stream), block, CPU)).tolist()


def test_equal_keys_give_equal_numbers_whatever_was_drawn_before() -> None:
    first = drawn(7, 3, Stream.ESTIMATION, 2)
    torch.rand(100)
    drawn(8, 3, Stream.ESTIMATION, 2)
    assert drawn(7, 3, Stream.ESTIMATION, 2) == first


def test_every_part_of_the_key_matters() -> None:
    """Every image reseeded with seed 0, or streams that coincide, would show here."""
    base = (7, 3, 1, 2)
    keys = {base}
    for position in range(4):
        for value in (0, 4, 5):
            keys.add((*base[:position], value, *base[position + 1 :]))
    assert len({tuple(drawn(*key)) for key in keys}) == len(keys)


def test_selection_and_estimation_are_separate_streams() -> None:
    assert drawn(7, 3, Stream.SELECTION, 0) != drawn(7, 3, Stream.ESTIMATION, 0)


def test_the_numbers_of_the_streams_never_change() -> None:
    """They key the noise of all runs; two streams with one number would share their noise."""
    assert {name: stream.value for name, stream in Stream.__members__.items()} == {
        "SELECTION": 0, "ESTIMATION": 1, "PREDICTION": 2, "TRAINING": 3, "GALLERY": 4, "TRAINING_CHECK": 5,
        "CALIBRATION": 6, "ATTACK": 7, "PILOT": 8,
    }  # fmt: skip


def test_seeds_that_agree_in_32_bits_differ() -> None:
    """torch's own CPU seeding keeps 32 bits: these two would give the same noise."""
    low, high = (torch.empty(8).uniform_(generator=torch.Generator().manual_seed(seed)) for seed in (1, 1 + 2**32))
    assert torch.equal(low, high)
    assert drawn(1, 0, 0, 0) != drawn(1 + 2**32, 0, 0, 0)


def test_first_numbers_of_many_steps_are_uniform_and_all_different() -> None:
    firsts = [drawn(11, example, Stream.ESTIMATION, block)[0] for example in range(20) for block in range(100)]
    assert kstest(firsts, "uniform").pvalue > 1e-4
    assert len(set(firsts)) >= 1995


def test_output_is_the_twister_started_from_philox_words() -> None:
    """The state is as intended: numpy's Mersenne Twister draws the same numbers from the same words."""
    philox = np.random.Philox(key=np.array([7, 0], dtype=np.uint64), counter=np.array([0, 2, 1, 3], dtype=np.uint64))
    twister = np.random.MT19937()
    key = philox.random_raw(312).view(np.uint32)
    twister.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": 624}}
    expected = (twister.random_raw(8) & 0xFFFFFF) / 2**24
    assert drawn(7, 3, 1, 2) == pytest.approx(expected, abs=0)


def test_another_layout_of_the_state_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rng, "_FIRST_WORD_BYTE", 32)
    rng._state_template.cache_clear()
    with pytest.raises(HoldfastError, match="lays out its CPU generator"):
        generator(1, 1, Stream.SELECTION, 0, CPU)
    rng._state_template.cache_clear()


def test_fresh_seeds_differ_and_are_valid() -> None:
    seeds = {check_seed(fresh_seed()) for _ in range(100)}
    assert len(seeds) == 100


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "1", None])
def test_seeds_out_of_range_are_refused(seed: int) -> None:
    with pytest.raises(UsageError, match="a seed is a whole number"):
        check_seed(seed)
