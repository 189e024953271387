"""The interval bound of provable training: valid for every change; the polytope's if intervals lose nothing."""

from __future__ import annotations

import pytest
import torch
from networks import attacked, classifier, convolutional, in_ball, inputs, relu_network

from holdfast.bounds.intervals import interval_margins
from holdfast.bounds.layers import plain
from holdfast.bounds.polytope import least_margins

NETWORKS = [(relu_network(6, 10, 10, 3, mean=0.4), (6,)), (convolutional(), (1, 8, 8))]


@pytest.mark.parametrize(("module", "shape"), NETWORKS)
@pytest.mark.parametrize("limits", [None, (0.0, 1.0)])
@pytest.mark.parametrize("epsilon", [0.01, 0.2])
def test_no_change_has_a_smaller_lead(module, shape, limits, epsilon):
    network = plain(classifier(module, shape, 3))
    x = inputs(6, shape).double().round()
    labels = torch.arange(6) % 3
    leads = interval_margins(network, x, labels, epsilon, limits)
    assert (leads.gather(1, labels.unsqueeze(1)) == 0.0).all()
    for point, label, least in zip(x, labels.tolist(), leads, strict=True):
        tried = torch.cat(
            [in_ball(point, epsilon, "linf", 500), attacked(module, point, label, epsilon, "linf", steps=20)]
        )
        logits = network.logits(tried if limits is None else tried.clamp(*limits))
        assert (logits[:, label : label + 1] - logits >= least - 1e-9).all()
    module.float()


@pytest.mark.parametrize("limits", [None, (0.0, 1.0)])
@pytest.mark.parametrize(("module", "shape"), [(relu_network(6, 10, 3), (6,)), (convolutional(), (1, 8, 8))])
def test_with_one_hidden_layer_it_is_the_polytope(module, shape, limits):
    network = plain(classifier(module, shape, 3))
    x, labels = inputs(6, shape).double(), torch.arange(6) % 3
    for epsilon in (0.01, 0.2):
        found = interval_margins(network, x, labels, epsilon, limits)
        torch.testing.assert_close(found, least_margins(network, x, labels, epsilon, "linf", limits))


def test_layers_without_biases():
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(6, 10, bias=False), torch.nn.ReLU(), torch.nn.Linear(10, 3, bias=False)
    ).eval()
    network = plain(classifier(module, (6,), 3))
    x, labels = inputs(6, (6,)).double(), torch.arange(6) % 3
    found = interval_margins(network, x, labels, 0.05, None)
    torch.testing.assert_close(found, least_margins(network, x, labels, 0.05, "linf", None))
