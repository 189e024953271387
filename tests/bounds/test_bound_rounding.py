"""The rounding of float64 against exact rationals: without each allowance for rounding, a test here would fail."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from networks import classifier, relu_network
from torch import Tensor, nn

from holdfast.bounds import Classifier
from holdfast.bounds.layers import plain
from holdfast.bounds.methods.convex import Convex
from holdfast.bounds.methods.linear import Linear
from holdfast.bounds.methods.lipschitz import Lipschitz
from holdfast.bounds.methods.nearest import Nearest, _Near
from holdfast.bounds.norms import spectral_norm
from holdfast.bounds.rounding import UNDERFLOW, gamma, operations, reach
from holdfast.models.architectures.nearest import NearestNeighbour
from holdfast.models.architectures.prototypes import Prototypes
from holdfast.models.normalization import Normalization

Rows = list[list[Fraction]]


def exact(values: Tensor) -> list[Fraction]:
    return [Fraction(value) for value in values.double().flatten().tolist()]


def rows(values: Tensor) -> Rows:
    return [exact(row) for row in values]


def affine(weight: list[list[float]], bias: list[float]) -> nn.Sequential:
    layer = nn.Linear(len(weight[0]), len(weight)).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight, dtype=torch.float64))
        layer.bias.copy_(torch.tensor(bias, dtype=torch.float64))
    return nn.Sequential(layer).eval()


def outputs(layer: nn.Linear, x: list[Fraction]) -> list[Fraction]:
    return [
        sum((w * v for w, v in zip(row, x, strict=True)), b)
        for row, b in zip(rows(layer.weight), exact(layer.bias), strict=True)
    ]


def linf_margin(layer: nn.Linear, x: Tensor) -> tuple[int, Fraction]:
    """The class of an affine classifier, and the exact Linf distance to another one."""
    logits, weight = outputs(layer, exact(x)), rows(layer.weight)
    label = max(range(len(logits)), key=logits.__getitem__)
    distances = [
        (logits[label] - logits[j]) / sum(abs(a - b) for a, b in zip(weight[label], weight[j], strict=True))
        for j in range(len(logits))
        if j != label
    ]
    return label, min(distances)


def cancelling(count: int) -> list[tuple[nn.Sequential, Tensor]]:
    """Affine classifiers whose logits are small differences of large products, each with an input."""
    source = torch.Generator().manual_seed(0)
    found = []
    for _ in range(count):
        weight = torch.randn((2, 6), generator=source, dtype=torch.float64)
        x = torch.rand(6, generator=source, dtype=torch.float64)
        # Both logits are nearly 0, up to what exceeds their rounding.
        bias = -(weight @ x) + torch.tensor([4e-13, 0.0], dtype=torch.float64)
        found.append((affine(weight.tolist(), bias.tolist()), x.unsqueeze(0)))
    return found


@pytest.mark.parametrize("bound", [Linear(norm="linf"), Convex(epsilon=1e-12, search=60)])
def test_a_lead_of_differences_is_certified_for_no_more_than_its_exact_margin(bound):
    """The slack of `MarginQuotient` and of `MarginWithin`."""
    radii = []
    for module, x in cancelling(60):
        (found,) = bound.on(Classifier(module, (6,), 2)).certify(x)
        label, margin = linf_margin(module[0], x)
        assert found.label in (None, label)
        assert Fraction(found.radius) <= margin
        radii.append(found.radius)
    assert sum(radius > 0.0 for radius in radii) > 40


def test_no_class_where_rounding_decides():
    """`decided`: 2^53 + 1 - 2^53 is 0 or 1 in float64, by the order of the additions; the other logit is 1/2."""
    answers = []
    for order in itertools.permutations([2.0**53, 1.0, -(2.0**53)]):
        module = affine([list(order), [0.0] * 3], [0.0, 0.5])
        for bound in (Linear(), Lipschitz(), Convex(epsilon=1e-20)):
            (found,) = bound.on(Classifier(module, (3,), 2)).certify(torch.ones(1, 3))
            assert found.label in (None, 0)
        answers.append(int(module(torch.ones(1, 3, dtype=torch.float64)).argmax()))
    assert 1 in answers, "float64 is right in every order, so nothing was tested"


def test_weights_that_normalization_rounds_are_not_taken_for_shorter():
    """The gamma of `linear`: a difference of products with almost nothing left."""
    source = torch.Generator().manual_seed(1)
    for _ in range(40):
        module = nn.Sequential(Normalization((0.0,) * 2, (3.0, 7.0), 1), nn.Linear(2, 2)).double().eval()
        with torch.no_grad():
            row = 1.0 + torch.rand(2, generator=source, dtype=torch.float64)
            module[1].weight.copy_(torch.stack([row, row * (1.0 + 2.0**-48)]))
            module[1].bias.copy_(torch.tensor([2.0**-30, 0.0]))
        x = torch.zeros(1, 2)
        (found,) = Linear(norm="linf").on(Classifier(module, (2,), 2)).certify(x)
        scaled = [[w / s for w, s in zip(weights, (3, 7), strict=True)] for weights in rows(module[1].weight)]
        length = sum(abs(a - b) for a, b in zip(*scaled, strict=True))
        assert 0.0 < Fraction(found.radius) <= Fraction(2) ** -30 / length


def test_spectral_norms_of_large_and_many_small_weights_are_no_smaller_than_exact():
    """The gamma of `spectral_norm`: squares lost one by one beside a larger one."""
    for small, count in ((2.0**-27, 40_000), (2.0**-27, 4_000), (2.0**-28, 40_000)):
        layer = affine([[1.0] + [small] * count], [0.0])[0]
        with torch.no_grad():
            found = spectral_norm(layer, torch.Size([count + 1]))
        square = 1 + count * Fraction(small) ** 2
        assert square <= Fraction(found) ** 2 <= square * (1 + Fraction(1, 10**6))


def test_lipschitz_counts_small_weights_of_the_last_layer():
    count = 40_000
    module = affine([[1.0] + [2.0**-27] * count, [0.0] * (count + 1)], [1.0, 0.0])
    slope = float(Lipschitz().on(Classifier(module, (count + 1,), 2)).method.slopes[0, 1])
    assert Fraction(slope) ** 2 >= 1 + count * Fraction(2) ** -54


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_one_plane_between_neighbours_is_no_further_than_exact(norm):
    """The error of a lead: points so close together that normalization rounds them by more than 2^-50."""
    source = torch.Generator().manual_seed(2)
    for _ in range(30):
        std = [0.3, 0.7]
        front = Normalization((0.1, 0.2), std, 1)
        module = NearestNeighbour((2,), 2, 2)
        stored = torch.rand((1, 2), generator=source).double() + 1e-5 * torch.tensor([[0.0, 0.0], [1.0, -2.0]])
        whole = nn.Sequential(front, module).double().eval()
        module.store(front(stored.double()), torch.tensor([0, 1]))
        x = stored[:1] + 3e-6 * torch.rand((1, 2), generator=source).double()
        (found,) = Nearest(norm=norm).on(Classifier(whole, (2,), 2)).certify(x)
        o, c = rows(module.images)
        means, deviations = exact(front.get_buffer("mean")), exact(front.get_buffer("std"))
        point = [(v - m) / s for v, m, s in zip(exact(x), means, deviations, strict=True)]
        lead = sum((Fraction(1, 2) * (a + b) - p) * (b - a) for a, b, p in zip(o, c, point, strict=True))
        slopes = [(b - a) / s for a, b, s in zip(o, c, deviations, strict=True)]
        assert found.label == 0
        if norm == "linf":
            assert 0 < Fraction(found.radius) <= lead / sum(map(abs, slopes))
        else:
            assert 0 < Fraction(found.radius) ** 2 * sum(slope**2 for slope in slopes) <= lead**2


def learned(points: list[list[float]]) -> nn.Module:
    """One prototype of class 0, and one of class 1 for each further point; float64."""
    module = Prototypes((len(points[0]),), 2, len(points) - 1).double()
    with torch.no_grad():
        module.points.copy_(torch.tensor([points[0]] * (len(points) - 1) + points[1:], dtype=torch.float64))
    return module.eval()


@pytest.mark.parametrize("size", [1e-150, 1e-8, 1.0, 1e8, 1e150])
def test_planes_between_prototypes_of_any_size_are_no_further_than_exact(size):
    """The exact distance by rationals, where nearly all of the points' squares cancels."""
    source = torch.Generator().manual_seed(4)
    proved = 0
    for _ in range(30):
        first, second, x = (size * torch.rand((3, 2), generator=source, dtype=torch.float64)).unbind()
        second = first + (second - first) * 2.0**-20
        x = first + (x - first) * 2.0**-21
        on = Classifier(learned([first.tolist(), second.tolist()]), (2,), 2, -size, 2.0 * size)
        (found,) = Nearest().on(on).certify(x.unsqueeze(0))
        o, c, p = exact(first), exact(second), exact(x)
        lead = sum((Fraction(1, 2) * (a + b) - v) * (b - a) for a, b, v in zip(o, c, p, strict=True))
        length = sum((b - a) ** 2 for a, b in zip(o, c, strict=True))
        if found.label is not None:
            assert (found.label == 0) == (lead > 0)
            assert Fraction(found.radius) ** 2 * length <= lead**2
            proved += found.radius > 0.0
    assert proved > 20 if size >= 1e-8 else proved == 0


@pytest.mark.parametrize("spread", [1.0, 2.0**-12, 2.0**-24])
@pytest.mark.parametrize("normalized", [False, True])
def test_first_planes_by_products_are_no_further_than_exact(spread, normalized):
    """Bounds for all points at once, where the lengths between points cancel, too; never above, and close below."""
    source = torch.Generator().manual_seed(6)
    front = Normalization((0.1, 0.2, 0.3), (0.3, 0.7, 0.9), 1) if normalized else nn.Identity()
    points = 0.5 + spread * torch.rand((12, 3), generator=source, dtype=torch.float64)
    module = nn.Sequential(front, learned(points[:1].tolist() + points.tolist())).eval()
    with torch.no_grad():
        module[1].points.copy_(torch.cat([points[:1].expand(12, 3), points]))
    method = Nearest().on(Classifier(module, (3,), 2)).method
    x = 0.5 + spread * torch.rand(3, generator=source, dtype=torch.float64)
    point, size = method._point(x.numpy())
    others = np.arange(13, 24)
    found = method._first_planes(point, size, 0, others)
    means, deviations = [Fraction(0)] * 3, [Fraction(1)] * 3
    if normalized:
        means, deviations = exact(front.get_buffer("mean")), exact(front.get_buffer("std"))
    p = [(v - m) / s for v, m, s in zip(exact(x), means, deviations, strict=True)]
    o = exact(module[1].points[0])
    for number, bound in zip(others, found, strict=True):
        c = exact(module[1].points[int(number)])
        lead = sum((Fraction(1, 2) * (a + b) - v) * (b - a) for a, b, v in zip(o, c, p, strict=True))
        square = sum(((b - a) / s) ** 2 for a, b, s in zip(o, c, deviations, strict=True))
        # bound <= lead / sqrt(square), for either sign of both.
        assert bound <= 0 if lead <= 0 else Fraction(max(bound, 0.0)) ** 2 * square <= lead**2
        if lead <= 0:
            assert Fraction(bound) ** 2 * square >= lead**2
        if spread > 2.0**-20:
            assert bound == pytest.approx(float(lead) / math.sqrt(square), rel=1e-3, abs=1e-9)


def test_inputs_between_prototypes_have_no_answer():
    """On the bisector, at equal prototypes of two classes, and next to both closer than rounding can tell apart."""
    on = Classifier(learned([[0.0, 0.5], [1.0, 0.5], [3.0, 3.0]]), (2,), 2)
    halves = torch.tensor([[0.5, 0.0], [0.5, 0.25], [0.5 - 2.0**-53, 1.0]], dtype=torch.float64)
    assert [(each.label, each.radius) for each in Nearest().on(on).certify(halves)] == [(None, 0.0)] * 3
    on = Classifier(learned([[0.5, 0.5], [0.5, 0.5], [1.0, 1.0]]), (2,), 2)
    (found,) = Nearest().on(on).certify(torch.tensor([[0.25, 0.5]]))
    assert (found.label, found.radius) == (None, 0.0)
    # A prototype twice is one.
    once, twice = (learned([[0.0, 0.0], *others]) for others in ([[1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]))
    x = torch.tensor([[0.25, 0.5]])
    radii = [Nearest().on(Classifier(each, (2,), 2)).certify(x)[0].radius for each in (once, twice)]
    assert radii == pytest.approx([0.25, 0.25])
    assert max(radii) <= 0.25


def test_weights_of_planes_prove_no_more_than_exactly():
    """The spread of `_dual`: two nearly opposite planes, far away, whose weighted sum is a small difference."""
    source = torch.Generator().manual_seed(3)
    for _ in range(40):
        module = NearestNeighbour((2,), 2, 3).double().eval()
        left, right = (1.0 + torch.rand(2, generator=source, dtype=torch.float64)).tolist()
        stored = torch.tensor([[-left, 0.0], [right, 0.0], [0.0, -(2.0**-20)]], dtype=torch.float64)
        module.store(stored, torch.tensor([0, 0, 1]))
        method = Nearest(norm="linf").on(Classifier(module, (2,), 2, -1e8, 1e8)).method
        x = torch.tensor([0.0, 1e7], dtype=torch.float64)
        own, other, weights = stored[:2], stored[2], 1.0 / torch.tensor([left, right], dtype=torch.float64)
        near = _Near(*method._point(x.numpy()), own.numpy(), np.array([2]), np.zeros(1))
        found = method._dual(near, other.numpy(), own.numpy(), weights.numpy())
        leads, sums = Fraction(0), [Fraction(0)] * 2
        for weight, each in zip(exact(weights), rows(own), strict=True):
            for axis, (o, c, p) in enumerate(zip(each, exact(other), exact(x), strict=True)):
                leads += weight * ((o + c) / 2 - p) * (c - o)
                sums[axis] += weight * (c - o)
        assert 0 < Fraction(found) <= leads / sum(map(abs, sums))


def test_the_reach_is_what_the_derivation_says():
    """The lines of docs/bounds.md in exact rationals, layer by layer."""
    network = plain(classifier(relu_network(3, 5, 4, 2), (3,), 2))
    x = torch.tensor([[0.2, 0.5, 0.9]], dtype=torch.float64)
    found = reach(network, x, 0.1)
    share = Fraction(gamma(operations(network)))
    size = [abs(value) + Fraction(0.1) for value in exact(x)]
    carried, total = [Fraction(0)] * 3, 1 + sum(size)
    for layer in network.layers:
        if isinstance(layer, nn.Linear):
            weight = [[abs(w) for w in row] for row in rows(layer.weight)]
            size = [
                sum((w * v for w, v in zip(row, size, strict=True)), abs(b))
                for row, b in zip(weight, exact(layer.bias), strict=True)
            ]
            total += sum(size)
            carried = [sum(w * v for w, v in zip(row, carried, strict=True)) for row in weight]
            carried = [value + Fraction(UNDERFLOW) * total for value in carried]
        else:
            carried = [2 * e + 2 * share * m for e, m in zip(carried, size, strict=True)]
            size = [2 * m for m in size]
            total += sum(size)
    for ours, theirs in ((found.size, size), (found.carried, carried)):
        assert ours[0].tolist() == pytest.approx([float(value) for value in theirs], rel=1e-12)
    slack = found.of_difference(torch.tensor([0]))[0, 1]
    assert Fraction(float(slack)) >= sum(carried) + 2 * share * sum(size)


@pytest.mark.parametrize("share", [1e-165, 1e-170, 1e-310])
@pytest.mark.parametrize("bound", [Linear(), Lipschitz(), Convex(epsilon=0.5, norm="l2")])
def test_weights_whose_squares_underflow(bound, share):
    """An input at distance 0.36 has another class; with negligible weights, a bias decides."""
    x = torch.tensor([[0.75, 0.25]])
    (found,) = bound.on(Classifier(affine([[share, 0.0], [0.0, share]], [0.0, 0.0]), (2,), 2)).certify(x)
    assert found.radius <= 0.3535
    lead = 100.0 * share
    (found,) = bound.on(Classifier(affine([[share, 0.0], [0.0, -share]], [lead, 0.0]), (2,), 2)).certify(x)
    assert found.radius <= 101.0


@pytest.mark.parametrize("bound", [Lipschitz(), Convex(epsilon=0.5, norm="l2"), Convex(epsilon=0.5)])
@pytest.mark.parametrize(("first", "others", "depth"), [(1.0, 1e-43, 4), (1e38, 1e-43, 16), (1.0, 1e-43, 9)])
def test_layers_whose_product_underflows(bound, first, others, depth):
    """Single weights are float32; their products, or the squares of these, are outside the range of float64."""
    layers = []
    for number in range(depth):
        layer = nn.Linear(2, 2).requires_grad_(False)
        layer.weight.copy_(torch.eye(2) * (first if number < depth // 2 else others))
        layer.bias.zero_()
        layers += [layer, nn.ReLU()]
    (found,) = bound.on(Classifier(nn.Sequential(*layers[:-1]).eval(), (2,), 2)).certify(torch.tensor([[0.75, 0.25]]))
    assert found.radius <= 0.3535 if bound.measure.value == "L2" else found.radius <= 0.25


def test_spectral_norms_of_weights_next_to_nothing_or_beyond_squares():
    for share in (1e-310, 1e-170, 1e-125, 1.0, 1e125, 1e170):
        layer = affine([[3.0 * share, 0.0], [0.0, share]], [0.0, 0.0])[0]
        with torch.no_grad():
            assert spectral_norm(layer, torch.Size([2])) >= 3.0 * share


def test_a_cell_of_inputs_whose_squares_underflow():
    module = NearestNeighbour((2,), 2, 2).double().eval()
    module.store(torch.tensor([[0.0, 0.0], [1e-165, 1e-165]], dtype=torch.float64), torch.tensor([0, 1]))
    for norm in ("l2", "linf", "l1"):
        (found,) = Nearest(norm=norm).on(Classifier(module, (2,), 2)).certify(torch.zeros(1, 2))
        assert found.radius <= 5e-166


def test_in_range_is_the_range_of_the_classifier():
    """At 1.3 there is another class: within 0.5 of 1, in [-1, 2], and not in [0, 1]."""
    on = Classifier(affine([[0.0], [1.0]], [1.3, 0.0]), (1,), 2, -1.0, 2.0)
    radii = {
        value: Convex(epsilon=0.5, inputs="in-range").on(on).certify(torch.tensor([[value]]))[0].radius
        for value in (-1.0, 0.7, 0.9, 1.0, 1.9, 2.0)
    }
    assert radii == {-1.0: 0.5, 0.7: 0.5, 0.9: 0.0, 1.0: 0.0, 1.9: 0.5, 2.0: 0.5}
    near = Classifier(affine([[0.0], [1.0]], [2.1, 0.0]), (1,), 2, -1.0, 2.0)
    (found,) = Convex(epsilon=0.5, inputs="in-range").on(near).certify(torch.tensor([[1.9]]))
    assert (found.radius, found.space) == (0.5, (-1.0, 2.0))
    (found,) = Convex(epsilon=0.5).on(near).certify(torch.tensor([[1.9]]))
    assert (found.radius, found.space) == (0.0, None)
