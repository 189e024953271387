"""The recipes of the other defences: the robust loss, autoencoder codes, and memorized neighbours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from holdfast.bounds import Classifier
from holdfast.bounds.backward import Ball
from holdfast.bounds.layers import plain
from holdfast.bounds.polytope import least_margins
from holdfast.bounds.training import interval_boxes, interval_leads, linear_leads, trainable
from holdfast.data import open_data
from holdfast.errors import UsageError
from holdfast.models.bundle import BundleInfo, InputSpace, load_bundle
from holdfast.noises.gaussian import Gaussian
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.training.recipes import Autoencoder, Convex, Intervals, Memorize, Standard
from holdfast.training.recipes.base import Step

DIGITS = open_data("digits", None, "train", {})
LABELS = torch.from_numpy(DIGITS.labels[:6].copy())


def info(architecture: str, **arguments: Any) -> BundleInfo:
    mean, std = DIGITS.channel_statistics()
    space = InputSpace(DIGITS.shape, DIGITS.low, DIGITS.high, mean, std)
    return BundleInfo(architecture, arguments, space, None, DIGITS.class_names, {})


def step(module: nn.Module, progress: float = 1.0) -> Step:
    def drawn(make: Any) -> torch.Tensor:
        return make(6, torch.Generator().manual_seed(2))

    x = torch.from_numpy(DIGITS.batch(np.arange(6)))
    labels = torch.from_numpy(DIGITS.labels[:6].copy())
    space = InputSpace((1, 8, 8), 0.0, 1.0)
    return Step(module, module, x, labels, TrainConfig(), space, progress, None, None, drawn)


def small() -> nn.Module:
    torch.manual_seed(0)
    return info("fc", widths=(12,)).build()


def test_the_robust_loss_bounds_the_loss_of_every_change() -> None:
    module = small()
    made = step(module)
    loss, worst, labels = Convex(epsilon=0.05).outcome(made)
    leads = least_margins(plain(Classifier(module, (1, 8, 8), 10)), made.x.double(), made.labels, 0.05, "linf", None)
    assert loss.item() == pytest.approx(cross_entropy(-leads, made.labels).item(), rel=1e-4)
    assert worst.shape == (6, 10)
    for seed in range(20):
        change = 0.1 * torch.rand(made.x.shape, generator=torch.Generator().manual_seed(seed)) - 0.05
        assert cross_entropy(module(made.x + change), labels) <= loss
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in module.parameters())


def test_epsilon_rises_and_the_clean_loss_is_mixed_in() -> None:
    recipe = Convex(epsilon=0.1, first=0.1, warm_up=0.5)
    assert recipe.epsilon_at(0.0) == pytest.approx(0.01)
    assert recipe.epsilon_at(0.25) == pytest.approx(0.055)
    assert recipe.epsilon_at(0.9) == pytest.approx(0.1)
    assert Convex(epsilon=0.1, warm_up=0.0).epsilon_at(0.0) == 0.1
    made = step(small())
    worst, clean = Convex(epsilon=0.1).outcome(made).loss.item(), Standard().outcome(made).loss.item()
    assert Convex(epsilon=0.1, clean=1.0).outcome(made).loss.item() == pytest.approx(clean)
    assert Convex(epsilon=0.1, clean=0.25).outcome(made).loss.item() == pytest.approx(0.75 * worst + 0.25 * clean)


def test_projections_are_repeatable_and_near_the_exact_loss() -> None:
    made = step(small())
    exact = Convex(epsilon=0.05).outcome(made).loss.item()
    near = [Convex(epsilon=0.05, projections=60).outcome(made).loss.item() for _ in range(2)]
    assert near[0] == near[1]
    assert near[0] == pytest.approx(exact, rel=0.3)
    assert Convex(epsilon=0.05, projections=64).outcome(made).loss.item() == exact


def test_the_first_share_is_trained_by_intervals() -> None:
    module = info("fc", widths=(12, 12)).build()
    recipe = Convex(epsilon=0.05, intervals=0.5, warm_up=0.0)
    network, ball = trainable(Classifier(module, (1, 8, 8), 10)), Ball(step(module).x, 0.05, "linf")
    leads = {
        0.49: linear_leads(network, ball, interval_boxes(network, ball), LABELS).double(),
        0.5: least_margins(
            plain(Classifier(module, (1, 8, 8), 10)), step(module).x.double(), LABELS, 0.05, "linf", None
        ),
    }
    losses = []
    for progress, expected in leads.items():
        loss, worst, _ = recipe.outcome(step(module, progress))
        torch.testing.assert_close(-worst.double(), expected, rtol=1e-3, atol=1e-4)
        losses.append(loss.item())
        module.zero_grad()
        loss.backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in module.parameters())
    assert losses[0] != losses[1]


def test_the_recipe_trains_through_residual_blocks() -> None:
    module = info("wong-resnet", channels=2, units=8).build()
    recipe = Convex(epsilon=0.1, norm="l2", projections=10)
    losses = []
    for _ in range(2):
        module.zero_grad()
        loss = recipe.outcome(step(module)).loss
        loss.backward()
        losses.append(loss.item())
        assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in module.parameters())
    assert losses[0] == losses[1], "projections are drawn from the step's randomness"
    exact = Convex(epsilon=0.1, norm="l2").outcome(step(module)).loss.item()
    estimates = [Convex(epsilon=0.1, norm="l2", projections=k).outcome(step(module)).loss.item() for k in (500, 501)]
    assert estimates == pytest.approx([exact] * 2, rel=0.1)


def test_intervals_alone_with_the_schedules_of_the_paper() -> None:
    recipe = Intervals(epsilon=0.1, standard=0.1, warm_up=0.4, clean=0.25)
    assert [recipe.risen(progress) for progress in (0.0, 0.09, 0.3, 0.5, 0.9)] == [
        0.0,
        0.0,
        pytest.approx(0.5),
        1.0,
        1.0,
    ]
    assert Intervals(epsilon=0.1, standard=0.0, warm_up=0.0).risen(0.0) == 1.0
    module = small()
    network = trainable(Classifier(module, (1, 8, 8), 10))
    for progress, kappa in ((0.0, 1.0), (0.3, 0.625), (1.0, 0.25)):
        made = step(module, progress)
        ball = Ball(made.x, 0.1 * recipe.risen(progress), "linf")
        leads = interval_leads(network, interval_boxes(network, ball), made.labels)
        worst, clean = cross_entropy(-leads, made.labels).item(), Standard().outcome(made).loss.item()
        outcome = recipe.outcome(made)
        assert outcome.loss.item() == pytest.approx(kappa * clean + (1 - kappa) * worst, rel=1e-5)
        assert torch.equal(outcome.logits, -leads)
    assert worst > clean


def test_provable_training_certifies_more(tmp_path: Any) -> None:
    """On digits; convolutions have another memory layout during training."""
    from holdfast.bounds.methods.convex import Convex as Bound
    from holdfast.bounds.methods.intervals import Intervals as Ends

    data, test = DIGITS.part(3), open_data("digits", None, "test", {})
    x = torch.from_numpy(test.batch(np.arange(100)))
    shares, by_intervals = [], []
    recipes = (
        Standard(),
        Convex(epsilon=0.05, projections=10),
        Convex(epsilon=0.05, first=0.0, intervals=1.0),
        Intervals(epsilon=0.05),
    )
    for number, recipe in enumerate(recipes):
        settings = TrainConfig(12, 32, "adamw", 0.005, 0.0, recipe=recipe)
        out = tmp_path / f"{number}.safetensors"
        train(info("wong-small"), settings, data, out)
        module = load_bundle(out).module
        on = Classifier(module, (1, 8, 8), 10)
        for bound, into in ((Bound(epsilon=0.05), shares), (Ends(epsilon=0.05), by_intervals)):
            into.append(sum(each.radius > 0 for each in bound.on(on).certify(x)) / 100)
    assert all(share > shares[0] + 0.2 for share in shares[1:])
    assert by_intervals[3] > max(by_intervals[:2]) + 0.2, "intervals certify what was trained by them"


def test_autoencoder_codes_do_not_learn_from_the_labels() -> None:
    torch.manual_seed(0)
    module = info("autoencoder", codes=16).build()
    made = step(module)
    part = module[1]
    Autoencoder(reconstruction=0.0).outcome(made).loss.backward()
    assert part.classifier.weight.grad.abs().sum() > 0
    assert all(float(each.grad.abs().sum()) == 0 for each in part.encoder.parameters() if each.grad is not None)
    module.zero_grad()
    loss, logits, _ = Autoencoder().outcome(made)
    loss.backward()
    assert all(each.grad.abs().sum() > 0 for each in part.parameters())
    assert torch.equal(logits, module(made.x))
    with pytest.raises(UsageError, match="architecture autoencoder"):
        Autoencoder().prepare(small())


def test_memorize_stores_each_image_once(tmp_path: Any) -> None:
    out = tmp_path / "nn.safetensors"
    data = DIGITS.part(10)
    train(info("nearest-neighbour"), TrainConfig(1, recipe=Memorize()), data, out)
    bundle = load_bundle(out)
    assert bundle.info.arguments == {"stored": len(data)}
    x = torch.from_numpy(data.batch(np.arange(len(data))))
    assert torch.equal(bundle.module(x).argmax(dim=1), torch.from_numpy(data.labels.copy()))
    assert int(bundle.module[1].filled) == len(data)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Convex(epsilon=0.0), "epsilon is a number above 0"),
        (lambda: Convex(epsilon=0.1, norm="l1"), "the recipe 'convex' is measured in l2, linf, got 'l1'"),
        (lambda: Convex(epsilon=0.1, first=1.5), r"first is a share in \[0, 1\]"),
        (lambda: Convex(epsilon=0.1, clean=-1.0), "clean is a number from 0 on"),
        (lambda: Convex(epsilon=0.1, projections=-1), "projections is a whole number"),
        (lambda: Convex(epsilon=0.1, intervals=1.5), r"intervals is a share in \[0, 1\]"),
        (lambda: Convex(epsilon=0.1, norm="l2", intervals=0.5), "intervals are for norm=linf"),
        (lambda: Convex(epsilon=0.1).check(Gaussian(0.5), TrainConfig()), "trains without noise"),
        (lambda: Convex(epsilon=0.1).check(None, TrainConfig(precision="bfloat16")), "float32"),
        (lambda: Intervals(epsilon=0.0), "epsilon is a number above 0"),
        (lambda: Intervals(epsilon=0.1, standard=2.0), r"standard is a share in \[0, 1\]"),
        (lambda: Intervals(epsilon=0.1, inputs="some"), "inputs is 'all'"),
        (
            lambda: Intervals(epsilon=0.1).check(None, TrainConfig(precision="bfloat16")),
            "'intervals' trains in float32",
        ),
        (lambda: Memorize().check(None, TrainConfig(epochs=2)), "one epoch"),
        (lambda: Memorize().check(None, TrainConfig(epochs=1, ema=0.9)), "one epoch"),
        (lambda: Memorize().prepare(small()), "nearest-neighbour"),
        (lambda: Memorize().outcome(_shared()), "one process"),
        (lambda: Autoencoder(reconstruction=-1.0), "reconstruction"),
        (lambda: info("fc", widths=(1.5,)).build(), "positive whole numbers"),
        (lambda: info("fc", widths=(float("nan"),)).build(), "positive whole numbers"),
        (lambda: info("fc", widths=(float("inf"),)).build(), "positive whole numbers"),
        (lambda: info("fc", activation="sine").build(), "relu, sigmoid, tanh, identity"),
        (lambda: info("autoencoder", codes=0).build(), "codes"),
    ],
)
def test_what_is_refused(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def _shared() -> Step:
    """Three of the six images of a minibatch."""
    made = step(info("nearest-neighbour", stored=6).build())
    return replace(made, x=made.x[:3], labels=made.labels[:3])
