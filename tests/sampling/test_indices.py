"""Indices of inputs: what keys their noise when they come in several calls with one seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

import holdfast as hf
from holdfast.errors import InputError, UsageError
from holdfast.estimators import TopTwo
from holdfast.types import Example


def sign(z: torch.Tensor) -> torch.Tensor:
    return (z.flatten(1).sum(1) > 0.0).long()


def smoothed() -> hf.SmoothedClassifier:
    return hf.SmoothedClassifier(sign, hf.Gaussian(1.0), 2, batch_size=256)


def inputs(count: int = 4) -> torch.Tensor:
    return torch.zeros(count, 1, 4, 4)


def test_calls_of_one_input_each_are_those_of_all_together() -> None:
    together = smoothed().certify(inputs(), n=300, alpha=0.01, seed=3)
    for number in range(4):
        (alone,) = smoothed().certify(inputs(1), n=300, alpha=0.01, seed=3, indices=[number])
        assert alone == together[number]
    predicted = smoothed().predict(inputs(), n=300, alpha=0.01, seed=3)
    some = smoothed().predict(inputs(2), n=300, alpha=0.01, seed=3, indices=np.array([3, 1]))
    assert some == [predicted[3], predicted[1]]


def test_calls_with_one_seed_are_independent_by_their_indices() -> None:
    """The same input: without indices, each call would have the very same votes."""
    votes = [
        smoothed().certify(inputs(1), n=300, alpha=0.01, seed=3, indices=[number])[0].estimation for number in range(20)
    ]
    assert len(set(votes)) > 10
    again = {smoothed().certify(inputs(1), n=300, alpha=0.01, seed=3)[0].estimation for _ in range(3)}
    assert again == {votes[0]}


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([0, 1], "there are 4 inputs and 2 indices"),
        ([0, 1, 2, 2], "index 2 is there twice"),
        ([0, 1, 2, -1], "from 0 to 2\\^63 - 1, got -1"),
        ([0, 1, 2, 2**63], "got 9223372036854775808"),
        ([0, 1, 2, 3.0], "indices are whole numbers"),
        (7, "indices are whole numbers"),
    ],
)
def test_indices_that_cannot_be_are_refused(indices: Sequence[int], message: str) -> None:
    for call in (smoothed().certify, smoothed().predict):
        with pytest.raises(UsageError, match=message):
            call(inputs(), n=10, alpha=0.1, indices=indices)


def test_indices_name_inputs_in_errors() -> None:
    with pytest.raises(InputError, match="example 512 has"):
        smoothed().certify(inputs(1) + 2, n=10, alpha=0.1, indices=[512])
    with pytest.raises(InputError, match="example 512 has"):
        hf.SmoothedClassifier(sign, hf.Partition(4), 2).certify_exactly(inputs(1) + 2, indices=[512])


def test_the_largest_index_has_noise_of_its_own() -> None:
    found = smoothed().certify(inputs(2), n=300, alpha=0.01, seed=3, indices=[2**63 - 1, 0])
    assert found[0].estimation != found[1].estimation


def test_examples_of_one_index_are_refused() -> None:
    """Both would have the same noise, and one of them the other's votes."""
    twice = [Example(5, np.zeros((1, 4, 4), np.float32), 0), Example(5, np.ones((1, 4, 4), np.float32), 0)]
    with pytest.raises(UsageError, match="index 5 is there twice"):
        smoothed().predict_examples(twice, TopTwo(100, 0.1))
