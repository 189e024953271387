"""What all bounds share: the table, the inputs that are refused, and modules that cannot be certified."""

from __future__ import annotations

import pytest
import torch
from networks import classifier, convolutional, in_ball, inputs, relu_network
from torch import nn

from holdfast.bounds import Classifier, bound_classes, bound_from_dict
from holdfast.bounds.methods.convex import Convex
from holdfast.bounds.methods.linear import Linear
from holdfast.bounds.methods.lipschitz import Lipschitz
from holdfast.errors import ClassifierError, InputError, UsageError

GIVEN = {"convex": {"epsilon": 0.1}, "lirpa": {"epsilon": 0.1}}


def test_bounds_are_found_and_described():
    assert list(bound_classes()) == ["convex", "linear", "lipschitz", "lirpa", "nearest"]
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


class _Residual(nn.Sequential):
    """Made of layers that bounds know, and computes something else."""

    def forward(self, x):
        return x + super().forward(x)


class _Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def _hooked(module):
    module[0].register_forward_hook(lambda layer, given, found: -found)
    return module


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
        (nn.Sequential(nn.Linear(8, 3)), (1, 8, 8), r"does not take values of shape \(1, 8, 8\)"),
        (nn.Sequential(nn.Linear(5, 3)), (4,), r"does not take values of shape \(4,\)"),
        (nn.Sequential(nn.Conv2d(3, 1, 1), nn.Flatten(), nn.Linear(64, 3)), (1, 8, 8), "does not take values"),
        (_Residual(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)), (3,), "got a _Residual"),
        (nn.Sequential(_Doubled(3, 3)), (3,), "got a _Doubled"),
        (_hooked(nn.Sequential(nn.Linear(3, 3))), (3,), "layers without hooks"),
    ],
)
def test_networks_that_bounds_do_not_know(module, shape, message):
    with pytest.raises(UsageError, match=message):
        Convex(epsilon=0.1).on(Classifier(module.eval(), shape, 3))


def test_no_inputs_have_no_certificates():
    assert Convex(epsilon=0.1).on(classifier(convolutional(), (1, 8, 8), 3)).certify(inputs(0, (1, 8, 8))) == []


def test_a_classifier_that_answers_one_class_has_a_finite_radius():
    module = nn.Sequential(nn.Linear(3, 2)).eval()
    with torch.no_grad():
        module[0].weight.zero_()
        module[0].bias.copy_(torch.tensor([1e30, 0.0]))
    for bound in (Linear(), Lipschitz()):
        (found,) = bound.on(classifier(module, (3,), 2)).certify(inputs(1, (3,)))
        assert found.label == 0
        assert 1e100 < found.radius < float("inf")


def test_layers_without_biases():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 10, bias=False), nn.ReLU(), nn.Linear(10, 3, bias=False)).eval()
    x = inputs(10, (6,))
    for bound in (Convex(epsilon=0.02), Lipschitz()):
        certificates = bound.on(classifier(module, (6,), 3)).certify(x)
        assert any(each.radius for each in certificates)
        for each, point in zip(certificates, x, strict=True):
            with torch.no_grad():
                tried = in_ball(point, each.radius, bound.measure.value.lower(), 500)
                assert (module.double()(tried).argmax(dim=1) == each.label).all()
            module.float()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_classes": 1}, "two classes or more"),
        ({"low": 1.0, "high": 1.0}, "finite low < high"),
        ({"low": float("nan")}, "finite low < high"),
    ],
)
def test_classifiers_that_are_none(given, message):
    with pytest.raises(UsageError, match=message):
        Classifier(**{"module": relu_network(4, 3), "shape": (4,), "num_classes": 3, **given})


def test_the_version_of_a_package_that_was_not_installed_as_one(monkeypatch):
    monkeypatch.setattr(Convex, "packages", ("networks",))
    assert Convex(epsilon=0.1).versions() == {"networks": "unknown"}
