"""Votes that are remembered: the counts of all passes, from few of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from holdfast.attacks.masks import MaskedVotes
from holdfast.attacks.smoothed import SmoothedTarget
from holdfast.errors import ClassifierError
from holdfast.noises.ablation import Ablation
from holdfast.noises.masking import MaskingNoise
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.procedure import Burst
from holdfast.sampling.rng import Stream
from holdfast.types import Counts, Example

N = 300


class Linear:
    """Class scores that are linear in all values of a noisy input, and how many rows it was given."""

    def __init__(self, values: int) -> None:
        self.weights = torch.randn((values, 4), generator=torch.Generator().manual_seed(0))
        self.rows = 0

    def __call__(self, noisy: Tensor) -> Tensor:
        self.rows += len(noisy)
        return noisy.flatten(1) @ self.weights


def by_the_loop(classifier: VotingClassifier, noise: MaskingNoise, x: Tensor, seed: int) -> Counts:
    example = Example(0, x.numpy(), 0)
    loop = LocalEngine("cpu", 64, 1).loop(classifier, noise, Burst(N), seed, example)
    ((_, votes),) = loop.run([example])
    return votes[Stream.PREDICTION]


@pytest.mark.parametrize(
    ("noise", "shape", "values"),
    [
        (Ablation(5), (1, 8, 8), 128),
        (Ablation(5, null="mean", fill=(0.2, 0.4, 0.6)), (3, 8, 8), 192),
        (Ablation(2), (30,), 60),
    ],
    ids=["images", "colours", "features"],
)
def test_counts_are_those_of_all_passes(noise: MaskingNoise, shape: tuple[int, ...], values: int) -> None:
    function = Linear(values)
    classifier = VotingClassifier(function, 4)
    masked = MaskedVotes(classifier, noise, N, 7, 64)
    random = np.random.default_rng(1)
    x = torch.from_numpy(random.random(shape, dtype=np.float32))
    assert masked.counts(x, force=True) == (by_the_loop(classifier, noise, x, 7), N)
    pixels, total = int(np.prod(shape[-2:])), 0
    for _ in range(12):
        x = x.clone()
        x.view(-1, pixels)[:, random.integers(pixels)] = 1.0 - x.view(-1, pixels)[:, 0]
        found = masked.counts(x, force=False)
        assert found is not None
        assert found[0] == by_the_loop(classifier, noise, x, 7)
        total += found[1]
    assert 0 < total < 12 * N / 5
    function.rows = 0
    again = masked.counts(x, force=False)
    assert function.rows == 0
    assert again == (by_the_loop(classifier, noise, x, 7), 0)


def test_an_input_far_from_all_others_is_not_counted_until_another_is_near() -> None:
    classifier = VotingClassifier(Linear(128), 4)
    masked = MaskedVotes(classifier, Ablation(5), N, 0, 64)
    x = torch.rand((1, 8, 8), generator=torch.Generator().manual_seed(3))
    assert masked.counts(x, force=False) is None
    assert masked.counts(1.0 - x, force=False) is None
    near = 1.0 - x
    near[0, 0, 0] = 0.0
    assert masked.counts(near, force=False) == (by_the_loop(classifier, Ablation(5), near, 0), N)
    found = masked.counts(1.0 - x, force=False)
    assert found is not None
    assert found[1] < N / 5


def test_an_attack_that_goes_back_and_forth_pays_for_one_pixel_each_time() -> None:
    """As Pointwise does: try a pixel, refuse it, try the next one from the same input."""
    function = Linear(128)
    target = SmoothedTarget(VotingClassifier(function, 4), Ablation(5), (1, 8, 8), N, 0.05, batch_size=64)
    base = torch.rand((1, 8, 8), generator=torch.Generator().manual_seed(3))
    target.votes(base.unsqueeze(0))
    function.rows, before = 0, target.queries.samples
    for pixel in range(20):
        tried = base.clone()
        tried.view(-1)[pixel] = 0.0
        target.decide(tried.unsqueeze(0))
    # 5 of 64 pixels are shown.
    assert function.rows < 20 * N * 0.1
    assert target.queries.samples - before < 20 * N * 0.1
    fresh = target.renewed(5)
    assert fresh.votes(base.unsqueeze(0)) != target.votes(base.unsqueeze(0))  # type: ignore[attr-defined]


def test_a_logit_that_is_no_number_is_an_error() -> None:
    def broken(noisy: Tensor) -> Tensor:
        return torch.full((len(noisy), 4), torch.nan)

    masked = MaskedVotes(VotingClassifier(broken, 4), Ablation(5), N, 0, 64)
    with pytest.raises(ClassifierError, match="NaN or infinite logits for 64 of 64"):
        masked.counts(torch.zeros((1, 8, 8)), force=True)
