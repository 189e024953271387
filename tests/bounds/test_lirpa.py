"""The adapter to auto_LiRPA: against `convex` and against sampling where it is installed; what it refuses; and what it
asks of the library, which another one stands in for."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from networks import attacked, classifier, convolutional, in_ball, inputs, relu_network

from holdfast.bounds.layers import plain
from holdfast.bounds.methods.convex import Convex
from holdfast.bounds.methods.lirpa import Lirpa
from holdfast.bounds.polytope import least_margins
from holdfast.errors import HoldfastError, UsageError

NETWORKS = [(relu_network(6, 10, 10, 3, mean=0.4), (6,)), (convolutional(), (1, 8, 8))]


@pytest.fixture
def installed():
    """Skip if the library is missing, or does not import with this torch."""
    pytest.importorskip("auto_LiRPA", reason="auto_LiRPA is not installed, or not for this torch", exc_type=ImportError)


def least(bound, on, x, labels):
    return bound.on(on).method.least_margins(x.double(), labels, bound.epsilon)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(("module", "shape"), NETWORKS)
def test_the_same_slopes_give_the_polytope(norm, module, shape):
    """Up to units whose sign is clear from intervals alone: auto_LiRPA uses those, which is never looser."""
    on, x = classifier(module, shape, 3), inputs(20, shape)
    labels = torch.arange(20) % 3
    for epsilon in (0.003, 0.03, 0.3):
        ours = least(Convex(epsilon, norm), on, x, labels)
        theirs = least(Lirpa(epsilon, norm, "same-slope"), on, x, labels)
        assert (theirs >= ours - 1e-9).all()
        if epsilon < 0.1:
            torch.testing.assert_close(theirs, ours, rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("module", "shape"), NETWORKS)
def test_all_methods_hold_and_intervals_are_the_loosest_here(module, shape):
    on, x = classifier(module, shape, 3), inputs(40, shape)
    found = {}
    for method in ("ibp", "same-slope", "crown"):
        certificates = Lirpa(epsilon=0.03, method=method).on(on).certify(x)
        found[method] = {number for number, each in enumerate(certificates) if each.radius}
        for each, point in list(zip(certificates, x, strict=True))[:8]:
            if not each.radius:
                continue
            tried = torch.cat(
                [in_ball(point, 0.03, "linf", 500), attacked(module, point, each.label, 0.03, "linf", steps=20)]
            )
            with torch.no_grad():
                assert (module.double()(tried).argmax(dim=1) == each.label).all()
            module.float()
    assert found["ibp"] < found["same-slope"]
    assert found["ibp"] < found["crown"]


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
    """A replacement library that computes the polytope, which is method=same-slope, answers as `convex` does."""
    module = relu_network(6, 10, 10, 3)
    on = classifier(module, (6,), 3)
    asked = {}

    class BoundedModule:
        def __init__(self, network, example, bound_opts, device):
            asked["options"] = bound_opts

        def compute_bounds(self, x, C, method, bound_upper):
            asked["method"] = method
            labels = C.sum(dim=1).argmax(dim=1)
            return least_margins(plain(on), x[0], labels, 0.03, "linf", None), None

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
