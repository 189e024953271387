"""The activations of a perceptron: each is the function of its name, and identity leaves a linear classifier."""

from __future__ import annotations

import pytest
import torch

from holdfast.bounds.base import Classifier
from holdfast.bounds.methods.convex import Convex
from holdfast.errors import UsageError
from holdfast.models.architectures.fully_connected import ACTIVATIONS, fully_connected

X = torch.linspace(-2.0, 2.0, 24).view(4, 6)
FUNCTIONS = {
    "relu": lambda x: x.clamp(min=0.0),
    "sigmoid": lambda x: 1.0 / (1.0 + (-x).exp()),
    "tanh": lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
    "identity": lambda x: x,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_activation_is_the_function_of_its_name(name: str) -> None:
    torch.manual_seed(1)
    network = fully_connected((6,), 3, widths=(5,), activation=name)
    first, last = (layer for layer in network if isinstance(layer, torch.nn.Linear))
    expected = FUNCTIONS[name](X @ first.weight.T + first.bias) @ last.weight.T + last.bias
    assert torch.allclose(network(X), expected, atol=1e-6)


def test_identity_leaves_a_linear_classifier() -> None:
    network = fully_connected((6,), 3, widths=(5, 4), activation="identity").double()
    x, y = X.double(), X.double().flip(0)
    middle = (network(x) + network(y)) / 2
    assert torch.allclose(network((x + y) / 2), middle)
    curved = fully_connected((6,), 3, widths=(5, 4), activation="tanh").double()
    assert not torch.allclose(curved((x + y) / 2), (curved(x) + curved(y)) / 2)


def test_the_convex_bound_refuses_what_is_not_its_relu() -> None:
    network = fully_connected((6,), 3, widths=(5,), activation="tanh").eval()
    with pytest.raises(UsageError, match="Tanh"):
        Convex(epsilon=0.1).prepare(Classifier(network, (6,), 3))
