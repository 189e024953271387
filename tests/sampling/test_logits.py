"""Sizes of logits, and differences between two outputs for the same inputs."""

from __future__ import annotations

import math

import pytest
import torch

from holdfast.sampling.logits import center_of, differences, sizes, spread_of

INF, NAN, LOWEST = math.inf, math.nan, torch.finfo(torch.float32).min


def test_the_center_is_the_median_of_what_is_finite() -> None:
    logits = torch.tensor([[1.0, -INF, NAN, -1e9], [3.0, -INF, 5.0, -1e9], [2.0, -INF, INF, 4.0]])
    assert center_of(logits).tolist() == [2.0, 0.0, 5.0, -1e9]


def test_a_mask_counts_for_nothing_and_an_offset_for_what_it_does_to_rounding() -> None:
    logits = torch.tensor([[1.0, -2.0], [0.5, -1.0], [0.0, 0.0]])
    leaders = logits.topk(2, dim=1).values
    plain = sizes(logits, leaders, center_of(logits).float())
    assert plain.tolist() == [2.0, 1.0, 1.0]
    for mask in (-1e9, LOWEST, -INF):
        masked = torch.cat([logits, torch.full((3, 1), mask)], 1)
        assert torch.equal(sizes(masked, masked.topk(2, dim=1).values, center_of(masked).float()), plain)
    offset = logits + 1e4
    assert sizes(offset, offset.topk(2, dim=1).values, center_of(offset).float()).min() >= 1e4
    assert spread_of(offset, center_of(offset)) == pytest.approx(spread_of(logits, center_of(logits)), abs=1e-3)


def test_a_low_logit_that_moves_shows_how_large_what_is_rounded_is() -> None:
    """The leaders are near 0 by cancellation."""
    logits = torch.tensor([[0.1, 0.0, -30.0], [0.0, 0.1, -10.0], [0.1, 0.1, -20.0]])
    found = sizes(logits, logits.topk(2, dim=1).values, center_of(logits).float())
    assert found.tolist() == [10.0, 10.0, pytest.approx(0.1)]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.5),
        ([1.0, -1e9], [1.5, -1e9], 0.5),
        ([1.0, -INF], [1.0, -INF], 0.0),
        ([NAN, 1.0], [NAN, 1.0], 0.0),
        ([INF, 1.0], [-INF, 1.0], INF),
        ([NAN, 1.0], [0.0, 1.0], INF),
        ([1.0, -1e9], [1.0, -INF], INF),
        ([1.0, LOWEST], [1.0, -LOWEST], pytest.approx(-2 * LOWEST)),
    ],
)
def test_the_largest_difference_of_a_row(one: list[float], other: list[float], expected: float) -> None:
    assert differences(torch.tensor([one]), torch.tensor([other]), 0.0).tolist() == [expected]


def test_votes_differ_one_by_one() -> None:
    assert differences(torch.tensor([1, 2, 3]), torch.tensor([1, 0, 3]), 0.0).tolist() == [0.0, 2.0, 0.0]


def test_rounding_is_taken_off_each_value_by_its_own_size() -> None:
    one, other = torch.tensor([[1.0, 1001.0], [1.1, 1000.0]]), torch.tensor([[1.0, 1000.0], [1.0, 1000.0]])
    assert differences(one, other, 2.0**-9).tolist() == [0.0, pytest.approx(0.1 - 2.0**-9, abs=1e-6)]
