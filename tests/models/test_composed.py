"""Base classifiers made of others: what they compute, what they keep, what is refused."""

import pytest
import torch
from torch import nn

from holdfast.errors import UsageError
from holdfast.models.architectures import build
from holdfast.models.architectures.base import build_normalized
from holdfast.models.architectures.composed import Denoised, Ensemble

PLAIN = {"architecture": "digits-cnn", "arguments": {}, "mean": (0.3,), "std": (0.4,)}
MLP = {"architecture": "digits-mlp", "arguments": {"widths": [16]}, "mean": None, "std": None}


def test_an_ensemble_is_the_mean_of_its_members() -> None:
    torch.manual_seed(0)
    module = build("ensemble", (1, 8, 8), 10, {"members": [PLAIN, MLP, MLP]}).eval()
    assert isinstance(module, Ensemble)
    x = torch.rand(5, 1, 8, 8)
    first, second, third = (member(x) for member in module.members)
    torch.testing.assert_close(module(x), (first + second + third) / 3)
    assert not torch.equal(second, third), "members of one architecture have weights of their own"


def test_a_denoised_classifier_classifies_what_the_denoiser_makes() -> None:
    classifier = build_normalized(PLAIN, (1, 8, 8), 10).eval()
    module = Denoised(nn.AvgPool2d(3, stride=1, padding=1), classifier).eval()
    x = torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(module(x), classifier(nn.functional.avg_pool2d(x, 3, 1, 1)))


def test_the_denoiser_alone_is_trained() -> None:
    module = build("denoised", (1, 8, 8), 10, {"classifier": PLAIN, "depth": 3, "width": 4}).train()
    assert isinstance(module, Denoised)
    assert module.denoiser.training
    assert not any(part.training for part in module.classifier.modules())
    assert all(parameter.requires_grad for parameter in module.denoiser.parameters())
    assert not any(parameter.requires_grad for parameter in module.classifier.parameters())
    # A residual network: without its last layer, it is the identity.
    last = list(module.denoiser.modules())[-1]
    assert isinstance(last, nn.Conv2d)
    nn.init.zeros_(last.weight)
    assert last.bias is not None
    nn.init.zeros_(last.bias)
    x = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(module.denoiser(x), x)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("ensemble", {"members": []}, "at least one member, got none"),
        ("ensemble", {}, "architecture 'ensemble' needs the argument 'members'"),
        ("denoised", {"depth": 3}, "architecture 'denoised' needs the argument 'classifier'"),
        ("denoised", {"classifier": PLAIN, "depth": 1}, "depth at least 2 and width at least 1, got 1 and 64"),
    ],
)
def test_wrong_arguments_are_refused(name: str, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(name, (1, 8, 8), 10, arguments)
