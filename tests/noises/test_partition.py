"""Disjoint blocks: the pattern, and the certified radius against every possible adversary on small inputs."""

from hashlib import sha256
from itertools import combinations, product

import numpy as np
import pytest
import torch

import holdfast as hf
from holdfast.errors import ClassifierError, UsageError
from holdfast.estimators import Exact
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import find_guarantee
from holdfast.noises.masking import MaskingNoise
from holdfast.noises.partition import Partition, best_step
from holdfast.types import ClassBounds, Counts, RankedCounts
from holdfast.workflows.specs import parse_noise


@pytest.mark.parametrize("pattern", ["random", "strided"])
@pytest.mark.parametrize(("k", "shape"), [(49, (1, 28, 28)), (25, (1, 28, 28)), (7, (3, 6, 9)), (3, (11,))])
def test_blocks_are_disjoint_and_hold_every_pixel(k: int, shape: tuple[int, ...], pattern: str) -> None:
    noise = Partition(k, pattern)
    pixels = int(np.prod(shape[-2:])) if len(shape) == 3 else shape[0]
    places = noise.enumerate(torch.zeros(shape), 0, noise.realizations(shape))
    masks = torch.zeros(len(places), pixels, dtype=torch.bool).scatter_(1, places, value=True)
    assert len(masks) == -(-pixels // k)
    assert torch.equal(masks.sum(0), torch.ones(pixels, dtype=torch.int64))
    sizes = masks.sum(1)
    assert int(sizes.max() - sizes.min()) <= (1 if pattern == "random" else max(2, k // 4))


def test_the_random_partition_is_the_same_everywhere() -> None:
    """A certificate is about these very blocks: their definition is part of the format."""
    blocks = Partition(25, "random").blocks((1, 28, 28))
    order = sorted(range(784), key=lambda pixel: sha256(f"holdfast partition {pixel}".encode()).digest())
    assert [int(blocks[pixel]) for pixel in order[:40]] == [*range(32), *range(8)]
    assert blocks[:6].tolist() == [blocks[i] for i in range(6)]


@pytest.mark.parametrize("count", [9, 16, 25, 31, 32, 49])
def test_strided_blocks_lie_as_far_apart_as_a_lattice_allows(count: int) -> None:
    """Brute force over all lattice vectors of every step."""

    def shortest(step: int) -> int:
        vectors = product(range(-count, count + 1), repeat=2)
        return min(a * a + b * b for a, b in vectors if (a, b) != (0, 0) and (a * step + b) % count == 0)

    assert shortest(best_step(count)) == max(shortest(step) for step in range(count))


def test_a_step_of_the_pattern_is_seen_in_the_image() -> None:
    blocks = Partition(16).blocks((1, 12, 12)).reshape(12, 12)
    assert (np.diff(blocks, axis=1) % 9 == 1).all()
    assert (np.diff(blocks, axis=0) % 9 == best_step(9)).all()


def test_radius_is_the_formula_and_no_vote_vector_does_better() -> None:
    """min over c of floor((v_A - v_c - [c < A])/2); one vote more can be turned against it, so it is exact."""
    noise, shape = Partition(2), (14,)
    rule, theorem = Exact(7), find_guarantee(noise)
    for votes in product(range(8), repeat=3):
        if sum(votes) != 7:
            continue
        counts = Counts(votes)
        top = counts.top
        radius = theorem.radius(noise, rule.bounds(top, counts), shape)
        formula = min((votes[top] - votes[c] - (c < top)) // 2 for c in range(3) if c != top)
        assert radius == formula
        worst = [
            Counts(tuple(votes[c] - (moved if c == top else 0) + (moved if c == rival else 0) for c in range(3))).top
            for rival in range(3)
            for moved in (min(formula, votes[top]), min(formula + 1, votes[top]))
            if rival != top
        ]
        assert all(label == top for label in worst[::2])
        assert any(label != top for label in worst[1::2])


_EXACT = [
    Partition(2),
    Partition(1, "random"),
    Partition(2, decision="runoff"),
    Partition(1, "random", decision="runoff"),
    Ablation(2),
    Ablation(1),
]


@pytest.mark.parametrize("noise", _EXACT, ids=str)
def test_no_change_within_an_exact_radius_changes_the_answer(noise: MaskingNoise) -> None:
    """All inputs with values 0 and 1 on 7 pixels, under base classifiers that are random tables."""
    d, classes, certified = 7, 3, 0
    inputs = torch.tensor(list(product([0.0, 1.0], repeat=d)))
    weights = torch.randn(20, 2 * d, 16, generator=torch.Generator().manual_seed(0))
    heads = torch.randn(20, 16, classes, generator=torch.Generator().manual_seed(1))
    for first, head in zip(weights, heads, strict=True):

        def f(z: torch.Tensor, first: torch.Tensor = first, head: torch.Tensor = head) -> torch.Tensor:
            return torch.tanh(z.flatten(1) @ first) @ head

        found = hf.SmoothedClassifier(f, noise, classes, batch_size=4096).certify_exactly(inputs)
        labels = {tuple(x.tolist()): c.label for x, c in zip(inputs, found, strict=True)}
        for x, certificate in zip(inputs, found, strict=True):
            assert certificate.alpha == 0.0
            assert certificate.label is not None
            certified += certificate.radius > 0
            for size in range(1, int(certificate.radius) + 1):
                for pixels in combinations(range(d), size):
                    changed = x.clone()
                    changed[list(pixels)] = 1.0 - changed[list(pixels)]
                    assert labels[tuple(changed.tolist())] == certificate.label
    assert certified > 100


def test_exact_radii_of_ablation_are_at_least_the_sampled_ones() -> None:
    noise = Ablation(3)
    x = torch.rand(20, 20, generator=torch.Generator().manual_seed(2))
    smoothed = hf.SmoothedClassifier(lambda z: z[:, 0].sum(1, keepdim=True) * torch.tensor([0.0, 1.0]) - 1.2 *
                                     torch.tensor([-1.0, 1.0]) + 0.6, noise, 2)  # fmt: skip
    exact, sampled = smoothed.certify_exactly(x), smoothed.certify(x, n=2_000, alpha=0.001, seed=0)
    assert [c.estimation.total for c in exact] == [1140] * 20
    assert all(e.label == s.label for e, s in zip(exact, sampled, strict=True) if s.label is not None)
    assert all(e.radius >= s.radius for e, s in zip(exact, sampled, strict=True))


def test_sampling_a_partition_is_sound_too() -> None:
    noise = Partition(2)
    votes = find_guarantee(noise).radius(noise, ClassBounds(0, 0.6, 0.4), (14,))
    # 0.6 of 7 blocks is at least 5, 0.4 of 7 at most 2: ahead by 3, one less for a lost tie.
    assert votes == 1.0


def test_what_cannot_be_partitioned_or_enumerated_is_refused() -> None:
    with pytest.raises(UsageError, match="pattern is random or strided, got 'checkers'"):
        Partition(3, "checkers")
    with pytest.raises(UsageError, match="whole number of pixels"):
        Partition(0)
    with pytest.raises(UsageError, match="k = 50 pixels cannot be kept of the 49"):
        Partition(50).check_inputs((1, 7, 7), 0.0, 1.0)
    with pytest.raises(UsageError, match=r"C\(784, 45\) sets of pixels to keep, more than 1,000,000; sample them"):
        Ablation(45).enumerate(torch.zeros(1, 28, 28), 0, 1)
    gaussian = hf.SmoothedClassifier(lambda z: z[:, :2], hf.Gaussian(0.5), 2)
    with pytest.raises(UsageError, match="infinitely many realizations; use certify"):
        gaussian.certify_exactly(torch.zeros(1, 4))
    with pytest.raises(UsageError, match="cannot be enumerated"):
        hf.Gaussian(0.5).enumerate(torch.zeros(1, 4), 0, 1)


# --- Run-offs --------------------------------------------------------------------------------------------------------

_RUNOFF = Partition(2, decision="runoff")


def test_the_decision_is_written_only_where_it_is_no_majority() -> None:
    """Manifests and bundles of older versions have no decision."""
    assert "decision" not in Partition(2).to_dict()
    assert _RUNOFF.to_dict()["decision"] == "runoff"
    assert str(_RUNOFF) == "partition:k=2,pattern=strided,null=multichannel,decision=runoff"
    assert parse_noise(str(_RUNOFF)) == _RUNOFF
    assert parse_noise("partition:k=2,decision=majority") == Partition(2)
    with pytest.raises(UsageError, match="the decision is majority or runoff, got 'lottery'"):
        Partition(2, decision="lottery")


def _logits(z: torch.Tensor) -> torch.Tensor:
    """Rankings of three classes from the first two shown values."""
    first, second = z[:, 0, ::2].sum(1), z[:, 0, 1::2].sum(1)
    return torch.stack([first, second, 0.4 * first + 0.7 * second - 0.1], 1)


def test_a_run_off_needs_all_blocks_and_logits() -> None:
    x = torch.rand(4, 14, generator=torch.Generator().manual_seed(3))
    smoothed = hf.SmoothedClassifier(_logits, _RUNOFF, 3)
    with pytest.raises(UsageError, match="decides by a run-off of all its realizations; use certify_exactly"):
        smoothed.certify(x, n=100, alpha=0.01)
    with pytest.raises(ClassifierError, match="ranks classes by logits, and the base classifier returns votes"):
        hf.SmoothedClassifier(lambda z: _logits(z).argmax(1), _RUNOFF, 3).certify_exactly(x)
    with pytest.raises(UsageError, match="for 200 classes at most; got 201"):
        hf.SmoothedClassifier(lambda z: torch.rand(len(z), 201), _RUNOFF, 201).certify_exactly(x)
    certified, predicted = smoothed.certify_exactly(x), smoothed.predict(x, n=3, alpha=0.01)
    assert [each.label for each in certified] == [each.label for each in predicted]
    assert all(each.estimation.total == 7 and each.alpha == 0.0 for each in certified)
    for each, row in zip(certified, x, strict=True):
        assert isinstance(each.estimation, RankedCounts)
        rows = _logits(_RUNOFF.apply(row[None], _RUNOFF.enumerate(row, 0, 7)))
        pairs = (rows.unsqueeze(2) > rows.unsqueeze(1)).sum(0)
        assert each.estimation.pairs == tuple(map(tuple, pairs.tolist()))
        assert each.estimation.votes == tuple(rows.argmax(1).bincount(minlength=3).tolist())


@pytest.mark.parametrize("batch", [1, 2, 7, 64])
def test_rankings_do_not_depend_on_the_batch(batch: int) -> None:
    """The second and third class differ by less than the rounding of a batch, and are equal where each is alone."""

    def uneven(z: torch.Tensor) -> torch.Tensor:
        logits = torch.stack([torch.full((len(z),), 2.0), z[:, 0].sum(1), z[:, 0].sum(1)], 1)
        # A row's place in the batch decides which one gets a little more.
        places = torch.arange(len(z)) % 2
        logits[:, 1] += 1e-6 * places
        logits[:, 2] += 1e-6 * (1 - places) * (len(z) > 1)
        return logits

    x = torch.rand(5, 14, generator=torch.Generator().manual_seed(4))
    for certificate in hf.SmoothedClassifier(uneven, _RUNOFF, 3, batch_size=batch).certify_exactly(x):
        assert isinstance(certificate.estimation, RankedCounts)
        # Equal where each is alone: the lower index is ranked above.
        assert certificate.estimation.pairs[1][2] == 7


def test_no_ranking_counts_twice_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The classifier has answered when pairs of classes do not fit: the batch is asked again, in halves."""
    whole, refused = torch.Tensor.__lt__, []

    def short(one: torch.Tensor, other: object) -> torch.Tensor:
        if one.dim() == 3 and len(one) > 2:
            refused.append(len(one))
            raise torch.OutOfMemoryError("out of memory")
        return whole(one, other)

    x = torch.rand(5, 14, generator=torch.Generator().manual_seed(4))
    expected = hf.SmoothedClassifier(_logits, _RUNOFF, 3).certify_exactly(x)
    monkeypatch.setattr(torch.Tensor, "__lt__", short)
    with pytest.warns(RuntimeWarning, match="no memory for batches of"):
        found = hf.SmoothedClassifier(_logits, _RUNOFF, 3, batch_size=16).certify_exactly(x)
    assert refused
    assert found == expected
