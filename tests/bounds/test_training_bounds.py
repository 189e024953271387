"""Bounds for provable training: valid for every change; equal to the convex polytope's own, also through branches."""

from __future__ import annotations

import pytest
import torch
from networks import attacked, classifier, convolutional, in_ball, inputs, relu_network
from torch import Tensor, nn

from holdfast.bounds.backward import Ball
from holdfast.bounds.layers import plain
from holdfast.bounds.polytope import least_margins
from holdfast.bounds.training import interval_boxes, interval_leads, linear_leads, projected_boxes, trainable
from holdfast.errors import UsageError
from holdfast.models.architectures import build


def residual(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build("wong-resnet", (1, 4, 4), 3, {"channels": 2, "units": 6}).eval()


class TwoBranches(nn.Module):
    """Both branches have ReLUs of their own, and the shortcut is the input itself."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.last(torch.relu(torch.relu(self.first(x)) + torch.relu(self.second(x)) + x))
        return logits


ROWS = [(relu_network(6, 10, 10, 3, mean=0.4), (6,)), (convolutional(), (1, 8, 8))]
NETWORKS = [*ROWS, (residual(), (1, 4, 4)), (TwoBranches().eval(), (6,))]


def leads_of(module: nn.Module, shape: tuple[int, ...], way: str, ball: Ball, labels: Tensor) -> Tensor:
    network = trainable(classifier(module, shape, 3))
    if way == "intervals":
        return interval_leads(network, interval_boxes(network, ball), labels)
    boxes = interval_boxes(network, ball) if way == "lines on intervals" else projected_boxes(network, ball, 0)
    return linear_leads(network, ball, boxes, labels)


@pytest.mark.parametrize(("module", "shape"), NETWORKS)
@pytest.mark.parametrize(
    ("norm", "limits", "way"),
    [
        *(
            ("linf", limits, way)
            for limits in (None, (0.0, 1.0))
            for way in ("intervals", "lines on intervals", "lines")
        ),
        ("l2", None, "lines"),
    ],
)
@pytest.mark.parametrize("epsilon", [0.01, 0.2])
def test_no_change_has_a_smaller_lead(module, shape, norm, limits, way, epsilon):
    module.double()
    x = inputs(4, shape).double()
    labels = torch.arange(4) % 3
    with torch.no_grad():
        leads = leads_of(module, shape, way, Ball(x, epsilon, norm, limits), labels)
    assert (leads.gather(1, labels.unsqueeze(1)) == 0.0).all()
    for point, label, least in zip(x, labels.tolist(), leads, strict=True):
        tried = torch.cat([in_ball(point, epsilon, norm, 300), attacked(module, point, label, epsilon, norm, steps=20)])
        with torch.no_grad():
            logits = module(tried if limits is None else tried.clamp(*limits))
        assert (logits[:, label : label + 1] - logits >= least - 1e-9).all()
    module.float()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(("module", "shape"), ROWS)
def test_in_a_row_of_layers_it_is_the_polytope(module, shape, norm):
    module.double()
    x, labels = inputs(6, shape).double(), torch.arange(6) % 3
    for epsilon in (0.01, 0.2):
        found = leads_of(module, shape, "lines", Ball(x, epsilon, norm), labels)
        expected = least_margins(plain(classifier(module, shape, 3)), x, labels, epsilon, norm, None)
        torch.testing.assert_close(found, expected)
    module.float()


@pytest.mark.parametrize(("norm", "dual"), [("linf", "l1"), ("l2", "l2")])
def test_through_residual_blocks_it_is_the_library_s_bound(norm, dual):
    """Its networks with skip connections are lists of layers, each of which may take earlier values, too."""
    library = pytest.importorskip("convex_adversarial")
    module = residual(1).double()
    layers: list[nn.Module] = []
    for part in module:
        if hasattr(part, "shortcut"):
            joined = library.Dense(part.shortcut, None, part.second)
            layers += [library.Dense(part.first), nn.ReLU(), joined, nn.ReLU()]
        else:
            layers.append(part)
    theirs = library.DenseSequential(*layers)
    x, labels = inputs(3, (1, 4, 4)).double(), torch.arange(3)
    assert torch.equal(theirs(x), module(x))
    for epsilon in (0.01, 0.3):
        found = leads_of(module, (1, 4, 4), "lines", Ball(x, epsilon, norm), labels)
        torch.testing.assert_close(found, -library.RobustBounds(theirs, epsilon, norm_type=dual)(x, labels))


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(("module", "shape"), NETWORKS)
def test_many_projections_come_near_the_exact_widths(module, shape, norm):
    torch.manual_seed(3)
    network = trainable(classifier(module, shape, 3))
    ball = Ball(inputs(2, shape), 0.2, norm)
    with torch.no_grad():
        exact, near = (projected_boxes(network, ball, number) for number in (0, 20_000))
    for node in network.nodes:
        if node.operation.relaxes:
            (number,) = node.inputs
            widths = exact[number].high - exact[number].low
            # The median of 20,000 absolute Cauchy values has a deviation of 1.1% of its scale; errors of nine layers
            # add up.
            torch.testing.assert_close(
                near[number].high - near[number].low, widths, rtol=0.12, atol=0.02 * float(widths.max())
            )


def test_gradients_are_finite_where_all_weights_of_a_unit_are_zero():
    """Provable training makes filters vanish; their intervals have no width."""
    module = residual().float()
    with torch.no_grad():
        module[2].first.weight.zero_()
        module[2].first.bias.zero_()
    x, labels = inputs(2, (1, 4, 4)), torch.tensor([0, 1])
    leads_of(module, (1, 4, 4), "lines", Ball(x, 0.1, "l2"), labels).sum().backward()
    for parameter in module.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


def test_what_is_refused():
    normalized = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)).eval()
    with pytest.raises(UsageError, match="without batch normalization"):
        trainable(classifier(normalized, (6,), 3))
    pooled = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3)).eval()
    ball = Ball(inputs(1, (1, 8, 8)), 0.1, "linf")
    with pytest.raises(UsageError, match="without max pooling"):
        projected_boxes(trainable(classifier(pooled, (1, 8, 8), 3)), ball, 10)
    large = build("wong-resnet", (1, 28, 28), 10).eval()
    ball = Ball(inputs(1, (1, 28, 28)), 0.1, "l2")
    with pytest.raises(UsageError, match=r"more than 5,000; train with projections=50"):
        projected_boxes(trainable(classifier(large, (1, 28, 28), 10)), ball, 0)
