"""MagNet and feature squeezing: what they reject, and what adversaries see of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import holdfast as hf
from holdfast.attacks import Access, DefendedTarget, attack_from_dict
from holdfast.attacks.target import ABSTAINS
from holdfast.bounds import Classifier
from holdfast.bounds.methods.crown import Crown
from holdfast.errors import UsageError
from holdfast.models.architectures import build
from holdfast.models.architectures.squeezing import medians
from holdfast.sampling.classifier import VotingClassifier
from holdfast.training.recipes.squeezing import upper_quantile

SHAPE = (1, 8, 8)


def squeezing(**arguments):
    torch.manual_seed(0)
    module = build("feature-squeezing", SHAPE, 10, {"classifier": "digits-mlp", **arguments}).eval()
    # Sure enough for distances of all sizes.
    module.classifier.requires_grad_(False)
    for each in module.classifier.parameters():
        each *= 3.0
    return module


def magnet():
    torch.manual_seed(0)
    module = build("magnet", SHAPE, 10, {"classifier": "digits-mlp"}).eval()
    module.thresholds.copy_(torch.tensor([0.09, 0.25]))
    return module


@pytest.mark.parametrize("window", [2, 3])
def test_medians_are_those_of_the_windows(window):
    x = torch.rand(2, 3, 5, 6)
    wide = np.pad(x.numpy(), ((0, 0), (0, 0), *[(window // 2, (window - 1) // 2)] * 2), mode="reflect")
    for row in range(5):
        for column in range(6):
            part = wide[:, :, row : row + window, column : column + window].reshape(2, 3, -1)
            expected = np.sort(part, axis=2)[:, :, window * window // 2]
            assert np.array_equal(medians(x, window)[:, :, row, column].numpy(), expected)


def test_a_quantile_is_exceeded_by_no_more_than_its_share():
    values = torch.tensor([5.0, 1.0, 3.0, 2.0, 4.0, 4.0, 0.0, 9.0, 8.0, 7.0])
    for share, beyond in ((0.0, 0), (0.05, 0), (0.1, 1), (0.3, 3), (0.99, 9)):
        assert int((values > upper_quantile(values, share)).sum()) == beyond


def test_squeezing_rejects_what_lies_beyond_the_threshold():
    module, x = squeezing(), torch.rand(60, *SHAPE)
    rounded = (x >= 0.5).float()
    own, other, smooth = (module.classifier(each).softmax(dim=1) for each in (x, rounded, medians(x, 2)))
    expected = torch.maximum((own - other).abs().sum(dim=1), (own - smooth).abs().sum(dim=1))
    torch.testing.assert_close(module.distances(x).amax(dim=1), expected)
    module.threshold.fill_(float(expected.median()))
    target = DefendedTarget(module, 10, SHAPE)
    assert torch.equal(target.decide(x) == ABSTAINS, expected > module.threshold)
    kept = target.decide(x) != ABSTAINS
    assert 10 < int(kept.sum()) < 50
    assert torch.equal(target.decide(x)[kept], module(x).argmax(dim=1)[kept])


def test_the_gradient_of_suspicion_does_not_vanish_with_sure_answers():
    module = squeezing()
    for each in module.classifier.parameters():
        each *= 10.0
    x = torch.rand(20, *SHAPE, requires_grad=True)
    value = module.suspicion(x)
    sure = module.distances(x).amax(dim=1) > 1.9
    assert sure.any()
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert (gradient[sure].abs().flatten(1).amax(dim=1) > 0).all()


def test_magnet_reforms_and_rejects_by_its_thresholds():
    module, x = magnet(), torch.rand(40, *SHAPE)
    first, second = module.autoencoders
    errors = torch.stack(
        [(x - first(x)).square().flatten(1).mean(dim=1), (x - second(x)).abs().flatten(1).mean(dim=1)], dim=1
    )
    rejected = (errors > torch.tensor([0.09, 0.25])).any(dim=1)
    assert 0 < int(rejected.sum()) < 40
    target = DefendedTarget(module, 10, SHAPE)
    assert torch.equal(target.decide(x) == ABSTAINS, rejected)
    assert torch.equal(module(x), module.classifier(first(x)))
    torch.testing.assert_close(target.logits(x), module.classifier(x), msg="a naive adversary knows of no reformer")
    assert target.gives is Access.GRADIENTS


@pytest.mark.parametrize("name", ["magnet", "feature-squeezing"])
def test_until_thresholds_are_set_nothing_is_rejected(name):
    fresh = build(name, SHAPE, 10).eval()
    assert (fresh.suspicion(torch.rand(30, *SHAPE)) <= 0).all()


def test_an_adaptive_attack_finds_only_what_is_accepted():
    module = squeezing()
    x = torch.rand(12, *SHAPE)
    module.threshold.fill_(float(module.distances(x).amax(dim=1).median()))
    target = DefendedTarget(module, 10, SHAPE)
    answers = target.decide(x)
    attack = attack_from_dict({"name": "cw-adaptive", "steps": 40, "searches": 3})
    found = 0
    for row, answer in zip(x, answers.tolist(), strict=True):
        if answer == ABSTAINS:
            continue
        adversarial = attack.run(target, row, answer)
        if adversarial is not None:
            found += 1
            assert int(target.decide(adversarial[None])[0]) not in (answer, ABSTAINS)
            assert float(module.suspicion(adversarial[None])) <= 0
    assert found >= 2


@pytest.mark.parametrize(
    ("name", "shape", "arguments", "message"),
    [
        ("magnet", (1, 7, 8), {}, "even heights"),
        ("magnet", SHAPE, {"width": 0}, "width"),
        ("magnet", (5,), {}, "takes images"),
        ("feature-squeezing", SHAPE, {"bits": 0}, "bits"),
        ("feature-squeezing", SHAPE, {"window": 9}, "window"),
        ("feature-squeezing", (5,), {}, "takes images"),
    ],
)
def test_detectors_that_cannot_be_built(name, shape, arguments, message):
    with pytest.raises(UsageError, match=message):
        build(name, shape, 10, arguments)


@pytest.mark.parametrize("wrapped", [lambda m: m, lambda m: nn.Sequential(m).eval(), lambda m: VotingClassifier(m, 10)])
def test_what_rejects_inputs_is_not_smoothed(wrapped):
    with pytest.raises(UsageError, match="rejects inputs"):
        hf.SmoothedClassifier(wrapped(squeezing()), hf.Gaussian(0.25), num_classes=10)


def test_what_rejects_inputs_has_no_bound():
    with pytest.raises(UsageError, match="rejects inputs"):
        Crown(epsilon=0.1).on(Classifier(squeezing(), SHAPE, 10))
