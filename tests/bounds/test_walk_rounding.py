"""Walks through networks with branches against exact rationals: their bounds hold for f in exact arithmetic and in
float64, with the additions in any order."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from networks import classifier
from torch import Tensor, nn

from holdfast.bounds.backward import Ball, Walk, _errors_by_products, _errors_by_walk, float_errors, least_leads
from holdfast.bounds.graph import Graph, graph
from holdfast.bounds.methods.crown import Crown
from holdfast.bounds.methods.intervals import Intervals
from holdfast.models.architectures import build

Exact = list[Fraction]


class Residual(nn.Module):
    """Fully connected layers around a block with a shortcut."""

    def __init__(self, seed: int, depth: int = 3) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)
        self.inner = nn.ModuleList(nn.Linear(6, 6) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        for layer in self.inner:
            x = torch.relu(layer(x) + x)
        logits: Tensor = self.last(x)
        return logits

    def exact(self, x: Exact) -> Exact:
        """The logits in rationals."""
        x = [max(value, Fraction(0)) for value in affine(self.first, x)]
        for layer in self.inner:
            x = [max(a + b, Fraction(0)) for a, b in zip(affine(layer, x), x, strict=True)]
        return affine(self.last, x)


def affine(layer: nn.Linear, x: Exact) -> Exact:
    weight, bias = layer.weight.double().tolist(), layer.bias.double().tolist()
    return [
        sum((Fraction(w) * value for w, value in zip(row, x, strict=True)), Fraction(b))
        for row, b in zip(weight, bias, strict=True)
    ]


def cancelling(seed: int) -> Residual:
    """Logits that are small differences of values near 10^8, so that float64 is off by about 10^-8."""
    made = Residual(seed).double()
    with torch.no_grad():
        made.first.bias.add_(1e8)
        made.last.weight.copy_(made.last.weight - made.last.weight.mean(dim=1, keepdim=True))
    return made.eval()


def read(module: nn.Module) -> Graph:
    return graph(classifier(module, (4,), 3))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("way", [_errors_by_products, _errors_by_walk, float_errors])
def test_errors_of_logits_are_no_smaller_than_those_of_float64(seed, way):
    module = cancelling(seed)
    x = torch.rand((1, 4), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    with torch.no_grad():
        computed, errors = module(x)[0].tolist(), way(read(module), x).flatten().tolist()
    off = [
        abs(Fraction(value) - exact)
        for value, exact in zip(computed, module.exact([Fraction(v) for v in x[0].tolist()]), strict=True)
    ]
    assert max(off) > 0, "float64 is exact here, so nothing was tested"
    assert all(one <= Fraction(error) for one, error in zip(off, errors, strict=True))


@pytest.mark.parametrize("seed", range(6))
def test_a_lead_is_no_larger_than_exact_and_computed_ones(seed):
    module = cancelling(seed)
    source = torch.Generator().manual_seed(seed)
    x = torch.rand((1, 4), generator=source, dtype=torch.float64)
    for epsilon in (0.0, 1e-9, 1e-3):
        walk = Walk(read(module), Ball(x, epsilon, "linf"), adaptive=True, tight=True)
        leads = [Fraction(value) for value in least_leads(walk, 0).tolist()]
        for _ in range(5):
            moved = x + epsilon * (1 - 1e-9) * (2 * torch.rand(x.shape, generator=source, dtype=torch.float64) - 1)
            exact = module.exact([Fraction(value) for value in moved[0].tolist()])
            with torch.no_grad():
                computed = [Fraction(value) for value in module(moved)[0].tolist()]
            for logits in (exact, computed):
                assert all(logits[0] - logit >= lead for logit, lead in zip(logits, leads, strict=True))


@pytest.mark.parametrize("bound", [Crown(epsilon=1e-12, search=40), Intervals(epsilon=1e-12, search=40)])
def test_a_certified_answer_is_that_of_exact_arithmetic(bound):
    """Ties that rounding may break get no answer."""
    answered = 0
    for seed in range(20):
        module = cancelling(seed)
        x = torch.rand((1, 4), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        (found,) = bound.on(classifier(module, (4,), 3)).certify(x)
        exact = module.exact([Fraction(value) for value in x[0].tolist()])
        assert found.label in (None, max(range(3), key=exact.__getitem__))
        answered += found.label is not None
    assert answered > 10


def test_in_deep_networks_the_walk_is_far_below_the_products():
    """20 layers with random weights, which the products of absolute weights leave without an answer."""
    torch.manual_seed(0)
    module = build("resnet20", (1, 4, 4), 10).eval()
    network = graph(classifier(module, (1, 4, 4), 10))
    x = torch.rand((1, 1, 4, 4), dtype=torch.float64)
    with torch.no_grad():
        logits, found = network.logits(x)[0], float_errors(network, x)[0]
        assert float(_errors_by_products(network, x).max()) > float(logits.max() - logits.min())
    assert float(found.max()) < 1e-6
    (certificate,) = Crown(epsilon=1e-7).on(classifier(module, (1, 4, 4), 10)).certify(x)
    assert certificate.label == int(logits.argmax())
    assert certificate.radius == 1e-7
