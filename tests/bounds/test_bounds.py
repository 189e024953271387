"""What all bounds share: the table, the inputs that are refused, and modules that cannot be certified."""

from __future__ import annotations

import pytest
import torch
from networks import classifier, convolutional, inputs, relu_network
from torch import nn

from holdfast.bounds import Classifier, bound_classes, bound_from_dict, bound_names
from holdfast.bounds.methods.convex import Convex
from holdfast.bounds.methods.lipschitz import Lipschitz
from holdfast.errors import ClassifierError, InputError, UsageError

GIVEN = {"convex": {"epsilon": 0.1}, "lirpa": {"epsilon": 0.1}}


def test_bounds_are_found_and_described():
    assert bound_names() == ["convex", "linear", "lipschitz", "lirpa", "nearest"]
    for name, kind in bound_classes().items():
        bound = bound_from_dict({"name": name, **GIVEN.get(name, {})})
        assert bound_from_dict(bound.to_dict()) == bound
        assert bound.measure is kind.norms[0]
        assert kind.source
        assert kind.assumption.endswith(".")
        assert kind.__doc__


def test_unknown_bound():
    with pytest.raises(UsageError, match="unknown bound 'polytope'; known are convex"):
        bound_from_dict({"name": "polytope"})


def test_inputs_outside_the_space_are_refused():
    bounded = Convex(epsilon=0.1).on(classifier(convolutional(), (1, 8, 8), 3))
    x = inputs(2, (1, 8, 8))
    with pytest.raises(InputError, match=r"batch of inputs of shape \(1, 8, 8\)"):
        bounded.certify(x[0])
    broken = x.clone()
    broken[1, 0, 0, 0] = torch.nan
    with pytest.raises(InputError, match="input 1 of the batch has 1 values that are NaN"):
        bounded.certify(broken)
    with pytest.raises(InputError, match="Nothing is clipped"):
        bounded.certify(x + 1.0)


def test_modules_in_training_mode_and_diverged_ones_are_refused():
    module = relu_network(4, 8, 3)
    with pytest.raises(ClassifierError, match="training mode"):
        Lipschitz().on(classifier(module.train(), (4,), 3))
    module.eval()
    with torch.no_grad():
        module[0].weight[0, 0] = torch.inf
    with pytest.raises(ClassifierError, match="NaN or infinite"):
        Lipschitz().on(classifier(module, (4,), 3))


def test_logits_that_overflow_are_refused():
    module = relu_network(4, 8, 3)
    with torch.no_grad():
        module[0].weight.fill_(3e38)
        module[2].weight.fill_(3e38)
    module = nn.Sequential(*module, nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), *[nn.Linear(3, 3) for _ in range(9)]).eval()
    with torch.no_grad():
        for layer in module:
            if isinstance(layer, nn.Linear):
                layer.weight.fill_(3e38)
    with pytest.raises(ClassifierError, match="infinite"):
        Lipschitz().on(classifier(module, (4,), 3)).certify(inputs(1, (4,)))


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.Tanh()), (1, 8, 8), "got a Tanh"),
        (nn.Sequential(nn.Linear(4, 5), nn.ReLU()), (4,), "last layer is fully connected"),
        (nn.Sequential(nn.Linear(4, 5)), (4,), "3 outputs"),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3, padding=2, dilation=2), nn.Flatten(), nn.Linear(128, 3)),
            (1, 8, 8),
            "dilation",
        ),
        (nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.Flatten(), nn.Linear(18, 3)), (1, 8, 8), "steps of 2"),
        (nn.Sequential(nn.Flatten(2), nn.Flatten(), nn.Linear(64, 3)), (1, 8, 8), "flatten whole inputs"),
    ],
)
def test_networks_that_bounds_do_not_know(module, shape, message):
    with pytest.raises(UsageError, match=message):
        Convex(epsilon=0.1).on(Classifier(module.eval(), shape, 3))
