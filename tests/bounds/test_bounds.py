"""The common part of all bounds: the table, refused inputs, and modules that cannot be certified."""

from __future__ import annotations

import pytest
import torch
from networks import classifier, convolutional, in_ball, inputs, relu_network
from torch import nn

from holdfast.bounds import Classifier, bound_classes, bound_from_dict
from holdfast.bounds.base import checked_batch
from holdfast.bounds.methods.convex import Convex
from holdfast.bounds.methods.crown import Crown
from holdfast.bounds.methods.linear import Linear
from holdfast.bounds.methods.lipschitz import Lipschitz
from holdfast.bounds.methods.nearest import Nearest
from holdfast.errors import ClassifierError, InputError, UsageError
from holdfast.estimators.proved import MOST_RADIUS
from holdfast.models.architectures.nearest import NearestNeighbour
from holdfast.models.architectures.prototypes import Prototypes
from holdfast.models.normalization import Normalization

GIVEN = {name: {"epsilon": 0.1} for name in ("convex", "crown", "intervals", "lirpa")}


def test_bounds_are_found_and_described():
    assert list(bound_classes()) == [
        "convex",
        "crown",
        "double-masking",
        "intervals",
        "linear",
        "lipschitz",
        "lirpa",
        "nearest",
        "threshold-votes",
    ]
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


class _Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class _Attracted(Prototypes):
    def forward(self, x):
        return -super().forward(x)


class _Stretched(Normalization):
    def forward(self, x):
        return 100 * super().forward(x)


class _Farthest(NearestNeighbour):
    def forward(self, x):
        return -super().forward(x)


def _replaced(module):
    """Its first layer has its own forward."""
    layer = module[0]
    layer.forward = lambda x: -nn.functional.linear(x, layer.weight, layer.bias)
    return module


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
        (nn.Sequential(nn.Flatten(2), nn.Flatten(), nn.Linear(64, 3)), (1, 8, 8), "flatten whole inputs"),
        (nn.Sequential(nn.Linear(8, 3)), (1, 8, 8), r"does not take values of shape \(1, 8, 8\)"),
        (nn.Sequential(nn.Linear(5, 3)), (4,), r"does not take values of shape \(4,\)"),
        (nn.Sequential(nn.Conv2d(3, 1, 1), nn.Flatten(), nn.Linear(64, 3)), (1, 8, 8), "does not take values"),
        (nn.Sequential(_Doubled(3, 3)), (3,), "got a _Doubled"),
        (_hooked(nn.Sequential(nn.Linear(3, 3))), (3,), "layers without hooks"),
        (_replaced(nn.Sequential(nn.Linear(3, 3))), (3,), "the forward of their class"),
        (nn.Sequential(_Stretched((0.0,), (1.0,), 1), nn.Linear(3, 3)), (3,), "got a _Stretched"),
        (
            nn.Sequential(Normalization((0.0,) * 3, (1.0, 1.0, 1e-3), 1), nn.Flatten(), nn.Linear(27, 3)),
            (3, 3, 3),
            r"got one of values of shape \(3,\) and \(3,\); its dimensions are 3",
        ),
        (nn.Sequential(Normalization((0.0,), (-1.0,), 1), nn.Linear(3, 3)), (3,), "finite numbers above 0"),
    ],
)
def test_networks_that_bounds_do_not_know(module, shape, message):
    with pytest.raises(UsageError, match=message):
        Convex(epsilon=0.1).on(Classifier(module.eval(), shape, 3))


@pytest.mark.parametrize(
    ("front", "kind", "message"),
    [
        (nn.Identity(), _Farthest, "architecture nearest-neighbour"),
        (_Stretched((0.0,), (1.0,), 1), NearestNeighbour, "nothing but a normalization"),
        (Normalization((0.0,), (-1.0,), 1), NearestNeighbour, "finite numbers above 0"),
        (Normalization((0.0,) * 3, (1.0,) * 3, 1), NearestNeighbour, "a normalization of each channel"),
    ],
)
def test_neighbours_that_are_none(front, kind, message):
    module = kind((2,), 2, 2)
    module.store(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1]))
    with pytest.raises(UsageError, match=message):
        Nearest().on(classifier(nn.Sequential(front, module).eval(), (2,), 2))


@pytest.mark.parametrize("bound", [Linear(), Lipschitz(), Convex(epsilon=0.1), Crown(epsilon=0.1)])
def test_a_module_that_computes_something_else_than_its_layers(bound):
    """Types and hooks do not show it, but the logits do."""
    module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(4, 3)).eval()
    module[0]._conv_forward = lambda x, weight, bias: -x
    with pytest.raises(UsageError, match=r"a logit is .* away from theirs, and rounding explains"):
        bound.on(Classifier(module, (1, 2, 2), 3))


def test_prototypes_that_are_none():
    with pytest.raises(UsageError, match="architecture nearest-neighbour or prototypes"):
        Nearest().on(classifier(nn.Sequential(_Attracted((2,), 2, 3)).eval(), (2,), 2))
    module = Prototypes((2,), 2, 3).eval()
    module.register_forward_hook(lambda module, given, found: -found)
    with pytest.raises(UsageError, match="hooks"):
        Nearest().on(classifier(nn.Sequential(module).eval(), (2,), 2))
    # The bound takes the classes that the module computes with.
    module = Prototypes((2,), 2, 3).eval()
    module.labels = module.labels.flip(0)
    (found,) = Nearest().on(classifier(nn.Sequential(module).eval(), (2,), 2)).certify(module.points[:1].detach())
    assert found.label == 1


def test_a_nearest_neighbour_that_computes_something_else(monkeypatch):
    module = NearestNeighbour((2,), 2, 2)
    module.store(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1]))
    monkeypatch.setattr(NearestNeighbour, "forward", lambda self, x: (x.unsqueeze(1) - self.images).square().sum(dim=2))
    with pytest.raises(UsageError, match="a logit is"):
        Nearest().on(classifier(nn.Sequential(module).eval(), (2,), 2))


def test_a_module_for_another_number_of_classes_or_without_float64():
    module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(4, 3)).eval()
    module[0]._conv_forward = lambda x, weight, bias: x.float()
    with pytest.raises(UsageError, match="cannot be computed in float64"):
        Convex(epsilon=0.1).on(Classifier(module, (1, 2, 2), 3))
    stored = NearestNeighbour((2,), 2, 2)
    stored.store(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1]))
    with pytest.raises(UsageError, match=r"returns values of shape \(8, 2\)"):
        Nearest().on(classifier(nn.Sequential(stored).eval(), (2,), 3))


@pytest.mark.parametrize("bound", [Convex(epsilon=0.1), Lipschitz()])
def test_inputs_are_left_as_they_are(bound):
    module = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(2, 2)).eval()
    x = torch.tensor([[-0.5, 0.75]], dtype=torch.float64)
    kept = x.clone()
    (found,) = bound.on(Classifier(module, (2,), 2, -1.0, 1.0)).certify(x)
    assert torch.equal(x, kept)
    assert checked_batch(Classifier(module, (2,), 2, -1.0, 1.0), x).data_ptr() != x.data_ptr()
    plain_module = nn.Sequential(nn.ReLU(), module[1]).eval()
    assert bound.on(Classifier(plain_module, (2,), 2, -1.0, 1.0)).certify(x) == [found]


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
        assert found.radius == MOST_RADIUS


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
