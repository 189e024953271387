"""The convex outer polytope against exact programs, sampling and ascent; rounding; refusals."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from networks import (
    attacked,
    classifier,
    convolutional,
    in_ball,
    inputs,
    relaxed_least_lead,
    relu_network,
    true_least_lead,
)
from torch import nn

from holdfast.bounds import bound_from_dict
from holdfast.bounds.layers import plain
from holdfast.bounds.methods.convex import Convex
from holdfast.bounds.polytope import least_margins
from holdfast.bounds.rounding import reach
from holdfast.errors import MissingExtraError, UsageError


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("radius", [0.05, 0.3])
def test_below_the_linear_program_below_the_true_minimum(seed, radius):
    module = relu_network(4, 8, 3, seed=seed)
    x = inputs(1, (4,), seed)
    network = plain(classifier(module, (4,), 3))
    leads = least_margins(network, x.double(), torch.tensor([0]), radius, "linf", None)[0]
    slack = reach(network, x.double(), radius).of_difference(torch.tensor([0]))[0]
    for other in (1, 2):
        relaxed = relaxed_least_lead(module, x[0], 0, other, radius)
        true = true_least_lead(module, x[0], 0, other, radius)
        assert relaxed <= true + 1e-6
        assert float(leads[other] - slack[other]) <= relaxed + 1e-6
        # The dual is close to its program, since the intervals of one hidden layer are exact.
        assert float(leads[other]) >= relaxed - 0.5 * radius * 10


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(
    ("module", "shape"), [(relu_network(6, 10, 10, 3, mean=0.4), (6,)), (convolutional(), (1, 8, 8))]
)
def test_no_point_within_a_certified_radius_is_answered_otherwise(norm, module, shape):
    bounded = Convex(epsilon=0.5, norm=norm, search=12).on(classifier(module, shape, 3))
    x = inputs(6, shape)
    certificates = bounded.certify(x)
    assert any(0 < each.radius < 0.5 for each in certificates)
    for each, point in zip(certificates, x, strict=True):
        tried = torch.cat(
            [
                in_ball(point, each.radius, norm, 2_000),
                attacked(module, point, each.label, each.radius, norm),
            ]
        )
        with torch.no_grad():
            assert (module.double()(tried).argmax(dim=1) == each.label).all()
        module.float()


def test_certificates_have_no_votes_and_alpha_zero():
    module = relu_network(4, 8, 3)
    (found,) = Convex(epsilon=1e-4).on(classifier(module, (4,), 3)).certify(inputs(1, (4,)))
    assert (found.alpha, found.selection.total, found.estimation.total) == (0.0, 0, 0)
    assert found.label == int(module(inputs(1, (4,))).argmax())
    assert found.radius == 1e-4


def test_monotone_in_epsilon():
    certain = classifier(relu_network(6, 10, 10, 3), (6,), 3)
    x = inputs(30, (6,))
    shares = []
    for epsilon in (0.01, 0.03, 0.1, 0.3, 1.0):
        radii = [each.radius for each in Convex(epsilon=epsilon).on(certain).certify(x)]
        assert set(radii) <= {0.0, epsilon}
        shares.append({number for number, radius in enumerate(radii) if radius})
    assert all(larger <= smaller for smaller, larger in itertools.pairwise(shares))
    assert len(shares[0]) > len(shares[-1])


def test_a_linear_network_has_its_exact_margin():
    module = nn.Sequential(nn.Linear(2, 2)).eval()
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        module[0].bias.zero_()
    x = torch.tensor([[0.75, 0.25]])
    for radius, certain in ((0.2499, True), (0.2501, False)):
        (found,) = Convex(epsilon=radius).on(classifier(module, (2,), 2)).certify(x)
        assert bool(found.radius) is certain
    (found,) = Convex(epsilon=1.0, search=30).on(classifier(module, (2,), 2)).certify(x)
    assert 0.25 - 1e-8 < found.radius <= 0.25


def test_inputs_in_range_certify_no_less():
    module, x = convolutional(), inputs(20, (1, 8, 8)).round()
    on = classifier(module, (1, 8, 8), 3)
    everywhere = [each.radius for each in Convex(epsilon=0.3, search=8).on(on).certify(x)]
    in_range = [each.radius for each in Convex(epsilon=0.3, search=8, inputs="in-range").on(on).certify(x)]
    assert all(more >= less for more, less in zip(in_range, everywhere, strict=True))
    assert sum(in_range) > sum(everywhere)


def test_no_point_in_range_within_a_certified_radius_is_answered_otherwise():
    module, x = convolutional(), inputs(10, (1, 8, 8)).round()
    bounded = Convex(epsilon=0.5, search=10, inputs="in-range").on(classifier(module, (1, 8, 8), 3))
    for each, point in zip(bounded.certify(x), x, strict=True):
        assert each.radius > 0
        tried = [in_ball(point, each.radius, "linf", 1_000), attacked(module, point, each.label, each.radius, "linf")]
        with torch.no_grad():
            assert (module.double()(torch.cat(tried).clamp(0, 1)).argmax(dim=1) == each.label).all()
        module.float()


def test_batches_do_not_matter():
    on = classifier(convolutional(), (1, 8, 8), 3)
    x = inputs(7, (1, 8, 8))
    bounded = Convex(epsilon=0.05, search=5).on(on)
    together = bounded.certify(x)
    assert together == [bounded.certify(each.unsqueeze(0))[0] for each in x]


def test_rounding_covers_what_float64_loses():
    """The same bound from weights of very different sizes, where float64 is far off, is not taken for exact."""
    torch.manual_seed(0)
    module = relu_network(8, 16, 2, seed=3)
    with torch.no_grad():
        module[0].weight.mul_(1e9)
        module[2].weight.mul_(1e9)
    network = plain(classifier(module, (8,), 2))
    x = inputs(1, (8,)).double()
    slack = float(reach(network, x, 0.0).of_difference(torch.tensor([0])).max())
    exact = _exact_lead(module, x[0])
    found = float(network.logits(x)[0, 0] - network.logits(x)[0, 1])
    assert abs(found - exact) <= slack
    assert slack < 1e-6 * 1e18


def _exact_lead(module: nn.Sequential, x: torch.Tensor) -> float:
    from fractions import Fraction

    def layer(linear: nn.Linear, values: list[Fraction]) -> list[Fraction]:
        return [
            sum((Fraction(w) * v for w, v in zip(row, values, strict=True)), Fraction(b))
            for row, b in zip(linear.weight.double().tolist(), linear.bias.double().tolist(), strict=True)
        ]

    hidden = [max(Fraction(0), value) for value in layer(module[0], [Fraction(v) for v in x.tolist()])]
    outputs = layer(module[2], hidden)
    return float(outputs[0] - outputs[1])


def test_equal_logits_are_no_answer():
    module = nn.Sequential(nn.Linear(3, 2)).eval()
    with torch.no_grad():
        module[0].weight.copy_(torch.ones(2, 3))
        module[0].bias.zero_()
    (found,) = Convex(epsilon=0.1).on(classifier(module, (3,), 2)).certify(inputs(1, (3,)))
    assert found.label is None
    assert found.radius == 0.0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epsilon": 0.0}, "above 0"),
        ({"epsilon": math.nan}, "above 0"),
        ({"epsilon": 0.1, "norm": "l1"}, "linf"),
        ({"epsilon": 0.1, "norm": "l3"}, "is measured in l2, linf, got .l3"),
        ({"epsilon": 0.1, "search": -1}, "halvings"),
        ({"epsilon": 0.1, "inputs": "some"}, "in-range"),
        ({"epsilon": 0.1, "inputs": "in-range", "norm": "l2"}, "norm=linf"),
        ({}, "needs the parameter 'epsilon'"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(UsageError, match=message):
        bound_from_dict({"name": "convex", **parameters})


def test_the_package_is_named_where_it_is_missing(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "convex_adversarial", None)
    with pytest.raises(MissingExtraError, match=r"holdfast-robustness\[bounds\]"):
        Convex(epsilon=0.1).on(classifier(relu_network(4, 8, 3), (4,), 3))
