"""Linear bounds through networks with branches: sound wherever it is tried, and close to other bounds and programs."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from networks import attacked, classifier, convolutional, in_ball, inputs, relu_network, true_least_lead
from torch import Tensor, nn
from torch.nn import functional

from holdfast.bounds.backward import Ball, Walk, least_leads, nearest_leads
from holdfast.bounds.graph import graph
from holdfast.bounds.layers import plain
from holdfast.bounds.methods.convex import Convex
from holdfast.bounds.methods.crown import Crown
from holdfast.bounds.nodes import MaxPool
from holdfast.bounds.polytope import least_margins
from holdfast.bounds.relaxations import relu_lines, s_shaped_lines, window_lines
from holdfast.errors import UsageError
from holdfast.models.architectures import build
from holdfast.models.normalization import Normalization


class Block(nn.Module):
    """A residual block with batch normalization, written with functions and operators."""

    def __init__(self, channels: int, outgoing: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, outgoing, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(outgoing)
        self.second = nn.Conv2d(outgoing, outgoing, 3, 1, 1)
        self.short = nn.Conv2d(channels, outgoing, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(self.norm(self.first(x)).relu()) + self.short(x))


def residual(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    body = nn.Sequential(Block(2, 2, 1), Block(2, 3, 2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 3))
    for part in body.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.uniform_(-0.5, 0.5)
            part.running_var.uniform_(0.5, 2.0)
            nn.init.uniform_(part.weight, -1.5, 1.5)
    return nn.Sequential(Normalization((0.4, 0.5), (0.3, 0.2), 3), body).eval()


def pooled(seed: int = 0, stride: int = 2) -> nn.Module:
    torch.manual_seed(seed)
    size = (8 - 3) // stride + 1
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, stride), nn.Flatten(), nn.Linear(3 * size**2, 3)
    ).eval()


def smooth(kind: type[nn.Module], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 10), kind(), nn.Linear(10, 8), kind(), nn.Linear(8, 3)).eval()


NETWORKS = [
    (relu_network(6, 10, 10, 3, mean=0.4), (6,)),
    (convolutional(), (1, 8, 8)),
    (residual(), (2, 8, 8)),
    (pooled(), (2, 8, 8)),
    (pooled(1, 1), (2, 8, 8)),
    (smooth(nn.Tanh), (6,)),
    (smooth(nn.Sigmoid), (6,)),
]


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("hidden", ["linear", "intervals"])
@pytest.mark.parametrize("epsilon", [0.02, 0.3])
@pytest.mark.parametrize(("module", "shape"), NETWORKS)
def test_no_change_leaves_the_intervals_or_has_a_smaller_lead(module, shape, epsilon, hidden, norm):
    network = graph(classifier(module, shape, 3))
    (x,) = inputs(1, shape)
    walk = Walk(network, Ball(x.double().unsqueeze(0), epsilon, norm), adaptive=True, tight=hidden == "linear")
    tried = in_ball(x, epsilon, norm, 1_000)
    for value, box in zip(network.values(tried), walk.boxes, strict=True):
        assert (value >= box.low).all()
        assert (value <= box.high).all()
    for label in range(3):
        leads = least_leads(walk, label)
        assert leads[label] == 0.0
        points = torch.cat([tried, attacked(module, x, label, epsilon, norm, steps=20)])
        module.float()
        logits = network.logits(points)
        assert (logits[:, label : label + 1] - logits >= leads - 1e-12).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(("module", "shape"), NETWORKS)
def test_no_point_within_a_certified_radius_is_answered_otherwise(module, shape, norm):
    bounded = Crown(epsilon=0.5, norm=norm, search=10).on(classifier(module, shape, 3))
    x = inputs(3, shape)
    certificates = bounded.certify(x)
    assert any(each.radius > 0 for each in certificates)
    for each, point in zip(certificates, x, strict=True):
        tried = torch.cat(
            [in_ball(point, each.radius, norm, 1_000), attacked(module, point, each.label, each.radius, norm)]
        )
        with torch.no_grad():
            assert (module.double()(tried).argmax(dim=1) == each.label).all()
        module.float()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(("module", "shape"), NETWORKS[:2])
def test_parallel_lines_are_no_looser_than_the_convex_polytope(module, shape, norm):
    """The library's bound is the same dual; ours also takes the better of intervals and lines."""
    on = classifier(module, shape, 3)
    (x,) = inputs(1, shape)
    for epsilon in (0.01, 0.2):
        walk = Walk(graph(on), Ball(x.double().unsqueeze(0), epsilon, norm), adaptive=False, tight=True)
        theirs = least_margins(plain(on), x.double().unsqueeze(0), torch.tensor([0]), epsilon, norm, None)[0]
        ours = least_leads(walk, 0)
        assert (ours >= theirs - 1e-7).all()
        assert (ours <= theirs + 0.05 * theirs.abs() + 0.05).all()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("adaptive", [True, False])
def test_below_the_true_minimum_of_an_integer_program(seed, adaptive):
    module = relu_network(4, 8, 3, seed=seed)
    (x,) = inputs(1, (4,), seed)
    for radius in (0.05, 0.3):
        walk = Walk(graph(classifier(module, (4,), 3)), Ball(x.double().unsqueeze(0), radius, "linf"), adaptive, True)
        leads = least_leads(walk, 0)
        for other in (1, 2):
            true = true_least_lead(module, x, 0, other, radius)
            assert float(leads[other]) <= true + 1e-6
            assert float(leads[other]) >= true - 10 * radius
        module.float()


def test_a_linear_network_has_its_exact_margin():
    module = nn.Sequential(nn.Linear(2, 2)).eval()
    with torch.no_grad():
        module[0].weight.copy_(torch.eye(2))
        module[0].bias.zero_()
    for norm, margin in (("linf", 0.25), ("l2", 0.25 * math.sqrt(2.0))):
        bounded = Crown(epsilon=1.0, norm=norm, search=40).on(classifier(module, (2,), 2))
        (found,) = bounded.certify(torch.tensor([[0.75, 0.25]]))
        assert margin - 1e-9 < found.radius <= margin


@pytest.mark.parametrize("kind", [nn.Sigmoid, nn.Tanh])
def test_lines_of_sigmoid_and_tanh_enclose_them(kind):
    ends = [-40.0, -8.0, -2.0, -0.7, -1e-3, -1e-13, 0.0, 1e-9, 0.3, 1.5, 6.0, 50.0]
    pairs = torch.tensor(list(itertools.combinations_with_replacement(ends, 2)), dtype=torch.float64)
    low, high = pairs[:, 0], pairs[:, 1]
    lines = s_shaped_lines(kind, low, high)
    grid = low + torch.linspace(0, 1, 2_001, dtype=torch.float64).unsqueeze(1) * (high - low)
    grid = grid.clamp(low, high)
    value = kind()(grid)
    assert (lines.low_slope * grid + lines.low_offset <= value + lines.error).all()
    assert (lines.high_slope * grid + lines.high_offset >= value - lines.error).all()
    # They are close where the function is nearly straight.
    narrow = (high - low).clamp_max(1.0)
    apart = (lines.high_slope - lines.low_slope) * (low + high) / 2 + lines.high_offset - lines.low_offset
    assert (apart <= narrow + 1e-9)[(high - low) < 1.0].all()


@pytest.mark.parametrize("adaptive", [True, False])
def test_lines_of_relu_enclose_it(adaptive):
    ends = torch.linspace(-2, 2, 17, dtype=torch.float64)
    pairs = torch.combinations(ends, 2, with_replacement=True)
    low, high = pairs[:, 0], pairs[:, 1]
    lines = relu_lines(low, high, adaptive)
    grid = low + torch.linspace(0, 1, 101, dtype=torch.float64).unsqueeze(1) * (high - low)
    assert (lines.low_slope * grid + lines.low_offset <= grid.relu() + lines.error).all()
    assert (lines.high_slope * grid + lines.high_offset >= grid.relu() - lines.error).all()


def test_lines_of_windows_enclose_the_largest_value_at_all_corners():
    """The largest value is convex: minus the sum above, it is largest at a corner."""
    source = torch.Generator().manual_seed(0)
    ends = torch.randn((200, 2, 4), generator=source, dtype=torch.float64).round(decimals=1)
    low, high = ends.amin(dim=1).view(200, 1, 4, 1), ends.amax(dim=1).view(200, 1, 4, 1)
    lines = window_lines(low, high)
    for corner in itertools.product([0.0, 0.5, 1.0], repeat=4):
        share = torch.tensor(corner, dtype=torch.float64).view(1, 1, 4, 1)
        z = low + share * (high - low)
        largest = z.amax(dim=2)
        assert ((lines.low_slope * z).sum(dim=2) <= largest + lines.error).all()
        assert ((lines.high_slope * z).sum(dim=2) + lines.high_offset >= largest - lines.error).all()
    kinds = {bool(each) for each in (lines.high_slope.sum(dim=2) == 0.0).flatten()}
    assert kinds == {True, False}, "both bounds above are tried"


def test_windows_that_overlap_fold_back():
    pool, x = MaxPool((3, 2), (1, 2)), torch.randn(1, 2, 5, 6, dtype=torch.float64)
    from holdfast.bounds.nodes import Box

    rows = torch.randn((1, 4, *pool.forward(x).shape[1:]), dtype=torch.float64)
    (before,), constant = pool.relax(True, Box(x, x)).back(rows)
    found = (before * x.unsqueeze(1)).flatten(2).sum(dim=2) + constant
    torch.testing.assert_close(found, (rows * pool.forward(x).unsqueeze(1)).flatten(2).sum(dim=2))


@pytest.mark.parametrize("architecture", ["resnet20", "wong-small", "mnist-cnn"])
def test_architectures_are_read_as_they_compute(architecture):
    torch.manual_seed(0)
    module = build(architecture, (3, 16, 16), 3).eval()
    on = classifier(module, (3, 16, 16), 3)
    x = inputs(2, (3, 16, 16)).double()
    torch.testing.assert_close(graph(on).logits(x), module.double()(x))
    module.float()


def test_steps_that_do_not_end_at_the_border_are_taken():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(18, 3)).eval()
    (found,) = Crown(epsilon=0.5, search=10).on(classifier(module, (1, 8, 8), 3)).certify(inputs(1, (1, 8, 8)))
    assert found.radius > 0.0


def test_inputs_in_range_certify_no_less():
    on, x = classifier(residual(), (2, 8, 8), 3), inputs(4, (2, 8, 8)).round()
    everywhere = [each.radius for each in Crown(epsilon=0.3, search=8).on(on).certify(x)]
    in_range = [each.radius for each in Crown(epsilon=0.3, search=8, inputs="in-range").on(on).certify(x)]
    assert all(more >= less for more, less in zip(in_range, everywhere, strict=True))
    assert sum(in_range) > sum(everywhere)


def test_convex_goes_through_residual_blocks_with_parallel_lines():
    on, x = classifier(residual(), (2, 8, 8), 3), inputs(3, (2, 8, 8))
    for norm in ("linf", "l2"):
        found = Convex(epsilon=0.3, norm=norm, search=8).on(on).certify(x)
        assert any(each.radius for each in found)
        for each, point in zip(found, x, strict=True):
            assert (graph(on).logits(in_ball(point, each.radius, norm, 500)).argmax(dim=1) == each.label).all()


class Padded(nn.Module):
    def forward(self, x):
        return x * x


class Turning(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else -self.layer(x)


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 3)), (4,), "got GELU"),
        (nn.Sequential(Padded(), nn.Linear(4, 3)), (4,), "got mul"),
        (Turning(), (4,), "cannot follow the module Turning"),
        (nn.Sequential(nn.MaxPool2d(2, padding=1), nn.Flatten(), nn.Linear(25, 3)), (1, 8, 8), "without padding"),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), (1, 8, 8), "3 outputs"),
        (nn.Sequential(nn.Linear(8, 3)), (1, 8, 8), "flatten them first"),
        (nn.Sequential(nn.Linear(5, 3)), (4,), "does not take values of shape"),
        (nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 3)), (4,), "running statistics"),
    ],
)
def test_networks_that_are_not_known(module, shape, message):
    with pytest.raises(UsageError, match=message):
        Crown(epsilon=0.1).on(classifier(module.eval(), shape, 3))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"hidden": "none"}, "hidden is one of"), ({"norm": "l1"}, "linf"), ({"search": -1}, "halvings")],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(UsageError, match=message):
        Crown(epsilon=0.1, **parameters)


class Odd(nn.Module):
    """Differs from what its layers seem to compute only where the sum of 20 values in [0, 1] is above 19."""

    def __init__(self, way):
        super().__init__()
        self.way = way
        self.far = nn.Linear(20, 1)
        self.near = nn.Linear(20, 2)
        self.last = nn.Linear(1, 2)
        self.over = nn.ReLU(inplace=True)
        self.mixed = nn.Linear(2, 2)
        with torch.no_grad():
            self.far.weight.fill_(1.0 if way in ("alpha", "dropout", "view") else -1.0)
            self.far.bias.fill_(-19.0 if way in ("alpha", "dropout", "view") else 19.0)
            for each in self.near, self.last, self.mixed:
                nn.init.zeros_(each.weight)
                nn.init.zeros_(each.bias)
            self.mixed.weight.copy_(torch.eye(2))

    def forward(self, x):
        h, near = self.far(x), self.near(x)
        if self.way == "layer":
            self.over(h)
        elif self.way == "function":
            functional.relu(h, inplace=True)
        elif self.way == "flattened":
            self.over(h.flatten(1))
        elif self.way == "view":
            part = near[:, :]
            part += self.last(torch.relu(h))
            return self.mixed(near)
        elif self.way == "alpha":
            return torch.add(near, 5, self.last(torch.relu(h)))
        elif self.way == "dropout":
            return near + self.last(functional.dropout(torch.relu(h)))
        return near + self.last(h)


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("layer", "in place"),
        ("function", "in place"),
        ("flattened", "in place"),
        ("view", "in place"),
        ("alpha", "got add"),
        ("dropout", "got dropout"),
    ],
)
@pytest.mark.filterwarnings("ignore:This overload of add")
def test_what_random_inputs_may_not_show_is_refused(way, message):
    with pytest.raises(UsageError, match=message):
        Crown(epsilon=0.1).on(classifier(Odd(way).eval(), (20,), 2))


class InPlace(nn.Module):
    """Operations in place whose inputs are not used again."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
        self.relu, self.last = nn.ReLU(inplace=True), nn.Linear(32, 3)

    def forward(self, x):
        short = self.relu(self.first(x))
        out = self.second(short)
        out += short
        out = functional.dropout(self.relu(out), training=self.training)
        return self.last(out.view(out.size(0), -1))


def test_operations_in_place_are_taken_where_nothing_else_uses_their_inputs():
    torch.manual_seed(0)
    module, x = InPlace().eval(), inputs(2, (1, 4, 4))
    on = classifier(module, (1, 4, 4), 3)
    assert all(each.radius > 0.0 for each in Crown(epsilon=0.5, search=10).on(on).certify(x))


@pytest.mark.parametrize("pool", [nn.AvgPool2d(2, divisor_override=-1), nn.AvgPool2d(2, divisor_override=4)])
def test_average_pooling_with_a_divisor_of_its_own_is_refused(pool):
    with pytest.raises(UsageError, match="average pooling"):
        Crown(epsilon=0.1).on(classifier(nn.Sequential(pool, nn.Flatten(), nn.Linear(4, 3)).eval(), (1, 4, 4), 3))


class Divided(nn.Module):
    """Average pooling that divides by a number of its own."""

    def forward(self, x):
        return functional.avg_pool2d(x, 2, divisor_override=-1).flatten(1)


@pytest.mark.parametrize("module", [Divided(), nn.Sequential(nn.AvgPool2d(2, divisor_override=1), nn.Flatten())])
def test_averages_by_another_divisor_are_refused(module):
    with pytest.raises(UsageError, match="this bound takes"):
        graph(classifier(module.eval(), (1, 2, 6), 3))


@pytest.mark.parametrize("epsilon", [0.02, 0.3])
@pytest.mark.parametrize(("module", "shape"), NETWORKS)
def test_intervals_alone_lie_below_every_change(module, shape, epsilon):
    """The bound `intervals` lies below every lead in the ball."""
    network = graph(classifier(module, shape, 3))
    (x,) = inputs(1, shape)
    walk = Walk(network, Ball(x.double().unsqueeze(0), epsilon, "linf"), adaptive=True, tight=False)
    for label in range(3):
        leads = nearest_leads(walk, label)
        points = torch.cat([in_ball(x, epsilon, "linf", 500), attacked(module, x, label, epsilon, "linf", steps=20)])
        module.float()
        logits = network.logits(points)
        assert (logits[:, label : label + 1] - logits >= leads - 1e-12).all()
        assert leads[label] == 0.0
