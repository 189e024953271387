"""Training for a Lipschitz margin: the estimates, their gradients, the loss, and that certificates grow by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from holdfast.bounds import Classifier
from holdfast.bounds.methods.lipschitz import Lipschitz
from holdfast.data import open_data
from holdfast.errors import UsageError
from holdfast.models.architectures import build
from holdfast.models.bundle import BundleInfo, InputSpace, load_bundle
from holdfast.noises.gaussian import Gaussian
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.training.recipes import LipschitzMargin, Standard
from holdfast.training.recipes.base import Step

DIGITS = open_data("digits", None, "train", {})


def info(architecture: str, **arguments: Any) -> BundleInfo:
    mean, std = DIGITS.channel_statistics()
    space = InputSpace(DIGITS.shape, DIGITS.low, DIGITS.high, mean, std)
    return BundleInfo(architecture, arguments, space, None, DIGITS.class_names, {})


def step(module: nn.Module, progress: float = 1.0, **config: Any) -> Step:
    def drawn(make: Any) -> torch.Tensor:
        return make(16, torch.Generator().manual_seed(2))

    x = torch.from_numpy(DIGITS.batch(np.arange(16)))
    labels = torch.from_numpy(DIGITS.labels[:16].copy())
    space = InputSpace((1, 8, 8), 0.0, 1.0)
    return Step(module, module, x, labels, TrainConfig(**config), space, progress, None, None, drawn)


def wide() -> nn.Module:
    torch.manual_seed(0)
    return build("wide-resnet", (1, 8, 8), 10, {"depth": 10, "width": 1, "shortcut": "average"})


@pytest.mark.parametrize("last", ["rows", "norm"])
@pytest.mark.parametrize("made", [wide, lambda: info("wong-small").build(), lambda: info("fc", widths=[20, 9]).build()])
def test_estimates_are_just_below_the_bound_that_certifies(made: Any, last: str) -> None:
    torch.manual_seed(0)
    module = made().eval()
    on = Classifier(module, (1, 8, 8), 10)
    bound = Lipschitz().on(on).method.slopes
    found = LipschitzMargin(margin=0.1, iterations=300, last=last).slopes(on).detach().double()
    others = ~torch.eye(10, dtype=torch.bool)
    assert torch.equal(found.diagonal(), torch.zeros(10, dtype=torch.float64))
    ratio = (found / bound)[others]
    if last == "rows":
        assert float(ratio.max()) <= 1.0 + 1e-5
        assert float(ratio.min()) >= 0.8
    else:
        # sqrt(2) times the norm of the last layer is no smaller than the difference of two rows.
        assert float(ratio.min()) >= 0.8
        assert float(found[others].max()) == float(found[others].min())


def test_more_iterations_come_closer() -> None:
    on = Classifier(wide().eval(), (1, 8, 8), 10)
    means = [
        float(torch.stack([LipschitzMargin(0.1, iterations=n).slopes(on)[0, 1].detach() for _ in range(5)]).mean())
        for n in (1, 10, 100)
    ]
    assert means[0] < means[1] < means[2]


def test_gradients_are_those_of_the_largest_singular_values() -> None:
    module = info("fc", widths=[20]).build()
    first, last = (part for part in module.modules() if isinstance(part, nn.Linear))
    LipschitzMargin(0.1, iterations=2000).slopes(Classifier(module.eval(), (1, 8, 8), 10))[0, 1].backward()
    exact = nn.Parameter(first.weight.detach().clone()), nn.Parameter(last.weight.detach().clone())
    std = DIGITS.channel_statistics()[1][0]
    (2**0.5 * torch.linalg.matrix_norm(exact[0], 2) * torch.linalg.matrix_norm(exact[1], 2) / std).backward()
    for ours, true in zip((first, last), exact, strict=True):
        assert ours.weight.grad is not None
        assert true.grad is not None
        assert float((ours.weight.grad - true.grad).norm()) <= 0.02 * float(true.grad.norm())


def test_all_logits_but_the_right_one_rise_by_the_margin() -> None:
    module = info("fc", widths=[20]).build()
    made = step(module, label_smoothing=0.0)
    torch.manual_seed(5)
    loss, raised, labels = LipschitzMargin(0.3, iterations=200).outcome(made)
    logits = module(made.x)
    torch.manual_seed(5)
    slopes = LipschitzMargin(0.3, iterations=200).slopes(Classifier(module, (1, 8, 8), 10))
    rise = raised - logits
    own = torch.zeros_like(rise, dtype=torch.bool).scatter_(1, labels.unsqueeze(1), True)
    assert torch.equal(rise[own], torch.zeros(16))
    torch.testing.assert_close(rise[~own], torch.full((144,), 0.3 * float(slopes[0, 1].detach())))
    assert loss.item() == pytest.approx(cross_entropy(raised, labels).item(), rel=1e-6)
    assert loss.item() > cross_entropy(logits, labels).item()


def test_batch_normalization_counts_with_the_variance_of_the_minibatch() -> None:
    """Weights twice as large make no difference behind such a layer, and the running variance is left alone."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8, eps=1e-9), nn.ReLU(), nn.Linear(8, 10))
    recipe, rises = LipschitzMargin(1.0, iterations=200, last="rows"), []
    for factor in (1.0, 4.0):
        with torch.no_grad():
            module[1].weight.mul_(factor)
            module[1].bias.mul_(factor)
        made = step(module.train())
        running = module[2].running_var
        loss, raised, _ = recipe.outcome(made)
        assert module[2].running_var is running
        assert not running.requires_grad
        rises.append(float((raised - module(made.x)).detach().max()))
        module.zero_grad()
        loss.backward()
        gradient = module[1].weight.grad
        assert gradient is not None
        # The loss does not depend on the length of the weights.
        weight = module[1].weight.detach()
        along = float((gradient * weight).sum() / (gradient.norm() * weight.norm()))
        assert abs(along) < 1e-3
    assert rises[0] == pytest.approx(rises[1], rel=1e-3)
    assert not module[2]._forward_pre_hooks


def test_training_raises_certified_radii(tmp_path: Any) -> None:
    config: dict[str, Any] = {"epochs": 10, "batch_size": 50, "optimizer": "adamw", "learning_rate": 0.003}
    held_out = open_data("digits", None, "test", {})
    x, labels = torch.from_numpy(held_out.batch(np.arange(100))), held_out.labels[:100]
    certified = {}
    for recipe in (Standard(), LipschitzMargin(0.5, warm_up=0.3)):
        out = tmp_path / f"{recipe.name}.safetensors"
        train(info("fc", widths=[64]), TrainConfig(recipe=recipe, weight_decay=0.0, **config), DIGITS, out)
        module = load_bundle(out).module.eval()
        found = Lipschitz().on(Classifier(module, (1, 8, 8), 10)).certify(x)
        certified[recipe.name] = sum(
            each.label == label and each.radius >= 0.5 for each, label in zip(found, labels, strict=True)
        )
    assert certified["lipschitz-margin"] > certified["standard"] + 20


def test_a_resumed_training_has_the_same_power_iterations() -> None:
    """Starts are drawn from the step's own randomness, so that nothing has to be kept."""
    module = wide()
    first, second, third = (
        LipschitzMargin(0.1).slopes(Classifier(module, (1, 8, 8), 10))[0, 1].item()
        for seed in (1, 1, 2)
        if torch.manual_seed(seed)
    )
    assert first == second != third


def test_the_margin_rises() -> None:
    recipe = LipschitzMargin(0.2, first=0.5, warm_up=0.5)
    assert [recipe.margin_at(share) for share in (0.0, 0.25, 0.5, 0.9)] == pytest.approx([0.1, 0.15, 0.2, 0.2])
    assert LipschitzMargin(0.2, warm_up=0.0).margin_at(0.0) == 0.2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"margin": 0.0}, "margin is a number above 0 in input units, got 0.0"),
        ({"margin": float("inf")}, "margin is a number above 0"),
        ({"margin": 0.1, "first": 1.5}, r"first is a share in \[0, 1\], got 1.5"),
        ({"margin": 0.1, "warm_up": -0.1}, "warm_up is a number from 0 on"),
        ({"margin": 0.1, "iterations": 0}, "iterations is a whole number from 1 on, got 0"),
        ({"margin": 0.1, "last": "columns"}, "last is one of norm, rows, got 'columns'"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LipschitzMargin(**settings)


def test_what_it_does_not_train_for() -> None:
    with pytest.raises(UsageError, match="trains without noise"):
        LipschitzMargin(0.1).check(Gaussian(0.5), TrainConfig())
    with pytest.raises(UsageError, match="trains in float32, got precision 'bfloat16'"):
        LipschitzMargin(0.1).check(None, TrainConfig(precision="bfloat16"))
    with pytest.raises(UsageError, match="last layer is fully connected"):
        LipschitzMargin(0.1).outcome(step(nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.ReLU())))
