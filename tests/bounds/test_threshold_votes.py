"""Votes by a threshold: the formula, all images with all changes of them, and softmaxes on the threshold."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

import holdfast as hf
from holdfast.attacks import Access, PlainTarget
from holdfast.attacks.distances import patch_side
from holdfast.bounds import Classifier
from holdfast.bounds.methods.threshold_votes import ThresholdVoting
from holdfast.errors import ClassifierError, UsageError
from holdfast.models.networks import FunctionNetwork
from holdfast.models.threshold_votes import ThresholdVotes
from holdfast.noises.blocks import Blocks
from holdfast.noises.columns import Columns
from holdfast.types import Norm


class Shares(nn.Module):
    """Given class probabilities, by the first column that a band of an image of 1 x 1 x width shows."""

    def __init__(self, shares: torch.Tensor) -> None:
        super().__init__()
        self.shares = shares

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # The first of the two channels of a kept pixel with the value 1 is 1, that of NULL is 0.
        return self.shares[x[:, 0, 0].argmax(dim=1)].log().to(x.dtype)


def lead(votes, answer):
    """By how many votes the answer is ahead; one less of classes that win a tie."""
    return min(votes[answer] - votes[c] - (c < answer) for c in range(len(votes)) if c != answer)


@pytest.mark.parametrize("threshold", [0.05, 0.25, 0.4, 0.6, 1.0])
def test_votes_and_sides_are_those_of_the_paper(threshold):
    """Random probabilities on a grid of twentieths that are never on the threshold, counted by hand."""
    source = np.random.default_rng(3)
    totals, sides = set(), Counter()
    for leaning in [0.3] * 20 + [30.0] * 20:
        shares = source.dirichlet([leaning, 0.3, 0.3], 12).round(4) + 1e-5
        shares /= shares.sum(axis=1, keepdims=True)
        if (np.abs(shares - threshold) < 2e-4).any():
            continue
        votes = [sum(bool(row[c] >= threshold) for row in shares) for c in range(3)]
        answer = min(c for c in range(3) if votes[c] == max(votes))
        side = next((m for m in range(12, 0, -1) if 2 * min(12, m) <= lead(votes, answer)), 0)
        module = ThresholdVotes(Shares(torch.tensor(shares)).eval(), Columns(1), threshold)
        bounded = ThresholdVoting().on(Classifier(module, (1, 1, 12), 3))
        (proof,) = bounded.certify(torch.ones(1, 1, 1, 12))
        assert (proof.label, proof.radius, proof.norm) == (answer, float(side), Norm.PATCH)
        assert module(torch.ones(1, 1, 1, 12)).round().tolist() == [votes]
        assert int(module(torch.ones(1, 1, 1, 12)).argmax()) == answer
        totals.add(sum(votes))
        sides[side] += 1
    if threshold == 0.05:
        assert max(totals) > 12, "windows vote for several classes"
    if threshold == 0.6:
        assert min(totals) < 12, "windows vote for none"
    assert threshold == 1.0 or len(sides) > 2


@pytest.mark.parametrize(
    ("noise", "shape"),
    [(Columns(1), (1, 2, 5)), (Columns(2), (1, 2, 5)), (Blocks(1), (1, 3, 3))],
    ids=str,
)
def test_no_patch_within_a_certified_side_changes_the_answer(noise, shape):
    """All images with values 0 and 1 and all changes of them, under random functions and three thresholds."""
    pixels, classes, lost = shape[1] * shape[2], 3, 0
    images = torch.tensor(list(product([0.0, 1.0], repeat=pixels)), dtype=torch.float64).view(-1, *shape)
    sides = np.array([patch_side(images[0].float(), image.float()) for image in images])
    numbers, certified = np.arange(2**pixels), Counter()
    generator = torch.Generator().manual_seed(0)
    inputs = int(np.prod(noise.noisy_shape(shape)))
    for threshold in (0.2, 0.5, 0.9):
        first = nn.Linear(inputs, 24).double()
        second = nn.Linear(24, classes).double()
        with torch.no_grad():
            first.weight.copy_(2.0 * torch.randn(24, inputs, generator=generator))
            second.weight.copy_(0.5 * torch.randn(classes, 24, generator=generator))
            second.bias.copy_(torch.tensor([3.0, 0.0, 0.0]))
        network = nn.Sequential(nn.Flatten(), first, nn.Tanh(), second).eval()
        module = ThresholdVotes(network, noise, threshold)
        found = ThresholdVoting().on(Classifier(module, shape, classes)).certify(images)
        answers = module(images).argmax(dim=1).numpy()
        for number, proof in enumerate(found):
            if proof.label is None or proof.radius == 0:
                continue
            size = sides[numbers ^ number]
            assert proof.label == answers[number]
            assert (answers[size <= proof.radius] == proof.label).all()
            lost += bool((answers[size == proof.radius + 1] != proof.label).any())
            certified[threshold] += 1
    assert sum(certified.values()) > 100
    assert lost > 0 or isinstance(noise, Blocks), "a patch that is larger by one is too much for some"


def test_a_softmax_on_the_threshold_is_a_vote_that_may_be_there():
    """12 windows: 8 for class 1 for certain, 2 for class 0, and one that may be for either."""
    rows = [[0.1, 0.8, 0.1]] * 8 + [[0.8, 0.1, 0.1]] * 2 + [[0.3 + 2e-5, 0.3 - 2e-5, 0.4], [0.2, 0.2, 0.6]]
    module = ThresholdVotes(Shares(torch.tensor(rows, dtype=torch.float64)).eval(), Columns(1), 0.3)
    x = torch.ones(1, 1, 12, dtype=torch.float64)
    assert module.enclosed(x) == (1, [2, 8, 2], [3, 9, 2])
    (proof,) = ThresholdVoting().on(Classifier(module, (1, 1, 12), 3)).certify(x.unsqueeze(0))
    # 8 - 3 - 1 = 4 votes ahead: 2 windows. With the votes as they are it is as many; with one more for class 0, 1.
    assert (proof.label, proof.radius) == (1, 2.0)
    rows[:8] = [[0.3, 0.6, 0.1]] * 8
    module = ThresholdVotes(Shares(torch.tensor(rows, dtype=torch.float64)).eval(), Columns(1), 0.3)
    (proof,) = ThresholdVoting().on(Classifier(module, (1, 1, 12), 3)).certify(x.unsqueeze(0))
    assert (proof.label, proof.radius) == (None, 0.0), "class 0 may have up to 11 votes"


def test_it_has_gradients_for_attacks():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(128, 10)).eval()
    target = PlainTarget(ThresholdVotes(network, Columns(2), 0.2), 10, (1, 8, 8), double=True)
    assert target.gives is Access.GRADIENTS


def test_what_cannot_vote_by_a_threshold_is_refused(tmp_path):
    flat = nn.Sequential(nn.Flatten(), nn.Linear(128, 10)).eval()
    for threshold in (0.0, 1.5, float("nan"), "half"):
        with pytest.raises(UsageError, match="a probability above 0 and at most 1"):
            ThresholdVotes(flat, Columns(2), threshold)
    with pytest.raises(UsageError, match="takes votes of windows by a threshold: name the model threshold-votes:"):
        ThresholdVoting().on(Classifier(flat, (1, 8, 8), 10))
    with pytest.raises(UsageError, match="keeps 8 x 9 pixels, more than the 8 x 8"):
        ThresholdVoting().on(Classifier(ThresholdVotes(flat, Columns(9), 0.3), (1, 8, 8), 10))
    voting = FunctionNetwork(lambda x: np.zeros(len(x), dtype=np.int64)).eval()
    with pytest.raises(ClassifierError, match="need logits, and the classifier returns votes"):
        ThresholdVotes(voting, Columns(2), 0.3)(torch.rand(1, 1, 8, 8))
    with pytest.raises(
        UsageError, match="was trained for no noise that it names, and votes by a threshold are those of"
    ):
        hf.load_model(flat).threshold_votes(0.3)
