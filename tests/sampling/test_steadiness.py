"""A classifier that is not a function is detected: at once, alone, in a batch, and later."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

import holdfast as hf
from holdfast.errors import ClassifierError
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.steadiness import Steadiness

X = torch.full((2, 1, 4, 4), 0.6)


def certify(f, n: int = 500, **options) -> list[hf.Certificate]:
    return hf.SmoothedClassifier(f, hf.Gaussian(sigma=0.25), 2, batch_size=64, **options).certify(
        X, n0=64, n=n, alpha=0.001, seed=1
    )


def two(score: Tensor) -> Tensor:
    return torch.stack([-score, score], 1)


def honest(z: Tensor) -> Tensor:
    return two(z.flatten(1).mean(1) - 0.5)


class Counting:
    """An honest classifier that returns logits or votes and counts its rows."""

    def __init__(self, votes: bool = False) -> None:
        self.votes = votes
        self.rows = 0

    def __call__(self, z: Tensor) -> Tensor:
        self.rows += len(z)
        return honest(z).argmax(1) if self.votes else honest(z)


def test_an_honest_classifier_is_certified() -> None:
    assert all(each.label == 1 for each in certify(honest))


@pytest.mark.parametrize("calls", [30, 60])
def test_a_classifier_that_changes_after_some_calls_is_refused_at_the_end(calls: int) -> None:
    count = 0

    def f(z: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return honest(z) if count < calls else two(torch.ones(len(z)))

    # 16 batches would not reach 60 calls; 5000 samples do.
    with pytest.raises(ClassifierError, match=r"before and after \d+ batches .* or on what came before"):
        certify(f, n=5000)


def test_a_classifier_that_learns_while_it_answers_is_refused() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval()

    def f(z: Tensor) -> Tensor:
        with torch.no_grad():
            network[1].bias += torch.tensor([0.0, 0.01])
        return network(z)

    with pytest.raises(ClassifierError, match="answers differently"):
        certify(f)


def test_a_classifier_that_depends_on_the_batch_after_an_easy_first_one_is_refused() -> None:
    """After it has passed the first check, it answers the majority class of the batch."""
    rows = 0

    def f(z: Tensor) -> Tensor:
        nonlocal rows
        rows += len(z)
        scores = z.flatten(1).mean(1) - 0.5
        return two(scores if rows < 300 else scores.mean().expand(len(z)) + 10 * (len(z) - 1))

    with pytest.raises(ClassifierError, match="answers differently"):
        certify(f, n=2000)


def test_stale_answers_of_a_cache_are_noticed() -> None:
    """A cache keyed by the batch size, like a careless one of a service."""
    cache: dict[int, Tensor] = {}

    def f(z: Tensor) -> Tensor:
        return cache.setdefault(len(z), honest(z))

    with pytest.raises(ClassifierError, match="answers differently"):
        certify(f)


def test_the_clock_is_noticed() -> None:
    start = time.monotonic()

    def f(z: Tensor) -> Tensor:
        time.sleep(0.002)
        late = time.monotonic() - start > 0.1
        return two(torch.ones(len(z))) if late else honest(z)

    with pytest.raises(ClassifierError, match="answers differently"):
        certify(f, n=6000)


def test_votes_of_which_a_few_are_rounded_differently_alone_are_no_accusation() -> None:
    """One vote in a hundred depends on the batch size, as the argmax of bfloat16 logits does."""

    def f(z: Tensor) -> Tensor:
        flat = z.flatten(1)
        near = (flat[:, 0] * 1e3).frac().abs() < 0.01
        return torch.where(near, int(len(z) == 1), (flat.mean(1) > 0.5).long())

    assert all(each.label == 1 for each in certify(f, n=3000))


def test_nothing_is_given_of_what_was_drawn_since_the_last_good_look() -> None:
    """The loop holds results back until the classifier was checked again."""
    from holdfast.estimators import FixedSize
    from holdfast.sampling.engines.local import LocalEngine
    from holdfast.sampling.procedure import Certify
    from holdfast.types import Example

    count = 0

    def f(z: Tensor) -> Tensor:
        nonlocal count
        count += len(z) == 64
        return honest(z) if count < 12 else two(torch.ones(len(z)))

    examples = [Example(index, X[0].numpy(), 0) for index in range(40)]
    given = []
    procedure = Certify(64, FixedSize(64, 0.01))
    run = LocalEngine(batch_size=64).run(VotingClassifier(f, 2), hf.Gaussian(sigma=0.25), procedure, 1, examples)
    with pytest.raises(ClassifierError, match="answers differently"):
        given.extend((example.index, count) for example, _ in run)
    assert all(at < 12 for _, at in given)


def test_looks_cost_few_rows() -> None:
    f = Counting()
    hf.SmoothedClassifier(f, hf.Gaussian(sigma=0.25), 2, batch_size=64).certify(
        X[:1], n0=50, n=200, alpha=0.001, seed=1
    )
    assert f.rows <= 250 + 16 + 3 + 16 + 1 + 16


@pytest.mark.parametrize(("size", "share"), [(64, 0.01), (8, 0.001)])
@pytest.mark.parametrize("votes", [False, True])
def test_an_honest_classifier_whose_answers_jump_is_not_refused(size: int, share: float, votes: bool) -> None:
    """One-hot logits or votes; a few rows jump when computed alone."""

    def f(z: Tensor) -> Tensor:
        near = (z.flatten(1)[:, 0] * 1e3).frac().abs() < share
        label = torch.where(near, int(len(z) == 1), (z.flatten(1).mean(1) > 0.5).long())
        return label if votes else nn.functional.one_hot(label, 2).float()

    classifier = VotingClassifier(f, 2)
    source = torch.Generator().manual_seed(size)
    for _ in range(300):
        classifier.votes(torch.randn(size, 1, 4, 4, generator=source) + 0.6)
        assert classifier.confirm(now=True)


def test_several_threads_may_share_a_classifier() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 256), nn.ReLU(), nn.Linear(256, 2)).eval()
    smoothed = hf.SmoothedClassifier(network, hf.Gaussian(sigma=0.25), 2, batch_size=64)
    expected = [smoothed.certify(X, n0=64, n=200, alpha=0.01, seed=seed) for seed in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda seed: smoothed.certify(X, n0=64, n=200, alpha=0.01, seed=seed), range(40)))
    assert found == expected


def masked(logits: Tensor, value: float) -> Tensor:
    return torch.cat([logits, torch.full_like(logits[:, :1], value)], 1)


# Transformations of a classifier's two logits before they are returned: number of classes, and function.
FORMS: dict[str, tuple[int, Callable[[Tensor], Tensor]]] = {
    "as it is": (2, lambda logits: logits),
    "mask of -1e9": (3, lambda logits: masked(logits, -1e9)),
    "mask of -1e4": (3, lambda logits: masked(logits, -1e4)),
    "lowest float": (3, lambda logits: masked(logits, torch.finfo(torch.float32).min)),
    "offset": (2, lambda logits: logits + 1e6),
    "votes": (2, lambda logits: logits.argmax(1)),
    "one-hot": (2, lambda logits: nn.functional.one_hot(logits.argmax(1), 2).float()),
}


class Linear:
    """Two classes; the radii at the inputs below follow from the distance to the plane between them."""

    def __init__(self) -> None:
        self.calls = 0
        self.mean = 0.0
        self.weights = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))

    def __call__(self, z: Tensor) -> Tensor:
        self.calls += 1
        return z.flatten(1) @ self.weights


class Drifts(Linear):
    def __call__(self, z: Tensor) -> Tensor:
        return super().__call__(z) + torch.tensor([min(self.calls * 0.02, 3.0), 0.0])


class Turns(Linear):
    def __call__(self, z: Tensor) -> Tensor:
        logits = super().__call__(z)
        return logits if self.calls <= 8 else -logits


class Adapts(Linear):
    """Subtracts the mean of the inputs so far, like test-time adaptation."""

    def __call__(self, z: Tensor) -> Tensor:
        self.mean = 0.99 * self.mean + 0.01 * float(z.mean())
        return super().__call__(z - self.mean)


class Drops(Linear):
    def __call__(self, z: Tensor) -> Tensor:
        return super().__call__(nn.functional.dropout(z, 0.1))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [Linear, Drifts, Turns, Adapts, Drops])
def test_a_change_is_seen_beside_masks_and_offsets_and_in_votes(kind: type[Linear], form: str) -> None:
    num_classes, formed = FORMS[form]
    function = kind()
    x = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    # So large that a change can move more than the few votes that may be near ties.
    noise = hf.Gaussian(sigma=1.0)
    smoothed = hf.SmoothedClassifier(lambda z: formed(function(z)), noise, num_classes, batch_size=256)
    if kind is Linear:
        found = smoothed.certify(x, n0=100, n=6000, alpha=1e-6, seed=1)
        gap = function.weights[:, 0] - function.weights[:, 1]
        exact = (x.flatten(1) @ gap).abs() / gap.norm()
        assert all(0 < each.radius <= float(radius) for each, radius in zip(found, exact, strict=True))
    else:
        with pytest.raises(ClassifierError, match="answers differently"):
            smoothed.certify(x, n0=100, n=6000, alpha=1e-6, seed=1)


def test_a_mask_costs_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask makes no row a near tie, which would be computed again alone."""
    # The number of looks depends on the time that everything takes.
    monkeypatch.setattr(Steadiness, "due", lambda self: False)

    def calls(value: float) -> int:
        function = Linear()
        smoothed = hf.SmoothedClassifier(lambda z: masked(function(z), value), hf.Gaussian(sigma=0.5), 3, batch_size=64)
        smoothed.certify(X, n0=64, n=2000, alpha=0.01, seed=1)
        return function.calls

    # Without a masked class, and with two large masks.
    assert calls(-1e9) == calls(torch.finfo(torch.float32).min) <= calls(-10.0)


def test_a_drift_too_slow_for_any_two_looks_adds_up() -> None:
    function = Linear()

    def f(z: Tensor) -> Tensor:
        return function(z) + torch.tensor([function.calls * 1e-7, 0.0])

    classifier = VotingClassifier(f, 2)

    def ask(times: int) -> None:
        for _ in range(times):
            classifier.votes(torch.rand(8, 1, 4, 4))
            classifier.confirm(now=True)

    ask(2)
    with pytest.raises(ClassifierError, match="answers differently"):
        ask(1000)


@pytest.mark.parametrize(("votes", "share"), [(False, 0.015), (True, 0.14)])
def test_looks_at_many_rows_cost_a_share_of_them(votes: bool, share: float) -> None:
    f = Counting(votes)
    hf.SmoothedClassifier(f, hf.Gaussian(sigma=0.25), 2, batch_size=256).certify(
        X, n0=50, n=10_000, alpha=0.001, seed=1
    )
    assert f.rows <= 2 * 10_050 * (1 + share)


@pytest.mark.parametrize("votes", [False, True])
@pytest.mark.parametrize("size", [1, 24])
def test_of_large_inputs_few_are_remembered(size: int, votes: bool) -> None:
    """An input has 3 MiB; 5 of them may be remembered, and all remembered ones are computed again."""
    f = Counting(votes)
    classifier = VotingClassifier(f, 2)
    for _ in range(3):
        classifier.votes(torch.rand(size, 3, 512, 512))
    f.rows = 0
    assert classifier.confirm(now=True)
    # And as many of the last batch and of all since the last look, and up to 8 rows of the last batch alone.
    assert 3 <= f.rows <= 5 + 1 + 10 + (8 if votes else 1)
