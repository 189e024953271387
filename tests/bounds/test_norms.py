"""Upper bounds on spectral norms, against singular values of the whole matrix."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from holdfast.bounds import norms
from holdfast.bounds.nodes import Activation, Fixed, MaxPool
from holdfast.bounds.norms import matrix_norm, nonnegative_norm, spectral_norm
from holdfast.bounds.stages import slope

# Computed singular values are a few roundings off.
_SAME = 1.0 - 1e-12


def matrix_of(function, shape: tuple[int, ...]) -> Tensor:
    """The matrix of a linear map, `(inputs, outputs)`."""
    units = math.prod(shape)
    return function(torch.eye(units, dtype=torch.float64).view(units, *shape)).flatten(1)


def largest(matrix: Tensor) -> float:
    return float(torch.linalg.svdvals(matrix)[0])


def test_the_largest_norm_of_several_matrices():
    source = torch.Generator().manual_seed(0)
    matrices = torch.randn((5, 4, 9), generator=source, dtype=torch.float64)
    matrices[0] = 0.0
    matrices[1] *= 1e-150
    matrices[3] *= 3.0
    true = float(torch.linalg.svdvals(matrices).max())
    for given in (matrices, matrices.mT):
        assert true * _SAME <= matrix_norm(given) <= true * 1.01
    assert 0.0 < matrix_norm(matrices[:1]) < 1e-100


def test_parts_of_many_matrices_are_all_looked_at(monkeypatch):
    matrices = torch.zeros((7, 3, 3), dtype=torch.float64)
    matrices[4] = 2.0 * torch.eye(3)
    monkeypatch.setattr(norms, "_NUMBERS_AT_ONCE", 18)
    assert 2.0 <= matrix_norm(matrices) <= 2.01


CONVOLUTIONS = [
    ((3, 8, 8), {"kernel_size": 3, "padding": 1}),
    ((3, 8, 8), {"kernel_size": 3, "padding": 1, "stride": 2}),
    ((3, 7, 9), {"kernel_size": 3, "padding": 1, "stride": 2}),
    ((3, 9, 8), {"kernel_size": 1, "stride": 2}),
    ((3, 6, 6), {"kernel_size": 1}),
    ((3, 8, 8), {"kernel_size": 4, "padding": 1, "stride": 2}),
    ((3, 7, 6), {"kernel_size": (3, 5), "padding": (0, 3), "stride": (2, 3)}),
    ((3, 5, 5), {"kernel_size": 3, "padding": 4}),
    ((3, 5, 5), {"kernel_size": 5}),
    ((3, 6, 6), {"kernel_size": 2, "stride": 3}),
]


@pytest.mark.parametrize(("shape", "settings"), CONVOLUTIONS)
@pytest.mark.parametrize("scaled", [False, True])
def test_a_convolution_on_a_torus_is_no_less_than_the_layer(shape, settings, scaled):
    """Random kernels, and constant ones, whose largest frequency is 0."""
    source = torch.Generator().manual_seed(1)
    for constant in (False, True, False):
        layer = nn.Conv2d(3, 4, **settings).double().requires_grad_(False)
        values = torch.randn(layer.weight.shape, generator=source, dtype=torch.float64)
        layer.weight.copy_(torch.ones_like(values) if constant else values)
        scale = 4.0 * torch.rand((4, 1, 1), generator=source, dtype=torch.float64) - 2.0 if scaled else None
        factor = torch.ones(()) if scale is None else scale

        def mapped(x: Tensor, layer: nn.Conv2d = layer, factor: Tensor = factor) -> Tensor:
            return factor * functional.conv2d(x, layer.weight, None, layer.stride, layer.padding)

        true = largest(matrix_of(mapped, shape))
        found = spectral_norm(layer, torch.Size(shape), scale, most_entries=0)
        # A kernel as large as the image is the worst: a torus has 25 places for it, the image one.
        assert true * _SAME <= found <= true * 5.01


def test_the_torus_is_close_for_usual_convolutions():
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 4, 3, padding=1).double().requires_grad_(False)
    shape = torch.Size((4, 12, 12))
    near = spectral_norm(layer, shape, most_entries=2**20)
    assert near * _SAME <= spectral_norm(layer, shape, most_entries=0) <= near * 1.05


def test_a_fully_connected_layer_with_its_scaling():
    torch.manual_seed(0)
    layer = nn.Linear(6, 4).double().requires_grad_(False)
    scale = torch.tensor([0.5, -3.0, 1.0, 0.0], dtype=torch.float64)
    true = largest(scale.view(-1, 1) * layer.weight)
    assert true * _SAME <= spectral_norm(layer, torch.Size((6,)), scale) <= true * 1.01


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (nn.AvgPool2d(2), (2, 4, 4)),
        (nn.AvgPool2d(3, 1), (1, 5, 6)),
        (nn.AvgPool2d(2, ceil_mode=True), (1, 5, 3)),
        (lambda x: x.mean(dim=(2, 3)), (3, 4, 4)),
        (lambda x: x[:, :, ::2, ::2], (2, 5, 5)),
        (lambda x: functional.pad(x, (0, 0, 0, 0, 1, 1)), (2, 3, 3)),
        (lambda x: x.flatten(1), (2, 3, 3)),
    ],
)
def test_maps_without_negative_entries(function, shape):
    true = largest(matrix_of(function, shape))
    found = nonnegative_norm(Fixed(function), torch.Size(shape))
    assert true * _SAME <= found <= true * 1.4


def test_a_whole_average_shortens_by_the_root_of_its_size():
    found = nonnegative_norm(Fixed(lambda x: x.mean(dim=(2, 3))), torch.Size((5, 8, 8)))
    assert found == pytest.approx(1 / 8)


@pytest.mark.parametrize(("kernel", "stride", "expected"), [((2, 2), (2, 2), 1.0), ((3, 3), (2, 2), 2.0)])
def test_max_pooling_lengthens_by_the_windows_that_share_a_value(kernel, stride, expected):
    pool = MaxPool(kernel, stride)
    found = slope(pool)
    assert found == pytest.approx(expected)
    # One value in the middle of all windows that have it reaches the bound.
    x = torch.zeros((1, 1, 7, 7), dtype=torch.float64)
    x[0, 0, 2, 2] = 1.0
    assert float(pool.forward(x).norm()) == pytest.approx(expected)
    source = torch.Generator().manual_seed(0)
    for _ in range(50):
        first, second = torch.randn((2, 1, 2, 7, 7), generator=source, dtype=torch.float64)
        assert float((pool.forward(first) - pool.forward(second)).norm()) <= found * float((first - second).norm())


@pytest.mark.parametrize(("kind", "expected"), [(nn.ReLU, 1.0), (nn.Sigmoid, 0.25), (nn.Tanh, 1.0)])
def test_slopes_of_activations(kind, expected):
    x = torch.linspace(-3.0, 3.0, 6001, dtype=torch.float64)
    y = Activation(kind).forward(x)
    steepest = float(((y[1:] - y[:-1]) / (x[1:] - x[:-1])).max())
    assert expected * 0.999 <= steepest <= expected * (1 + 1e-9)
    assert slope(Activation(kind)) == expected
    assert slope(Fixed(lambda x: x)) is None
