"""Indices of inputs: they key the noise when inputs come in several calls with one seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy.stats import binom, binomtest, norm

import holdfast as hf
from holdfast.errors import InputError, UsageError
from holdfast.estimators import TopTwo
from holdfast.sampling.inputs import content_keys
from holdfast.stats.binomial import lower_bound
from holdfast.types import Example


def sign(z: torch.Tensor) -> torch.Tensor:
    return (z.flatten(1).sum(1) > 0.0).long()


def smoothed() -> hf.SmoothedClassifier:
    return hf.SmoothedClassifier(sign, hf.Gaussian(1.0), 2, batch_size=256)


def inputs(count: int = 4) -> torch.Tensor:
    return torch.zeros(count, 1, 4, 4)


def unlike(number: int) -> torch.Tensor:
    """A different input for each number, all with the same class probabilities: `first` sees the first pixel only."""
    return torch.tensor([[0.0, number / 1000.0]])


def first(z: torch.Tensor) -> torch.Tensor:
    return (z[:, 0] > _THRESHOLD).long()


# Here class 1 has probability 0.7.
_THRESHOLD = float(norm.isf(0.7))


def of_first() -> hf.SmoothedClassifier:
    return hf.SmoothedClassifier(first, hf.Gaussian(1.0), 2, batch_size=256)


def hits(x: torch.Tensor, seed: int, n: int = 100) -> int:
    (found,) = of_first().certify(x, n0=1, n=n, alpha=0.1, seed=seed)
    return found.estimation.votes[1]


def test_calls_of_one_input_each_are_those_of_all_together() -> None:
    """With indices, the noise depends on the index; without, on the content only, whatever else is in the call."""
    numbers = [0, 1, 2, 3]
    together = smoothed().certify(inputs(), n=300, alpha=0.01, seed=3, indices=numbers)
    for number in numbers:
        (alone,) = smoothed().certify(inputs(1), n=300, alpha=0.01, seed=3, indices=[number])
        assert alone == together[number]
    predicted = smoothed().predict(inputs(), n=300, alpha=0.01, seed=3, indices=numbers)
    some = smoothed().predict(inputs(2), n=300, alpha=0.01, seed=3, indices=np.array([3, 1]))
    assert some == [predicted[3], predicted[1]]
    rows = torch.cat([unlike(number) for number in numbers])
    for call in (of_first().certify, of_first().predict):
        whole = call(rows, n=300, alpha=0.01, seed=3)
        backwards = call(rows.flip(0), n=300, alpha=0.01, seed=3)
        assert whole == backwards[::-1] == [call(row[None], n=300, alpha=0.01, seed=3)[0] for row in rows]
        assert len({str(each) for each in whole}) > 1


def test_calls_with_one_seed_are_independent_by_their_indices() -> None:
    """The same input: without indices, each call has the same votes."""
    votes = [
        smoothed().certify(inputs(1), n=300, alpha=0.01, seed=3, indices=[number])[0].estimation for number in range(20)
    ]
    assert len(set(votes)) > 10
    again = {smoothed().certify(inputs(1), n=300, alpha=0.01, seed=3)[0].estimation for _ in range(3)}
    assert len(again) == 1


def test_votes_of_different_inputs_in_different_calls_have_nothing_in_common() -> None:
    """Keyed by position in the call, both inputs had the same votes: a correlation of 1."""
    pairs = np.array([[hits(unlike(0), seed), hits(unlike(1), seed)] for seed in range(150)])
    assert abs(np.corrcoef(pairs.T)[0, 1]) < norm.isf(1e-5) / np.sqrt(len(pairs))
    shared = [of_first().certify(unlike(each), n0=1, n=100, alpha=0.1, seed=9, indices=[0])[0] for each in (0, 1)]
    assert shared[0].estimation == shared[1].estimation


def test_failures_of_a_loop_of_calls_are_binomial_and_not_all_or_nothing() -> None:
    """Each call certifies another input at the hardest probability: about one in seven fails, under every seed."""
    calls, n, alpha = 150, 40, 0.2
    failing = next(count for count in range(n + 1) if lower_bound(count, n, alpha) > 0.7)
    rate = float(binom.sf(failing - 1, n, 0.7))
    assert 0.1 < rate <= alpha
    for seed in (1, 2):
        failures = sum(hits(unlike(number), seed, n) >= failing for number in range(calls))
        assert binomtest(failures, calls, rate).pvalue > 1e-5


def test_copies_of_an_input_in_one_call_are_independent_repetitions() -> None:
    """Copies that shared their noise would have the same vote count 40 times."""
    found = of_first().certify(unlike(0).repeat(40, 1), n0=1, n=100, alpha=0.1, seed=4)
    assert len({each.estimation for each in found}) > 10
    assert binomtest(sum(each.estimation.votes[1] for each in found), 4000, 0.7).pvalue > 1e-5
    (alone,) = of_first().certify(unlike(0), n0=1, n=100, alpha=0.1, seed=4)
    assert found[0] == alone
    company = torch.cat([unlike(1), unlike(0), unlike(2), unlike(0)])
    assert [of_first().certify(company, n0=1, n=100, alpha=0.1, seed=4)[place] for place in (1, 3)] == found[:2]


def test_an_input_is_the_same_one_in_whichever_form_it_comes() -> None:
    x = unlike(250)
    expected = of_first().certify(x, n=300, alpha=0.01, seed=3)
    for same in (x.double(), x.numpy(), x.numpy().astype(">f4"), x.tolist(), x.half(), -1.0 * -x, -(0.0 - x)):
        assert of_first().certify(same, n=300, alpha=0.01, seed=3) == expected
    noisy = hf.SmoothedClassifier(sign, hf.Gaussian(1.0), 2, batch_size=256)
    flat, image = (
        noisy.certify(torch.zeros(1, 16), n=300, alpha=0.01, seed=3),
        noisy.certify(inputs(1), n=300, alpha=0.01, seed=3),
    )
    assert flat[0].estimation != image[0].estimation


def test_keys_of_content_are_no_indices_and_never_meet_by_accident() -> None:
    rows = [np.float32([number]) for number in range(200)] + [np.zeros((1, 1, 1), np.float32)] * 3
    keys = content_keys(rows)
    assert len(set(keys)) == len(rows)
    assert all(2**127 <= key < 2**128 for key in keys)
    assert content_keys(rows[:1] + rows[-1:]) == [keys[0], keys[200]]


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([0, 1], "there are 4 inputs and 2 indices"),
        ([0, 1, 2, 2], "index 2 occurs twice"),
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
    with pytest.raises(UsageError, match="index 5 occurs twice"):
        smoothed().predict_examples(twice, TopTwo(100, 0.1))
