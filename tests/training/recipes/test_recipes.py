"""Recipes: each loss against its formula, gradients by differences, and refusals."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from holdfast.errors import UsageError
from holdfast.models.bundle import InputSpace
from holdfast.noises.ablation import Ablation
from holdfast.noises.draws import Draws
from holdfast.noises.gaussian import Gaussian
from holdfast.noises.laplace import Laplace
from holdfast.training.config import TrainConfig
from holdfast.training.recipes import (
    Adversarial,
    Consistency,
    Macer,
    NoiseAugmentation,
    Recipe,
    SmoothAdv,
    Stability,
    Standard,
    VoteMargin,
    recipe_from_dict,
    recipe_names,
)
from holdfast.training.recipes.attack import ascend
from holdfast.training.recipes.base import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.noises.base import Noise

SIGMA = 0.25


def network(inputs: int = 12) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 16), nn.Tanh(), nn.Linear(16, 4)).double()


def step(
    module: nn.Module, noise: Noise | None = None, copies: int = 1, progress: float = 0.5, shared: bool = False
) -> Step:
    """A step on five random images of 1 x 3 x 4 pixels in [0, 1]."""
    source = torch.Generator().manual_seed(1)
    x = torch.rand(5, 1, 3, 4, generator=source, dtype=torch.float64)
    draws = None if noise is None else noise.draw(x[0], Draws(1, 0, 0, 1 if shared else 5 * copies))
    return Step(
        model=module,
        module=module,
        x=x,
        labels=torch.tensor([0, 1, 2, 3, 1]),
        config=TrainConfig(noise_copies=copies, shared_noise=shared),
        space=InputSpace((1, 3, 4), 0.0, 1.0),
        progress=progress,
        noise=noise,
        draws=draws,
        randomness=partial(lambda make: make(5, torch.Generator().manual_seed(2)).double()),
    )


def written_out(made: Step, module: nn.Module, x: Tensor) -> list[list[list[float]]]:
    """Class probabilities of every copy of every image, by the module alone."""
    assert made.draws is not None
    answers = []
    for image in range(5):
        rows = []
        for copy in range(made.copies):
            noisy = x[image] + made.draws[image * made.copies + copy]
            rows.append(module(noisy.unsqueeze(0)).softmax(1)[0].tolist())
        answers.append(rows)
    return answers


def test_noise_is_the_mean_cross_entropy_of_the_copies() -> None:
    module = network()
    made = step(module, Gaussian(SIGMA), copies=3)
    loss, logits, targets = NoiseAugmentation().outcome(made)
    probabilities = written_out(made, module, made.x)
    expected = [
        -math.log(row[label]) for rows, label in zip(probabilities, made.labels.tolist(), strict=True) for row in rows
    ]
    assert loss.item() == pytest.approx(sum(expected) / 15, rel=1e-5)
    assert targets.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 1, 1, 1]
    assert logits.shape == (15, 4)


def test_copies_of_an_image_differ_and_shared_noise_is_one_realization() -> None:
    own = step(network(), Gaussian(SIGMA), copies=3)
    rest = own.noisy(own.x) - own.x.repeat_interleave(3, 0)
    assert len({tuple(row.flatten().tolist()) for row in rest}) == 15
    assert rest.std() == pytest.approx(SIGMA, rel=0.2)
    shared = step(network(), Gaussian(SIGMA), shared=True)
    rest = shared.noisy(shared.x) - shared.x
    torch.testing.assert_close(rest, rest[:1].expand_as(rest))


def test_consistency_is_its_formula() -> None:
    module = network()
    made = step(module, Gaussian(SIGMA), copies=3)
    loss = Consistency(weight=7.0, entropy=0.3).outcome(made).loss
    error = divergence = entropy = 0.0
    for rows, label in zip(written_out(made, module, made.x), made.labels.tolist(), strict=True):
        mean = [sum(row[c] for row in rows) / 3 for c in range(4)]
        error += sum(-math.log(row[label]) for row in rows) / 3
        divergence += sum(sum(p * math.log(p / q) for p, q in zip(mean, row, strict=True)) for row in rows) / 3
        entropy -= sum(p * math.log(p) for p in mean)
    assert loss.item() == pytest.approx((error + 7.0 * divergence + 0.3 * entropy) / 5, rel=1e-5)


def test_stability_is_its_formula() -> None:
    module = network()
    made = step(module, Gaussian(SIGMA), copies=2)
    loss, logits, _ = Stability(weight=1.5).outcome(made)
    total = 0.0
    clean = module(made.x).softmax(1).tolist()
    for p, rows, label in zip(clean, written_out(made, module, made.x), made.labels.tolist(), strict=True):
        total -= math.log(p[label])
        total += 1.5 * sum(-sum(a * math.log(b) for a, b in zip(p, row, strict=True)) for row in rows) / 2
    assert loss.item() == pytest.approx(total / 5, rel=1e-5)
    assert logits.shape == (10, 4), "hits are counted under noise"


def test_macer_is_its_formula_with_the_quantiles_of_scipy() -> None:
    from scipy.stats import norm

    module = network()
    made = step(module, Gaussian(SIGMA), copies=4)
    with torch.no_grad():
        module[3].weight *= 4  # type: ignore[index, operator]
        assert made.draws is not None
        logits = module(made.x.repeat_interleave(4, 0) + made.draws)
        # Two images are correct, whatever the network answers.
        labels = (logits * 3).softmax(1).view(5, 4, 4).mean(1).argmax(1)
        labels[2:] = (labels[2:] + 1) % 4
    made = replace(made, labels=labels)
    loss = Macer(weight=5.0, margin=6.0, inverse_temperature=3.0).outcome(made).loss
    total = 0.0
    soft = logits.softmax(1).view(5, 4, 4).mean(1).tolist()
    sharp = (3 * logits).softmax(1).view(5, 4, 4).mean(1).tolist()
    hinges = []
    for p, q, label in zip(soft, sharp, labels.tolist(), strict=True):
        total -= math.log(p[label])
        first, second = sorted(q, reverse=True)[:2]
        if q[label] == first:
            hinges.append(max(0.0, 6.0 - (norm.ppf(first) - norm.ppf(second))))
    assert len(hinges) == 2
    assert max(hinges) > 0
    assert loss.item() == pytest.approx((total + 5.0 * SIGMA / 2 * sum(hinges)) / 5, rel=1e-4)


def test_vote_margin_is_its_formula() -> None:
    module = network()
    made = step(module, Ablation(6, null="mean", fill=(0.5,)), copies=4)
    with torch.no_grad():
        module[3].weight *= 20  # type: ignore[index, operator]
        logits = module(made.noisy(made.x))
    labels = (2.0 * logits).softmax(1).view(5, 4, 4).mean(1).argmax(1)
    labels[2:] = (labels[2:] + 1) % 4
    made = replace(made, labels=labels)
    loss = VoteMargin(weight=3.0, margin=0.1, inverse_temperature=2.0).outcome(made).loss
    total, hinges = 0.0, []
    soft, votes = ((scale * logits).softmax(1).view(5, 4, 4).mean(1).tolist() for scale in (1.0, 2.0))
    for p, v, label in zip(soft, votes, made.labels.tolist(), strict=True):
        hinges.append(max(0.0, 0.1 - (v[label] - max(v[:label] + v[label + 1 :]))))
        total += -math.log(p[label]) + 3.0 * hinges[-1]
    assert min(hinges) == 0.0
    assert max(hinges) > 0.1, "one is led by another class"
    assert loss.item() == pytest.approx(total / 5, rel=1e-5)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_ascent_raises_the_loss_within_its_ball_and_the_bounds(norm: str) -> None:
    module = network().train()
    made = step(module)
    module[3].weight.requires_grad_(False)  # type: ignore[index, union-attr]

    def loss(x: Tensor) -> Tensor:
        assert not module.training
        return nn.functional.cross_entropy(module(x), made.labels, reduction="sum")

    with torch.no_grad():
        module.eval()
        before = loss(made.x)
        module.train()
    start = torch.full_like(made.x, 0.01)
    moved = ascend(module, loss, made.x, start, norm, 0.3, 5, (0.0, 1.0))
    lengths = (moved - made.x).flatten(1).norm(dim=1, p=2 if norm == "l2" else math.inf)
    assert lengths.max() <= 0.3 + 1e-6
    assert lengths.max() > 0.1
    assert moved.min() >= 0.0
    assert moved.max() <= 1.0
    assert module.training
    assert [parameter.requires_grad for parameter in module.parameters()] == [True, True, False, True]
    module.eval()
    assert loss(moved) > 1.02 * before


@pytest.mark.parametrize(("norm", "order"), [("l2", 2), ("linf", math.inf)])
def test_adversarial_starts_anywhere_in_the_ball_and_ends_at_a_larger_loss(norm: str, order: float) -> None:
    starts: list[Tensor] = []

    def record(make: Callable[[int, torch.Generator], Tensor]) -> Tensor:
        starts.append(make(500, torch.Generator().manual_seed(2)).double())
        return starts[-1][:5]

    made = replace(step(network()), randomness=record)
    harder = Adversarial(epsilon=0.2, norm=norm).outcome(made).loss
    assert harder > Standard().outcome(made).loss
    lengths = starts[0].flatten(1).norm(dim=1, p=order)
    assert 0.19 < lengths.max() <= 0.2 + 1e-6
    assert lengths.min() < 0.195


def test_adversarial_takes_steps_of_the_size_that_it_is_given() -> None:
    """With one step much smaller than the ball, no value ends further from its start than that."""
    starts: list[Tensor] = []

    def record(make: Callable[[int, torch.Generator], Tensor]) -> Tensor:
        starts.append(make(5, torch.Generator().manual_seed(2)))
        return starts[-1]

    module, seen = network(), []
    module.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    made = replace(step(module), randomness=record)
    Adversarial(epsilon=0.2, steps=3, step_size=0.01).outcome(made)
    assert len(seen) == 4
    inside = ((seen[0] > 0.05) & (seen[0] < 0.95) & (starts[0].abs() < 0.15)).expand_as(seen[0])
    assert 0.009 < float((seen[1] - seen[0]).abs()[inside].max()) <= 0.01 + 1e-6
    assert float((seen[3] - seen[0]).abs().max()) <= 0.03 + 1e-6
    assert Adversarial(epsilon=0.2).written == "adversarial:epsilon=0.2,norm=linf,steps=7", "as older bundles have it"


def test_smoothadv_moves_images_against_the_mean_prediction_under_the_same_noise() -> None:
    module = network()
    made = step(module, Gaussian(SIGMA), copies=3)
    plain = NoiseAugmentation().outcome(made).loss
    assert SmoothAdv(epsilon=0.5).outcome(replace(made, progress=0.0)).loss == plain, "epsilon starts at 0"
    assert SmoothAdv(epsilon=0.5, steps=4).outcome(made).loss > plain
    barely = SmoothAdv(epsilon=0.5, steps=4, warm_up=1.0).outcome(replace(made, progress=1e-4)).loss
    assert barely.item() == pytest.approx(plain.item(), rel=1e-3)


@pytest.mark.parametrize(
    ("recipe", "noise", "copies"),
    [
        (NoiseAugmentation(), Ablation(4), 2),
        (NoiseAugmentation(), Gaussian(SIGMA), 2),
        (Consistency(), Ablation(4), 2),
        (Consistency(), Gaussian(SIGMA), 2),
        (Stability(), Laplace(SIGMA), 1),
        (SmoothAdv(epsilon=0.3), Gaussian(SIGMA), 2),
        (Macer(), Gaussian(SIGMA), 3),
        (VoteMargin(), Ablation(4), 3),
        (Standard(), None, 1),
        (Adversarial(epsilon=0.1), None, 1),
    ],
    ids=str,
)
def test_every_recipe_learns(recipe: Recipe, noise: Noise | None, copies: int) -> None:
    recipe.check(noise, TrainConfig(noise_copies=copies))
    module = network(24 if isinstance(noise, Ablation) else 12)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        loss = recipe.outcome(step(module, noise, copies)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("recipe", "noise", "settings", "message"),
    [
        (NoiseAugmentation(), None, {}, "'noise' trains for a noise, got none"),
        (Standard(), Gaussian(SIGMA), {}, "'standard' trains without noise, got gaussian:sigma=0.25"),
        (Adversarial(epsilon=0.1), None, {"noise_copies": 2}, "'adversarial' has no noisy copies"),
        (Consistency(), Gaussian(SIGMA), {}, "'consistency' compares noisy copies .* at least 2 of each, got 1"),
        (Consistency(), Gaussian(SIGMA), {"noise_copies": 2, "shared_noise": True}, "noise of its own for each copy"),
        (VoteMargin(), Ablation(4), {}, "'vote-margin' compares noisy copies .* at least 2 of each, got 1"),
        (Macer(), Gaussian(SIGMA), {}, "'macer' compares noisy copies .* at least 2 of each, got 1"),
        (SmoothAdv(epsilon=1.0), Gaussian(SIGMA), {"noise_copies": 2, "shared_noise": True}, "'smoothadv' needs noise"),
        (Macer(), Laplace(SIGMA), {"noise_copies": 2}, "'macer' enlarges the radius of Gaussian noise, got laplace"),
        (Stability(), Ablation(4), {}, "'stability' .* got ablation:k=4"),
        (SmoothAdv(epsilon=1.0), Ablation(4), {}, "'smoothadv' .* got ablation:k=4"),
    ],
)
def test_what_a_recipe_cannot_do_is_refused(
    recipe: Recipe, noise: Noise | None, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        recipe.check(noise, TrainConfig(**settings))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Consistency(weight=-1.0), "weight is a number from 0 on, got -1.0"),
        (lambda: Macer(margin=float("nan")), "margin is a number from 0 on, got nan"),
        (lambda: SmoothAdv(epsilon=0.0), "epsilon is a positive number in input units, got 0.0"),
        (lambda: SmoothAdv(epsilon=0.1, warm_up=2.0), r"warm_up is a share of the training in \[0, 1\], got 2.0"),
        (lambda: VoteMargin(margin=0.0), r"margin is a difference of probabilities in \(0, 2\], got 0.0"),
        (lambda: Adversarial(epsilon=0.1, norm="l1"), "norm must be l2 or linf, got 'l1'"),
        (lambda: Adversarial(epsilon=0.1, steps=0), "steps must be a whole number of at least 1, got 0"),
        (lambda: Adversarial(epsilon=0.1, step_size=0.0), "step_size is a positive number in input units, got 0.0"),
        (lambda: recipe_from_dict({"name": "magic"}), "unknown recipe 'magic'; known are abs, adversarial, "),
        (
            lambda: recipe_from_dict({"name": "adversarial"}),
            "needs the parameter 'epsilon', as in adversarial:epsilon=",
        ),
        (lambda: recipe_from_dict({"name": "noise", "weight": 1}), "'noise' has no parameter 'weight'; it takes none"),
    ],
)
def test_wrong_parameters_are_refused(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_recipes_are_found_by_name() -> None:
    assert {"noise", "consistency", "stability", "smoothadv", "macer", "standard", "adversarial"} <= set(recipe_names())
    made = SmoothAdv(epsilon=0.5, steps=4)
    assert recipe_from_dict(made.to_dict()) == made
    assert str(made) == "smoothadv:epsilon=0.5,steps=4,warm_up=0.1"
    assert str(Standard()) == "standard"
