"""Margins of linear and nearest-neighbour classifiers and Lipschitz constants, against formulas and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from networks import attacked, classifier, convolutional, in_ball, inputs, relu_network
from scipy.optimize import minimize
from torch import nn

from holdfast.bounds.methods.linear import Linear
from holdfast.bounds.methods.lipschitz import Lipschitz
from holdfast.bounds.methods.nearest import Nearest
from holdfast.bounds.norms import spectral_norm
from holdfast.errors import UsageError
from holdfast.models.architectures import build
from holdfast.models.normalization import Normalization

ORDERS = {"linf": 1, "l2": 2, "l1": math.inf}


@pytest.mark.parametrize("norm", ORDERS)
def test_linear_is_the_distance_to_the_nearest_plane(norm):
    module = relu_network(5, 4, mean=0.4, seed=2)
    weight = module[1][0].weight.detach().double().numpy() / 0.5
    x = inputs(20, (5,))
    for point, found in zip(x, Linear(norm=norm).on(classifier(module, (5,), 4)).certify(x), strict=True):
        logits = module.double()(point.double().unsqueeze(0))[0].detach().numpy()
        label = int(logits.argmax())
        expected = min(
            (logits[label] - logits[j]) / np.linalg.norm(weight[label] - weight[j], ORDERS[norm])
            for j in range(4)
            if j != label
        )
        assert found.label == label
        assert expected * (1 - 1e-9) <= found.radius <= expected
        module.float()


def test_linear_normalizes_each_channel():
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    module = nn.Sequential(Normalization((0.1, 0.2, 0.3), (0.5, 0.25, 2.0), 3), inner).eval()
    x = inputs(10, (3, 2, 2))
    for point, found in zip(x, Linear().on(classifier(module, (3, 2, 2), 3)).certify(x), strict=True):
        module.double()
        scale = 1.0 / torch.tensor([0.5, 0.25, 2.0]).double().repeat_interleave(4)
        towards = (inner[1].weight.detach() - inner[1].weight.detach()[found.label]) * scale
        beyond = point.double() + 1.001 * found.radius * (towards / (towards.norm(dim=1, keepdim=True) + 1e-30)).view(
            3, 3, 2, 2
        )
        with torch.no_grad():
            assert (module(in_ball(point, found.radius, "l2", 3_000)).argmax(dim=1) == found.label).all()
            assert (module(beyond).argmax(dim=1) != found.label).any()
        module.float()


def test_linear_takes_one_layer():
    with pytest.raises(UsageError, match="without hidden layers"):
        Linear().on(classifier(nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3)).eval(), (4,), 3))
    with pytest.raises(UsageError, match="without hidden layers"):
        Linear().on(classifier(relu_network(4, 5, 3), (4,), 3))
    # The same shape, but not a scaling of each channel.
    moved = nn.Sequential(nn.Conv2d(1, 1, 1, stride=2, padding=1), nn.Flatten(), nn.Linear(9, 3)).eval()
    with pytest.raises(UsageError, match="without hidden layers"):
        Linear().on(classifier(moved, (1, 3, 3), 3))


@pytest.mark.parametrize("layer", [nn.Linear(20, 30), nn.Linear(30, 7), nn.Linear(5, 5), nn.Linear(5_000, 3)])
def test_spectral_norm_is_just_above_the_largest_singular_value(layer):
    with torch.no_grad():
        layer = layer.double()
        true = float(torch.linalg.svdvals(layer.weight)[0])
        found = spectral_norm(layer, torch.Size([layer.in_features]))
    assert true <= found <= true * 1.01


def test_spectral_norm_of_a_convolution_is_that_of_its_matrix():
    layer = nn.Conv2d(2, 3, 3, stride=1, padding=1).double().requires_grad_(False)
    each = torch.eye(32, dtype=torch.float64).view(32, 2, 4, 4)
    matrix = (layer(each) - layer(torch.zeros_like(each))).flatten(1)
    true = float(torch.linalg.svdvals(matrix)[0])
    assert true <= spectral_norm(layer, torch.Size([2, 4, 4])) <= true * 1.01


@pytest.mark.parametrize(
    ("module", "shape"), [(relu_network(6, 10, 10, 3, mean=0.4), (6,)), (convolutional(), (1, 8, 8))]
)
def test_lipschitz_holds(module, shape):
    x = inputs(6, shape)
    found = Lipschitz().on(classifier(module, shape, 3)).certify(x)
    assert any(each.radius > 0 for each in found)
    for each, point in zip(found, x, strict=True):
        tried = torch.cat(
            [in_ball(point, each.radius, "l2", 2_000), attacked(module, point, each.label, each.radius, "l2")]
        )
        with torch.no_grad():
            assert (module.double()(tried).argmax(dim=1) == each.label).all()
        module.float()


def test_lipschitz_of_a_linear_classifier_is_its_margin():
    module = relu_network(5, 4, seed=2)
    x = inputs(10, (5,))
    on = classifier(module, (5,), 4)
    for near, exact in zip(Lipschitz().on(on).certify(x), Linear().on(on).certify(x), strict=True):
        assert near.radius == pytest.approx(exact.radius, rel=1e-6)


def neighbours(count: int = 30, shape: tuple[int, ...] = (4,), normalized: bool = False) -> nn.Module:
    module = build("nearest-neighbour", shape, 3, {"stored": count})
    front = Normalization((0.4,), (0.5,), len(shape)) if normalized else nn.Identity()
    x = inputs(count, shape, seed=5)
    module.store(front(x), torch.arange(count) % 3)
    return nn.Sequential(front, module).eval()


def prototypes(per_class: int = 10) -> nn.Module:
    """The same classifier as `neighbours`, but of learned points."""
    module = build("prototypes", (4,), 3, {"per_class": per_class})
    x = inputs(3 * per_class, (4,), seed=5)
    with torch.no_grad():
        module.points.copy_(torch.cat([x[label::3] for label in range(3)]))
    return nn.Sequential(module).eval()


def test_the_nearest_neighbour_answers():
    module = neighbours()
    stored, x = inputs(30, (4,), seed=5), inputs(50, (4,))
    nearest = (x.unsqueeze(1) - stored).square().sum(dim=2).argmin(dim=1)
    assert torch.equal(module(x).argmax(dim=1), nearest % 3)


@pytest.mark.parametrize("norm", ORDERS)
def test_prototypes_are_neighbours_that_are_learned(norm):
    x = inputs(15, (4,), seed=8)
    learned, stored = prototypes(), neighbours()
    assert torch.equal(learned(x), stored(x))
    found = [Nearest(norm=norm).on(classifier(each, (4,), 3)).certify(x) for each in (learned, stored)]
    assert [each.label for each in found[0]] == [each.label for each in found[1]]
    radii = [[each.radius for each in certificates] for certificates in found]
    assert radii[0] == pytest.approx(radii[1], rel=1e-12)
    assert min(radii[0]) > 0.0


def test_the_radius_is_no_less_than_that_of_single_planes():
    """For each point of another class, the farthest of its planes to points of the own class is a lower bound."""
    module, x = prototypes(), inputs(30, (4,), seed=9)
    points, labels = module[0].points.detach().double().numpy(), np.repeat(np.arange(3), 10)
    better = 0
    for point, found in zip(x.double().numpy(), Nearest().on(classifier(module, (4,), 3)).certify(x), strict=True):
        squares = np.square(points - point).sum(axis=1)
        own = np.flatnonzero(labels == labels[squares.argmin()])
        rivals = np.flatnonzero(labels != labels[squares.argmin()])
        planes = [
            max((squares[j] - squares[i]) / (2.0 * np.linalg.norm(points[i] - points[j])) for i in own) for j in rivals
        ]
        assert found.radius >= min(planes) * (1.0 - 1e-9)
        better += found.radius > 1.001 * min(planes)
    assert better > 3


def test_no_attack_reaches_into_the_radius_of_prototypes():
    """An ascent finds no other class within it, and finds one just beyond for most inputs."""
    module, x = prototypes(), inputs(20, (4,), seed=10)
    beyond = 0
    for each, point in zip(Nearest().on(classifier(module, (4,), 3)).certify(x), x, strict=True):
        for factor in (1.0, 1.05):
            moved = attacked(module, point, each.label, factor * each.radius, "l2")
            with torch.no_grad():
                changed = bool((module.double()(moved).argmax(dim=1) != each.label).any())
            assert not (changed and factor == 1.0)
            beyond += changed
        module.float()
    assert beyond >= 12


@pytest.mark.parametrize("norm", ORDERS)
@pytest.mark.parametrize("normalized", [False, True])
def test_nearest_holds(norm, normalized):
    module = neighbours(normalized=normalized)
    x = inputs(15, (4,))
    found = Nearest(norm=norm).on(classifier(module, (4,), 3)).certify(x)
    assert all(each.radius > 0 for each in found)
    for each, point in zip(found, x, strict=True):
        with torch.no_grad():
            assert (module.double()(in_ball(point, each.radius, norm, 4_000)).argmax(dim=1) == each.label).all()
        module.float()


@pytest.mark.parametrize("make", [neighbours, lambda count: prototypes(count // 3)])
def test_nearest_is_exact_in_l2(make):
    """Against a general solver for the distance to each cell of another class."""
    module = make(18)
    stored = inputs(18, (4,), seed=5).double().numpy()
    labels = np.arange(18) % 3
    x = inputs(8, (4,))
    for point, found in zip(x.double().numpy(), Nearest().on(classifier(module, (4,), 3)).certify(x), strict=True):
        own = stored[labels == found.label]
        best = math.inf
        for cell in stored[labels != found.label]:
            planes = [
                {
                    "type": "ineq",
                    "fun": lambda d, c=cell, o=o, p=point: np.sum((p + d - o) ** 2) - np.sum((p + d - c) ** 2),
                }
                for o in own
            ]
            solved = minimize(lambda d: d @ d, cell - point, constraints=planes, method="SLSQP", tol=1e-14)
            if solved.success:
                best = min(best, math.sqrt(solved.fun))
        assert found.radius == pytest.approx(best, rel=1e-4)


def test_few_cells_give_a_lower_bound():
    module, x = neighbours(), inputs(15, (4,))
    on = classifier(module, (4,), 3)
    exact = [each.radius for each in Nearest().on(on).certify(x)]
    loose = [each.radius for each in Nearest(cells=1).on(on).certify(x)]
    assert all(less <= more for less, more in zip(loose, exact, strict=True))


def test_what_nearest_refuses():
    with pytest.raises(UsageError, match="architecture nearest-neighbour"):
        Nearest().on(classifier(relu_network(4, 3), (4,), 3))
    empty = nn.Sequential(build("nearest-neighbour", (4,), 3, {"stored": 2})).eval()
    with pytest.raises(UsageError, match="no stored inputs"):
        Nearest().on(classifier(empty, (4,), 3))
    with pytest.raises(UsageError, match="room for 2 inputs got 3"):
        empty[0].store(torch.rand(3, 4), torch.arange(3))
    with pytest.raises(UsageError, match="cells"):
        Nearest(cells=0)
    with pytest.raises(UsageError, match="stored"):
        build("nearest-neighbour", (4,), 3, {"stored": -1})
