"""The Monte-Carlo loop: the same counts for all batch sizes, one batch in memory, errors that name the example."""

import numpy as np
import pytest
import torch
from torch import Tensor

from holdfast.errors import ClassifierError, UsageError
from holdfast.estimators import FixedSize, TopTwo
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import Noise
from holdfast.noises.draws import Draws
from holdfast.noises.gaussian import Gaussian
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.counts import MonteCarlo
from holdfast.sampling.procedure import Burst, Certify, Procedure, Votes
from holdfast.sampling.rng import Stream
from holdfast.types import Counts, Example

CPU = torch.device("cpu")


def examples(count: int = 7) -> list[Example]:
    rng = np.random.default_rng(0)
    return [Example(10 * i, rng.random((1, 4, 4), dtype=np.float32), i % 3) for i in range(count)]


def f(z: Tensor) -> Tensor:
    return z.flatten(1)[:, :3] * 3


def counted(
    noise: Noise, procedure: Procedure, batch_size: int, chosen: list[Example] | None = None, seed: int = 5
) -> dict[int, Votes]:
    loop = MonteCarlo(VotingClassifier(f, 3), noise, procedure, seed, batch_size, CPU)
    return {example.index: votes for example, votes in loop.run(examples() if chosen is None else chosen)}


@pytest.mark.parametrize("noise", [Gaussian(0.5), Ablation(5)], ids=str)
@pytest.mark.parametrize("batch_size", [1, 7, 64, 100, 5000])
def test_counts_do_not_depend_on_the_batch_size(noise: Noise, batch_size: int) -> None:
    procedure = Certify(30, FixedSize(150, 0.01))
    assert counted(noise, procedure, batch_size) == counted(noise, procedure, 333)


def test_counts_do_not_depend_on_order_or_company() -> None:
    procedure = Certify(30, FixedSize(150, 0.01))
    together = counted(Gaussian(0.5), procedure, 100)
    assert counted(Gaussian(0.5), procedure, 100, examples()[::-1]) == together
    for example in examples():
        assert counted(Gaussian(0.5), procedure, 64, [example]) == {example.index: together[example.index]}


def test_counts_are_those_of_a_plain_loop_over_the_keyed_draws() -> None:
    """The baseline: one input at a time, draw by draw, argmax, count."""
    result = counted(Gaussian(0.5), Certify(70, FixedSize(200, 0.01)), 50)
    for example in examples():
        for stream, n in ((Stream.SELECTION, 70), (Stream.ESTIMATION, 200)):
            votes: list[int] = []
            for draw in range(n):
                copies = Gaussian(0.5).sample(torch.from_numpy(example.x), Draws(5, example.index, stream, 1, draw))
                votes += f(copies).argmax(1).tolist()
            expected = Counts.of(np.bincount(votes, minlength=3))
            assert result[example.index][stream] == expected


def test_a_larger_n_extends_the_votes_of_a_smaller_one() -> None:
    small = counted(Gaussian(0.5), Burst(100), 64)
    large = counted(Gaussian(0.5), Burst(164), 64)
    for index, votes in small.items():
        pairs = zip(votes[Stream.PREDICTION].votes, large[index][Stream.PREDICTION].votes, strict=True)
        assert all(few <= many for few, many in pairs)


def test_totals_are_integers_and_exactly_n0_and_n() -> None:
    """Counts computed as float32 means times n are off by one in 6% of values at n = 10,000."""
    result = counted(Gaussian(0.5), Certify(100, FixedSize(10_000, 0.001)), 4096, examples(2))
    for votes in result.values():
        assert votes[Stream.SELECTION].total == 100
        assert votes[Stream.ESTIMATION].total == 10_000
        assert all(type(vote) is int for vote in votes[Stream.ESTIMATION].votes)


def test_selection_votes_are_not_part_of_the_estimation_votes() -> None:
    """Reused counters would start the estimation with the selection's votes."""
    streams = counted(Gaussian(0.5), Certify(64, FixedSize(64, 0.01)), 64)
    assert any(votes[Stream.SELECTION] != votes[Stream.ESTIMATION] for votes in streams.values())


def test_another_seed_gives_other_votes() -> None:
    assert counted(Gaussian(0.5), Burst(500), 64, seed=1) != counted(Gaussian(0.5), Burst(500), 64, seed=2)


def test_never_more_than_one_batch_of_noisy_copies() -> None:
    sizes: list[int] = []

    def watched(z: Tensor) -> Tensor:
        sizes.append(len(z))
        return f(z)

    loop = MonteCarlo(VotingClassifier(watched, 3), Gaussian(0.5), Certify(30, FixedSize(500, 0.01)), 0, 96, CPU)
    list(loop.run(examples(20)))
    assert max(sizes) <= 96
    # Batches are filled across inputs: all are full, except the last ones and the probes of single copies.
    assert sum(size == 96 for size in sizes) >= 20 * 530 // 96 - 2


def test_examples_are_taken_when_there_is_room_and_not_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Results wait for a check of the classifier; here every batch is checked.
    monkeypatch.setattr("holdfast.sampling.steadiness._REST", 0.0)
    taken: list[int] = []

    def source():
        for example in examples(50):
            taken.append(example.index)
            yield example

    loop = MonteCarlo(VotingClassifier(f, 3), Gaussian(0.5), Burst(1000), 0, 100, CPU)
    next(loop.run(source()))
    assert len(taken) <= 3


def test_non_finite_logits_are_an_error_that_names_the_example() -> None:
    def diverged(z: Tensor) -> Tensor:
        logits = f(z)
        logits[z[:, 0, 0, 0] > 5] = float("nan")
        return logits

    bad = Example(77, np.full((1, 4, 4), 100.0, dtype=np.float32), 0)
    loop = MonteCarlo(VotingClassifier(diverged, 3), Gaussian(0.5), Burst(100), 0, 64, CPU)
    with pytest.raises(ClassifierError, match="NaN or infinite logits for 100 of 100 noisy copies of example 77"):
        list(loop.run([*examples(), bad]))


def test_no_examples_and_repeated_use() -> None:
    loop = MonteCarlo(VotingClassifier(f, 3), Gaussian(0.5), Burst(10), 0, 64, CPU)
    assert list(loop.run([])) == []
    assert {e.index: v for e, v in loop.run(examples())} == {e.index: v for e, v in loop.run(examples())}


def test_an_estimator_that_asks_again_is_served_from_the_same_stream() -> None:
    """Sequential estimators ask for more after a look: the draws continue where they stopped."""

    class Twice(Procedure):
        def next_draws(self, votes):
            so_far = votes.get(Stream.ESTIMATION)
            wanted = {None: 50, 50: 100, 150: 0}[so_far and so_far.total]
            return (Stream.ESTIMATION, wanted) if wanted else None

    class Once(Procedure):
        def next_draws(self, votes):
            return None if votes else (Stream.ESTIMATION, 150)

    assert counted(Gaussian(0.5), Twice(), 70) == counted(Gaussian(0.5), Once(), 70)


def test_numbers_of_samples_out_of_range_are_refused() -> None:
    for make in (lambda: TopTwo(0, 0.1), lambda: Certify(0, FixedSize(10, 0.1)), lambda: FixedSize(-1, 0.1)):
        with pytest.raises(UsageError, match="whole number of samples, at least 1"):
            make()
