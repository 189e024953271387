"""Smoothed classifiers as targets: fixed noise, abstention, soft votes, and claims verified by fresh noise."""

from __future__ import annotations

import math
from statistics import median

import numpy as np
import pytest
import torch
from torch import Tensor
from victims import Victim, made, magnitudes

from holdfast import SmoothedClassifier
from holdfast.attacks import Access, Check, PlainTarget, Problem, SmoothedTarget, Verdict, verify
from holdfast.attacks.target import ABSTAINS, MOST_LEVEL, Answers, Queries, Target
from holdfast.errors import UsageError
from holdfast.noises.columns import Columns
from holdfast.noises.draws import Draws
from holdfast.noises.gaussian import Gaussian
from holdfast.noises.lattice_gaussian import LatticeGaussian
from holdfast.noises.partition import Partition
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.rng import Stream
from holdfast.stats.binomial import lower_bound
from holdfast.types import Counts, Norm

# A classifier of one value, smoothed with sigma = 1: class 1 has the probability Phi(x).
SHAPE = (1,)


def one(z: Tensor) -> Tensor:
    return torch.cat([-z, z], dim=1)


def toy(n: int = 200, alpha: float = 0.05, **options: object) -> SmoothedTarget:
    bounds = {"low": -4.0, "high": 4.0, "batch_size": 256}
    return SmoothedTarget(VotingClassifier(one, 2), Gaussian(1.0), SHAPE, n, alpha, **{**bounds, **options})


def at(value: float) -> Tensor:
    return torch.tensor([value])


def test_the_noise_is_fixed_while_an_attack_works_and_fresh_for_the_next() -> None:
    target = toy()
    x = torch.tensor([[0.02], [-0.05], [1.0]])
    votes = target.votes(x)
    assert target.votes(x) == votes
    assert target.votes(x.flip(0)) == votes[::-1]
    assert target.renewed(1).votes(x) != votes
    assert all(counts.total == 200 for counts in votes)
    assert target.queries.samples == 3 * 3 * 200


def test_decisions_abstain_between_the_classes() -> None:
    target = toy(n=1000)
    assert target.decide(torch.tensor([[-2.0], [0.0], [2.0]])).tolist() == [0, ABSTAINS, 1]
    assert target.queries.decisions == 3
    # Clear answers take few votes.
    assert target.queries.samples < 2000


def test_levels_above_zero_do_not_take_abstention_for_success() -> None:
    places = torch.linspace(-0.6, 0.6, 41).unsqueeze(1)
    base, won = toy(n=500), []
    for level in range(MOST_LEVEL + 1):
        target = base.renewed(3, level)
        problem = Problem(target, at(1.0).unsqueeze(0), 1, None, Norm.L2, 9.0, 0)
        won.append(int(problem.succeeds(places).sum()))
        assert problem.succeeds(torch.tensor([[-2.0], [2.0]])).tolist() == [True, False]
    assert won == sorted(won, reverse=True)
    assert won[0] > won[1] > won[-1]


def test_a_lucky_abstention_is_refused_and_a_true_one_holds() -> None:
    target = toy(n=400)
    # At p = .54 Predict with 400 votes abstains in some of its runs, by far not in most of those at p = .6.
    lucky, _ = verify(target, at(0.25), 1, None, Check(), 1, seed=1)
    assert not lucky.holds
    assert 0 <= lucky.failures < lucky.repeats == 50
    true, queries = verify(target, at(0.0), 1, None, Check(), 1, seed=1)
    assert true.holds
    assert true.kind(1) == "abstains"
    assert (queries.decisions, queries.samples) == (50, 50 * 400)
    other, _ = verify(target, at(-1.0), 1, None, Check(), 1, seed=1)
    assert (other.holds, other.answer, other.kind(1), other.failures) == (True, 0, "misclassified", 50)
    assert other.votes is not None
    assert other.votes.total == 50 * 400


def test_a_wanted_class_is_verified_as_such() -> None:
    target = toy(n=400)
    assert verify(target, at(-1.0), 1, 0, Check(), 1, seed=1)[0].holds
    assert not verify(target, at(0.0), 1, 0, Check(), 1, seed=1)[0].holds


def test_a_verdict_is_an_exact_binomial_bound_at_its_share_of_the_confidence() -> None:
    """With 50 repeats, one claim of 13 and confidence .999 the fewest failures are those of the exact bound."""
    share = Check().alpha(13)
    assert share == pytest.approx(0.001 / 13)
    fewest = next(k for k in range(51) if lower_bound(k, 50, share) > 0.5)
    # P(Binomial(50, 1/2) >= k) <= share for the first time.
    tail = sum(math.comb(50, j) for j in range(fewest, 51)) / 2**50
    before = sum(math.comb(50, j) for j in range(fewest - 1, 51)) / 2**50
    assert tail <= share < before


class Unsure(Target):
    """Predict at the worst place: it fails half of the time."""

    deterministic = False

    def _answers(self, x: Tensor, count: int, seed: int) -> Answers:
        ones = int(np.random.default_rng(seed).binomial(count, 0.5))
        return Answers((1,) * ones + (0,) * (count - ones), Counts.of([count - ones, ones]), Queries())

    def _decide(self, x: Tensor) -> Tensor:
        raise NotImplementedError("only answers are asked for")


@pytest.mark.parametrize(("claims", "most"), [(1, 263), (5, 69)])
def test_false_claims_hold_no_more_often_than_the_confidence_allows(claims: int, most: int) -> None:
    """2,000 verdicts at confidence .9, divided among the claims: P(Binomial(2000, .1 / claims) > most) < 1e-5."""
    target, check = Unsure(2, SHAPE, -4.0, 4.0, torch.device("cpu")), Check(20, 0.9)
    verdicts = [verify(target, at(0.0), 0, None, check, claims, seed)[0] for seed in range(2000)]
    assert 0 < sum(each.holds for each in verdicts) <= most
    assert sum(each.answer == 1 for each in verdicts) <= most


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Check(9).alpha(1), "9 repeats cannot verify one of 1 claims at confidence 0.999"),
        (lambda: Check(confidence=1.0), "confidence must lie between 0 and 1"),
        (lambda: Check(repeats=0), "at least 1 repeat, got 0"),
        (lambda: toy(n=5, alpha=0.001), r"with n = 5 votes and alpha = 0\.001 the smoothed classifier always abstains"),
        (lambda: toy(search_alpha=0.01), r"search_alpha must lie between alpha \(0.05\) and 1, got 0.01"),
    ],
)
def test_what_could_never_hold_is_said_in_advance(call, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()


def test_answers_have_noise_of_their_own() -> None:
    target = toy(n=100)
    found = target.answers(at(0.25), 30, seed=1)
    assert set(found.classes) == {ABSTAINS, 1}
    assert found.votes is not None
    assert found.votes.total == 3000
    found = target.answers(at(2.0), 1, seed=0)
    assert (found.classes, found.queries.decisions, found.queries.samples) == ((1,), 1, 100)
    found = PlainTarget(one, 2, SHAPE, -4.0, 4.0).answers(at(2.0), 50, seed=0)
    assert (found.classes, found.votes, found.queries.decisions) == ((1,), None, 1)


def test_without_a_module_there_are_votes_and_no_gradients() -> None:
    target = toy()
    assert target.gives is Access.SCORES
    scores = target.scores(torch.tensor([[0.3], [4.0]]))
    votes = target.votes(torch.tensor([[0.3], [4.0]]))
    expected = [[math.log((vote + 0.5) / 201) for vote in counts.votes] for counts in votes]
    torch.testing.assert_close(scores, torch.tensor(expected))
    assert votes[1].votes == (0, 200)
    with pytest.raises(UsageError, match="'pgd' needs gradients, but the classifier smoothed with gaussian"):
        made("pgd").run(target, at(1.0), 1, 0.5)
    assert made("nattack", "linf", steps=30, population=20).run(target, at(0.4), 1, 1.5) is not None


def test_soft_votes_are_the_logarithm_of_the_mean_prediction(gaussian: Victim) -> None:
    target = gaussian.target(soft_samples=7)
    x = gaussian.image(0)[0].unsqueeze(0).requires_grad_()
    logits = target.logits(x)
    draws = target.noise.draw(x[0].detach(), Draws(target.seed, 0, Stream.ATTACK, 7))
    mean = gaussian.module(x.detach() + draws).softmax(1).mean(0)
    torch.testing.assert_close(logits[0].exp(), mean)
    assert logits.sum().requires_grad
    assert torch.equal(target.logits(x), logits)


@pytest.mark.parametrize(
    ("attack", "budget"),
    [
        (made("smooth-pgd", samples=32), 1.5),
        (made("smooth-pgd", samples=32, objective="expected", fresh=0), 1.5),
        (made("smooth-pgd", samples=32, objective="expected", start="input"), 1.5),
        (made("smooth-pgd", "linf", samples=32), 0.3),
        (made("pgd", "l2"), 1.5),
        (made("bpda", "l2", samples=16), 1.5),
        (made("deepfool"), math.inf),
        (made("cw-l2", steps=40, searches=3), math.inf),
    ],
    ids=str,
)
def test_gradients_of_soft_votes_find_adversarials_that_hold(gaussian: Victim, attack, budget: float) -> None:
    target, held = gaussian.target(n=200, soft_samples=32), 0
    for index in range(4):
        x, label = gaussian.image(index)
        found = attack.run(target, x, label, budget, seed=index)
        if found is not None:
            held += verify(target, found, label, None, Check(20, 0.99), 1, seed=index)[0].holds
    assert held >= 3


@pytest.mark.parametrize("name", ["pointwise", "cw-l0"])
def test_sparse_attacks_on_ablation(ablation: Victim, name: str) -> None:
    found = magnitudes(made(name), ablation, ablation.target(n=200), range(3), math.inf)
    assert 1 <= median(found) <= 12


def test_decisions_alone_are_enough_for_pointwise(ablation: Victim) -> None:
    """Twenty starts of one image with fixed noise: no bare AssertionError, and nothing but decisions asked for."""
    target = ablation.target(n=100, module=None)
    x, label = ablation.image(0)
    for seed in range(20):
        fresh = target.renewed(seed)
        made("pointwise").run(fresh, x, label, seed=seed)
        assert fresh.queries.scores == fresh.queries.gradients == 0
        assert fresh.queries.decisions > 10


def test_where_all_realizations_are_taken_nothing_is_random(ablation: Victim) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(2 * 64, 10)).eval()
    target = SmoothedTarget(VotingClassifier(network, 10), Partition(8), (1, 8, 8), 1000, 0.001, module=network)
    assert target.deterministic
    x = ablation.image(0)[0]
    votes = target.votes(x.unsqueeze(0))[0]
    assert votes.total == 8
    assert target.renewed(9).votes(x.unsqueeze(0)) == [votes]
    label = votes.top
    found = made("pointwise").run(target, x, label, seed=1)
    assert found is not None
    verdict, queries = verify(target, found, label, None, Check(), 4, seed=3)
    assert verdict == Verdict(True, verdict.answer, 1, 1, verdict.silent, None)
    assert queries.decisions == 1


def test_a_run_off_is_attacked_as_it_answers(ablation: Victim) -> None:
    """Even where fewer votes than blocks are asked for: the answers are those of all blocks."""
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(2 * 64, 10)).eval()
    noise = Partition(8, decision="runoff")
    target = SmoothedTarget(VotingClassifier(network, 10), noise, (1, 8, 8), 3, 0.001, module=network)
    smoothed = SmoothedClassifier(network, noise, 10)
    images = torch.stack([ablation.image(number)[0] for number in range(40)])
    certified = smoothed.certify_exactly(images)
    assert target.deterministic
    assert target.decide(images).tolist() == [each.label for each in certified]
    others = [each for each in certified if each.label != each.estimation.top]
    assert others, "an image on which the majority answers otherwise"
    for x, each in zip(images[:5], certified[:5], strict=True):
        assert each.label is not None
        found = made("pointwise").run(target, x, each.label, seed=1)
        assert found is not None
        assert int((found != x).flatten(1).any(0).sum()) > each.radius
        verdict, _ = verify(target, found, each.label, None, Check(), 4, seed=3)
        assert verdict.holds
        assert smoothed.certify_exactly(found[None])[0].label == verdict.answer != each.label


def test_gradients_take_all_realizations_where_these_are_few(ablation: Victim) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(2 * 64, 10)).eval()
    noise, x = Columns(3), ablation.image(0)[0]
    shares = network(noise.apply(x.unsqueeze(0), noise.enumerate(x, 0, 8))).softmax(dim=1).mean(dim=0)
    found = [
        SmoothedTarget(
            VotingClassifier(network, 10), noise, (1, 8, 8), 1000, 0.001, module=network, soft_samples=samples
        ).logits(x.unsqueeze(0))
        for samples in (8, 64, 7)
    ]
    assert torch.allclose(found[0].softmax(dim=1)[0], shares, atol=1e-6)
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[2].softmax(dim=1)[0], shares, atol=1e-6), "seven at random"


def test_adversarials_stay_on_the_grid_of_lattice_noise(gaussian: Victim) -> None:
    noise = LatticeGaussian(0.25, levels=17)
    voting = VotingClassifier(gaussian.module, 10)
    target = SmoothedTarget(voting, noise, (1, 8, 8), 100, 0.05, module=gaussian.module, batch_size=256)
    assert target.gives is Access.SURROGATE
    with pytest.raises(UsageError, match="'pgd' needs gradients, but the classifier smoothed with lattice-gaussian"):
        made("pgd").run(target, torch.zeros(1, 8, 8), 0, 0.5)
    x, label = gaussian.image(0)
    found = made("smooth-pgd", samples=32).run(target, x, label, 2.0, seed=1)
    assert found is not None
    steps = found * 16
    torch.testing.assert_close(steps, steps.round())
    assert float((found - x).norm()) <= 2.0
    assert made("bpda", "l2", samples=8).run(target, x, label, 3.0, seed=1) is not None


def test_moving_to_the_grid_never_leads_further_away() -> None:
    target = SmoothedTarget(
        VotingClassifier(lambda z: z[:, :2], 2), LatticeGaussian(0.5), (4,), 100, 0.05, batch_size=64
    )
    source = torch.Generator().manual_seed(0)
    x = (torch.rand(4, generator=source) * 255).round() / 255
    candidates = torch.rand((500, 4), generator=source) * 1.4 - 0.2
    moved = target.admissible(x, candidates)
    inside = candidates.clamp(0, 1)
    assert bool(((moved - x).abs() <= (inside - x).abs() + 1e-6).all())
    assert bool(((moved - inside).abs() <= 1 / 255 + 1e-6).all())
    # What is on the grid stays where it is, however float32 rounds it.
    on_grid = torch.arange(256).repeat(4, 1).T.float() / 255
    torch.testing.assert_close(target.admissible(x, on_grid), on_grid, rtol=0, atol=1e-6)


def test_counts_of_votes_are_not_lost() -> None:
    assert all(isinstance(counts, Counts) for counts in toy().votes(torch.zeros(3, 1)))
