"""The adapter to auto_LiRPA: what it refuses, and what it asks of the library, which stands in here."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from networks import classifier, inputs, relu_network

from holdfast.bounds.layers import plain
from holdfast.bounds.methods.convex import Convex
from holdfast.bounds.methods.lirpa import Lirpa
from holdfast.bounds.polytope import least_leads
from holdfast.errors import HoldfastError, UsageError


def test_it_says_where_the_library_is_found(monkeypatch):
    monkeypatch.setitem(sys.modules, "auto_LiRPA", None)
    with pytest.raises(HoldfastError, match="install it from its repository"):
        Lirpa(epsilon=0.1).on(classifier(relu_network(4, 8, 3), (4,), 3))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epsilon": 0.1, "method": "zonotope"}, "crown, same-slope"),
        ({"epsilon": 0.1, "method": "ibp", "norm": "l2"}, "norm=linf"),
        ({"epsilon": -1.0}, "above 0"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(UsageError, match=message):
        Lirpa(**parameters)


def test_leads_are_asked_for_and_rounding_is_taken_off(monkeypatch):
    """A library in its place that computes the polytope, which method=same-slope is, answers as `convex` does."""
    module = relu_network(6, 10, 10, 3)
    on = classifier(module, (6,), 3)
    asked = {}

    class BoundedModule:
        def __init__(self, network, example, bound_opts, device):
            asked["options"] = bound_opts

        def compute_bounds(self, x, C, method, bound_upper):
            asked["method"] = method
            labels = C.sum(dim=1).argmax(dim=1)
            return least_leads(plain(on), x[0], labels, 0.03, "linf", None), None

    library, perturbations = ModuleType("auto_LiRPA"), ModuleType("auto_LiRPA.perturbations")
    library.BoundedModule = BoundedModule
    library.BoundedTensor = lambda x, perturbation: x
    perturbations.PerturbationLpNorm = lambda norm, eps: SimpleNamespace(norm=norm, eps=eps)
    monkeypatch.setitem(sys.modules, "auto_LiRPA", library)
    monkeypatch.setitem(sys.modules, "auto_LiRPA.perturbations", perturbations)
    x = inputs(40, (6,))
    found = Lirpa(epsilon=0.03, method="same-slope").on(on).certify(x)
    assert asked == {"options": {"relu": "same-slope"}, "method": "CROWN"}
    assert found == Convex(epsilon=0.03).on(on).certify(x)
    assert 0 < sum(each.radius > 0 for each in found) < 40
    assert torch.tensor([each.alpha for each in found]).sum() == 0
