"""Lipschitz margins of networks with branches: no gradient and no attack contradicts them, and rounding is counted."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from networks import attacked, classifier, in_ball, inputs
from torch import Tensor, nn

from holdfast.bounds.methods.lipschitz import Lipschitz
from holdfast.errors import UsageError
from holdfast.models.architectures import build
from holdfast.models.normalization import Normalization


class Branches(nn.Module):
    """x + f(x), with a given f."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def at_rest(module: nn.Module, seed: int = 0) -> nn.Module:
    """A network whose batch normalizations have seen something."""
    source = torch.Generator().manual_seed(seed)

    def drawn(low: float, high: float, like: Tensor) -> Tensor:
        return low + (high - low) * torch.rand(like.shape, generator=source)

    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.copy_(drawn(-0.3, 0.3, part.running_mean))
            part.running_var.copy_(drawn(0.3, 2.0, part.running_var))
            with torch.no_grad():
                part.weight.copy_(drawn(-1.0, 1.0, part.weight))
                part.bias.copy_(drawn(-0.3, 0.3, part.bias))
    return module.eval()


def pooled() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.Tanh(),
        nn.MaxPool2d(3, 2),
        Branches(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Sigmoid())),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(3, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Linear(8, 3),
    )


def built(name: str, shape: tuple[int, ...], **arguments: object) -> nn.Module:
    torch.manual_seed(1)
    network = build(name, shape, 3, arguments)
    channels = (0.4,) * shape[0], (0.3,) * shape[0]
    return nn.Sequential(Normalization(*channels, len(shape)), network)


NETWORKS = {
    "pooled": (pooled, (1, 7, 7)),
    "resnet20": (lambda: built("resnet20", (1, 8, 8)), (1, 8, 8)),
    "projections": (lambda: built("resnet20", (2, 6, 6), shortcut="projection"), (2, 6, 6)),
    "wide-resnet": (lambda: built("wide-resnet", (2, 8, 8), depth=10, width=1), (2, 8, 8)),
    "averages": (lambda: built("wide-resnet", (1, 7, 7), depth=10, width=1, shortcut="average"), (1, 7, 7)),
    "fc": (lambda: built("fc", (5,), widths=[9, 7], activation="sigmoid"), (5,)),
}


def steepest(module: nn.Module, shape: tuple[int, ...], label: int, other: int, starts: int = 4) -> float:
    """The largest gradient of a lead that an ascent finds, from random points on, where the network is linear."""
    source, best = torch.Generator().manual_seed(0), 0.0
    for _ in range(starts):
        x = torch.randn((1, *shape), generator=source, dtype=torch.float64)
        for _ in range(25):
            x = x.detach().requires_grad_()
            logits = module(x)[0]
            (gradient,) = torch.autograd.grad(logits[label] - logits[other], x, create_graph=True)
            size = gradient.norm()
            best = max(best, float(size.detach()))
            if not size.requires_grad:
                break
            (up,) = torch.autograd.grad(size, x, allow_unused=True)
            step = gradient if up is None or not float(up.detach().norm()) else up
            x = x + 0.1 * step / step.norm().clamp_min(1e-30)
    return best


@pytest.mark.parametrize("name", NETWORKS)
def test_no_gradient_of_a_lead_is_larger_than_its_slope(name):
    made, shape = NETWORKS[name]
    module = at_rest(made())
    slopes = Lipschitz().on(classifier(module, shape, 3)).method.slopes
    module.double()
    for label, other in ((0, 1), (2, 0)):
        found = steepest(module, shape, label, other)
        assert 0.0 < found <= float(slopes[label, other])


@pytest.mark.parametrize("name", NETWORKS)
def test_no_change_within_the_radius_has_another_answer(name):
    made, shape = NETWORKS[name]
    module = at_rest(made())
    x = inputs(4, shape)
    found = Lipschitz().on(classifier(module, shape, 3)).certify(x)
    assert any(each.radius > 0 for each in found)
    module.double()
    for each, point in zip(found, x, strict=True):
        tried = torch.cat(
            [in_ball(point, each.radius, "l2", 200), attacked(module, point, each.label, each.radius, "l2")]
        )
        with torch.no_grad():
            assert (module(tried).argmax(dim=1) == each.label).all()


def test_branches_add_up_and_layers_multiply():
    """f(x) = x + W x, then the last layer, all of them multiples of the identity: 1 + |w| is the sum of branches."""
    branch, last = nn.Linear(2, 2), nn.Linear(2, 2)
    with torch.no_grad():
        branch.weight.copy_(-0.5 * torch.eye(2))
        last.weight.copy_(3.0 * torch.eye(2))
    module = nn.Sequential(Branches(branch), last).eval()
    slopes = Lipschitz().on(classifier(module, (2,), 2)).method.slopes
    # The true constant is (1 - 0.5) 3 sqrt(2): a sum of norms does not see that the branches cancel.
    assert float(slopes[0, 1]) == pytest.approx(1.5 * 3.0 * math.sqrt(2), rel=1e-3)


def test_a_layer_counts_together_with_the_normalization_of_its_output():
    """The product of both norms would be 4 x 1; that of the product is 2, or |2| x 1 in the second channel."""
    layer, norm, last = nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2, eps=0.0), nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.25]]))
        norm.weight.copy_(torch.tensor([2.0, -4.0]))
        last.weight.copy_(torch.eye(2))
    module = nn.Sequential(layer, norm, nn.ReLU(), last).eval()
    slopes = Lipschitz().on(classifier(module, (2,), 2)).method.slopes
    assert float(slopes[0, 1]) == pytest.approx(2.0 * math.sqrt(2), rel=1e-3)


def test_a_layer_whose_output_goes_two_ways():
    """Once through a normalization, once beside it: both ways start at the layer's input or output."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.norm, self.last = nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2, eps=0.0), nn.Linear(2, 2)
            with torch.no_grad():
                self.layer.weight.copy_(2.0 * torch.eye(2))
                self.norm.weight.fill_(3.0)
                self.last.weight.copy_(torch.eye(2))

        def forward(self, x: Tensor) -> Tensor:
            y = self.layer(x)
            return self.last(y + self.norm(y))

    slopes = Lipschitz().on(classifier(Two().eval(), (2,), 2)).method.slopes
    assert float(slopes[0, 1]) == pytest.approx(8.0 * math.sqrt(2), rel=1e-3)


def exact_logits(module: nn.Module, x: Tensor) -> list[Fraction]:
    """Those of `Branches` of two layers with ReLU between, and a last layer, in rationals."""
    first, second, last = module[0].branch[0], module[0].branch[2], module[1]

    def affine(layer: nn.Linear, values: list[Fraction]) -> list[Fraction]:
        rows = [[Fraction(w) for w in row] for row in layer.weight.tolist()]
        return [
            sum((w * v for w, v in zip(row, values, strict=True)), Fraction(b))
            for row, b in zip(rows, layer.bias.tolist(), strict=True)
        ]

    point = [Fraction(v) for v in x.tolist()]
    inner = affine(second, [max(v, Fraction(0)) for v in affine(first, point)])
    return affine(last, [a + b for a, b in zip(point, inner, strict=True)])


def test_the_reach_covers_what_float64_loses():
    """Branches that nearly cancel: the leads that are left are as small as the rounding of what they are left of."""
    source = torch.Generator().manual_seed(0)
    lost, leads = 0, 0
    for _ in range(40):
        branch = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 3))
        module = nn.Sequential(Branches(branch), nn.Linear(3, 2)).double().eval()
        with torch.no_grad():
            weight = torch.randn((3, 3), generator=source, dtype=torch.float64)
            branch[0].weight.copy_(torch.cat([weight, -weight]))
            branch[0].bias.zero_()
            branch[2].weight.copy_(-torch.cat([weight.inverse(), -weight.inverse()], dim=1))
            branch[2].bias.copy_(1e-15 * torch.randn(3, generator=source, dtype=torch.float64))
            module[1].weight.copy_(torch.randn((2, 3), generator=source, dtype=torch.float64))
            module[1].bias.zero_()
        x = torch.rand((1, 3), generator=source, dtype=torch.float64)
        bounded = Lipschitz().on(classifier(module, (3,), 2))
        exact = exact_logits(module, x[0])
        off = bounded.method.reach(x).carried[0]
        computed = module(x)[0]
        for logit, true, room in zip(computed.tolist(), exact, off.tolist(), strict=True):
            assert abs(Fraction(logit) - true) <= Fraction(room)
            lost += Fraction(logit) != true
        (found,) = bounded.certify(x)
        right = max(range(2), key=exact.__getitem__)
        assert found.label in (None, right)
        length = sum((Fraction(a) - Fraction(b)) ** 2 for a, b in zip(*module[1].weight.tolist(), strict=True))
        # No more than the exact lead over the exact slope of the last layer alone, through the shortcut at least.
        lead = exact[right] - exact[1 - right]
        assert Fraction(found.radius) ** 2 * length <= lead**2
        leads += found.label is None
    assert lost > 40
    assert leads > 0, "rounding decides nothing here, so nothing was tested"


def test_deep_networks_keep_their_leads():
    """Rounding by absolute weights exceeds all leads of such a network (docs/bounds.md); by norms it does not."""
    torch.manual_seed(0)
    module = at_rest(build("wide-resnet", (3, 16, 16), 10, {"depth": 16, "width": 1}))
    found = Lipschitz().on(classifier(module, (3, 16, 16), 10)).certify(inputs(3, (3, 16, 16)))
    assert all(each.label is not None and each.radius > 0.0 for each in found)


def test_networks_whose_last_operation_is_no_layer():
    averaged = nn.Sequential(nn.Conv2d(1, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    with pytest.raises(UsageError, match="last layer is fully connected"):
        Lipschitz().on(classifier(averaged, (1, 4, 4), 3))
