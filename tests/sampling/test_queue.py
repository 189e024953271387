"""The loop with a queue: the device never waits for the host, and every vote is that of the loop without one."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from host_waits import HostWaits, drawn_elsewhere
from torch import Tensor, nn

from holdfast.errors import ClassifierError
from holdfast.estimators import Exact, FixedSize, TopTwo
from holdfast.noises import subsets
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import NOISES, Noise
from holdfast.noises.channel_flip import ChannelFlip
from holdfast.noises.draws import Draws
from holdfast.noises.gaussian import Gaussian
from holdfast.noises.lattice_gaussian import LatticeGaussian
from holdfast.noises.partition import Partition
from holdfast.noises.uniform_flip import UniformFlip
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.counts import MonteCarlo
from holdfast.sampling.procedure import Burst, Certify, Predict, Procedure, Votes
from holdfast.types import Example

CPU = torch.device("cpu")
SHAPE = (1, 8, 8)
KINDS = [NOISES.from_spec(kind.example).fitted((0.5,), (0.25,)) for kind in NOISES.all().values()]
CASES = [
    *KINDS,
    Ablation(40),
    Ablation(64),
    Ablation(9, null="normalized", fill=(0.5, 0.25)),
    Ablation(9, null="mean", fill=(0.5,)),
    Partition(9, pattern="random", null="mean", fill=(0.5,)),
    LatticeGaussian(4.0),
    ChannelFlip(0.8, 17),
]


def examples(count: int = 5, shape: tuple[int, ...] = SHAPE, levels: int = 256) -> list[Example]:
    rng = np.random.default_rng(0)
    steps = rng.integers(0, levels, (count, *shape))
    return [Example(10 * i, (x / (levels - 1)).astype(np.float32), i % 3) for i, x in enumerate(steps)]


def coarse(z: Tensor) -> Tensor:
    """Logits in bfloat16: a share of the copies are near ties."""
    return (z.flatten(1)[:, :48].view(len(z), 3, 16).mean(dim=2) * 3).bfloat16()


def ties(z: Tensor) -> Tensor:
    """Many exact ties, which go to the lowest class."""
    return (z.flatten(1)[:, :3] * 3).round()


def depending(z: Tensor) -> Tensor:
    """Rounding that depends on the batch: only the answer for a copy alone may decide a near tie."""
    return coarse(z).float() + (2e-6 * torch.arange(3) if len(z) > 1 else torch.zeros(3))


def casts(z: Tensor) -> Tensor:
    """Votes in the place of logits."""
    return coarse(z).argmax(1)


class Network(nn.Module):
    """A network of the package with weights by chance, for noisy copies of any number of channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(channels, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 3)
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.body(z)


def network(noise: Noise) -> nn.Module:
    return Network(noise.noisy_shape(SHAPE)[0]).eval()


def counted(
    function: Any,
    noise: Noise,
    procedure: Procedure,
    batch_size: int,
    *,
    queueing: bool,
    chosen: list[Example] | None = None,
    on_batch: Callable[[int], None] | None = None,
    confirming: bool = True,
) -> dict[int, Votes]:
    levels = noise.grid or 256
    loop = MonteCarlo(
        VotingClassifier(function, 3), noise, procedure, 5, batch_size, CPU, on_batch,
        queueing=queueing, confirming=confirming,
    )  # fmt: skip
    return {e.index: votes for e, votes in loop.run(examples(levels=levels) if chosen is None else chosen)}


@pytest.mark.parametrize("noise", CASES, ids=str)
@pytest.mark.parametrize("kind", ["network", "coarse", "casts"])
def test_nobody_waits_for_the_device_once_the_work_goes_on(
    noise: Noise, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the third batch to the last but one, for counts of several inputs and with near ties.

    The first batches and the looks at the classifier, which take a share of the time, do wait.
    """
    drawn_elsewhere(noise, monkeypatch)
    function = network(noise) if kind == "network" else {"coarse": coarse, "casts": casts}[kind]
    procedure: Procedure = Burst(150)
    if noise.name == "partition":
        # Each block once.
        procedure = Certify(0, Exact(noise.realizations(SHAPE)))
    expected = counted(function, noise, procedure, 3 if procedure.exhaustive else 60, queueing=False)
    total = -(-sum(each.total for votes in expected.values() for each in votes.values()) // 60)
    with HostWaits(noise, monkeypatch) as waits:

        def on_batch(_: int) -> None:
            waits.on = 2 <= waits.batches < (total - 1 if not procedure.exhaustive else 8)

        found = counted(
            function, noise, procedure, 3 if procedure.exhaustive else 60, queueing=True, on_batch=on_batch,
            confirming=False,
        )  # fmt: skip
        waits.on = False
    assert waits.found == {}
    assert waits.read > 3
    assert found == expected


def test_what_waits_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop without a queue waits for near ties and for counts; other ways to wait, one by one."""
    noise = Gaussian(0.5)
    with HostWaits(noise, monkeypatch) as waits:

        def on_batch(_: int) -> None:
            waits.on = True

        counted(coarse, noise, Burst(150), 60, queueing=False, on_batch=on_batch)
        assert any("classifier.py" in each for each in waits.found)
        x = torch.arange(6.0)
        for wait in (
            lambda: x[0].item(), lambda: bool(x[1] > 0), lambda: float(x.max()), lambda: x[x > 2], lambda: x.tolist(),
            lambda: x.nonzero(), lambda: x.unique(), lambda: x.cpu(), lambda: x.numpy(), lambda: x.to("cpu"),
            lambda: x.new_tensor([1.0]), lambda: torch.tensor([1.0]), lambda: x.masked_select(x > 2),
            lambda: torch.equal(x, x), lambda: x.masked_fill(x > 2, 0.0)[x > 2],
        ):  # fmt: skip
            waits.found.clear()
            wait()
            assert waits.found
        waits.found.clear()
        x.masked_fill(x > 2, 0.0).gather(0, x.long()).clamp(min=0.5).topk(2)
        assert waits.found == {}


@pytest.mark.parametrize("noise", CASES, ids=str)
@pytest.mark.parametrize("batch_size", [1, 7, 64, 5000])
def test_votes_are_those_without_a_queue(noise: Noise, batch_size: int) -> None:
    procedure: Procedure = Certify(30, FixedSize(150, 0.01))
    if noise.name == "partition":
        procedure = Certify(0, Exact(noise.realizations(SHAPE)))
    expected = counted(coarse, noise, procedure, 333, queueing=False)
    assert counted(coarse, noise, procedure, batch_size, queueing=True) == expected


@pytest.mark.parametrize("function", [coarse, ties, depending, casts])
@pytest.mark.parametrize("batch_size", [3, 64])
def test_near_ties_are_settled_alone_whatever_the_queue(function: Any, batch_size: int) -> None:
    """Against a plain loop that asks for one copy at a time."""
    found = counted(function, Gaussian(0.5), Burst(100), batch_size, queueing=True)
    for example in examples():
        votes = [0, 0, 0]
        for draw in range(100):
            copy = Gaussian(0.5).sample(torch.from_numpy(example.x), Draws(5, example.index, 2, 1, draw))
            output = function(copy)
            votes[int(output[0] if output.ndim == 1 else output[0].float().numpy().argmax())] += 1
        assert next(iter(found[example.index].values())).votes == tuple(votes)


def test_requests_that_depend_on_votes_get_the_same_draws() -> None:
    procedure = Predict(TopTwo(n=2_000, alpha=0.01, ratio=2.0))
    expected = counted(coarse, Gaussian(0.5), procedure, 64, queueing=False)
    assert counted(coarse, Gaussian(0.5), procedure, 64, queueing=True) == expected
    assert counted(coarse, Gaussian(0.5), procedure, 64, queueing=True, chosen=examples()[:1]) == {0: expected[0]}


MANY = UniformFlip(0.5, 200)


@pytest.mark.parametrize("noise", [Ablation(9), Ablation(55), LatticeGaussian(0.5), MANY], ids=str)
@pytest.mark.parametrize("ahead", [0, 1, 4])
def test_a_batch_whose_noise_needed_more_words_is_drawn_again(
    noise: Noise, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With so few words that hardly any batch has enough, the votes are still those of the processor."""
    shape = (8, 2, 2) if noise is MANY else SHAPE
    chosen = examples(shape=shape, levels=noise.grid or 256)
    if isinstance(noise, Ablation):
        monkeypatch.setattr("holdfast.noises.subsets.draws_for", lambda size, k: k + 1)
        monkeypatch.setattr("holdfast.noises.subsets._layout", subsets._layout.__wrapped__)
    if isinstance(noise, LatticeGaussian):
        # Words for two of 64 values, while one in 30 needs one.
        monkeypatch.setattr("holdfast.noises.lattice_gaussian._width", lambda values: 2)
        monkeypatch.setattr("holdfast.noises.draws.kernel", lambda: None)
    expected = counted(few, noise, Burst(150), 60, queueing=False, chosen=chosen)
    drawn_elsewhere(noise, monkeypatch)
    again = []
    whole = MonteCarlo._write_all

    def write(self: MonteCarlo, noisy: Tensor, pieces: Any, conditions: Any) -> None:
        again.append(conditions is None)
        whole(self, noisy, pieces, conditions)

    monkeypatch.setattr(MonteCarlo, "_write_all", write)
    monkeypatch.setattr(Draws, "lanes_ahead", lambda draws, *_: 0 if draws.conditions is None else ahead)
    monkeypatch.setattr(LatticeGaussian, "_lanes", lambda *_: 1)
    found = counted(few, noise, Burst(150), 60, queueing=True, chosen=chosen)
    # Four lanes are enough for flips.
    assert any(again) == (noise is not MANY or ahead < 4)
    assert found == expected


def few(z: Tensor) -> Tensor:
    return z.flatten(1)[:, :3] * 3


@pytest.mark.parametrize("queueing", [False, True])
def test_errors_are_those_without_a_queue(queueing: bool) -> None:
    calls = []

    def wrong(z: Tensor) -> Tensor:
        calls.append(len(z))
        return casts(z) + (3 if len(calls) > 12 else 0)

    def nan_alone(z: Tensor) -> Tensor:
        calls.append(len(z))
        return torch.full((len(z), 3), float("nan")) if len(calls) > 60 and len(z) == 1 else ties(z)

    def void(z: Tensor) -> Tensor:
        # Example 20 is the only one with a corner of 1.
        found = few(z)
        found[z.flatten(1)[:, 0] > 50] = float("nan")
        return found

    chosen = examples()
    chosen[2].x[0, 0, 0] = 100.0
    for function, message in (
        (wrong, "votes are class indices in 0..2"),
        (nan_alone, "NaN for an input alone"),
        (void, "example 20"),
    ):
        calls.clear()
        with pytest.raises(ClassifierError, match=re.escape(message)):
            counted(function, Gaussian(0.5), Burst(400), 60, queueing=queueing, chosen=chosen, confirming=False)


def test_too_large_batches_are_halved_and_the_one_before_is_kept() -> None:
    sizes = []

    def limited(z: Tensor) -> Tensor:
        sizes.append(len(z))
        if len(z) > 40 and len(sizes) > 25:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return coarse(z)

    expected = counted(coarse, Gaussian(0.5), Burst(300), 60, queueing=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert counted(limited, Gaussian(0.5), Burst(300), 60, queueing=True, confirming=False) == expected
    assert any("no memory for batches of 60" in str(each.message) for each in caught)


@pytest.mark.parametrize("most", [1, 3])
def test_memory_for_fewer_near_ties_than_a_batch_has_is_enough(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = counted(coarse, Gaussian(0.5), Burst(300), 60, queueing=False)
    settled, refused = VotingClassifier.settled, []

    def limited(self: VotingClassifier, noisy: Tensor) -> Tensor:
        if len(noisy) > most:
            refused.append(len(noisy))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return settled(self, noisy)

    monkeypatch.setattr(VotingClassifier, "settled", limited)
    assert counted(coarse, Gaussian(0.5), Burst(300), 60, queueing=True) == expected
    assert refused

    def never(self: VotingClassifier, noisy: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(VotingClassifier, "settled", never)
    with pytest.raises(torch.OutOfMemoryError):
        counted(coarse, Gaussian(0.5), Burst(300), 60, queueing=True)


def test_a_classifier_with_votes_of_its_own_is_asked_for_them() -> None:
    class Own(VotingClassifier):
        def votes(self, noisy: Tensor) -> tuple[Tensor, Tensor]:
            return torch.full((len(noisy),), 2), torch.zeros(len(noisy), dtype=torch.bool)

    loop = MonteCarlo(Own(few, 3), Gaussian(0.5), Burst(10), 0, 4, CPU, queueing=True, confirming=False)
    (_, votes), *_ = loop.run(examples())
    assert next(iter(votes.values())).votes == (0, 0, 10)
