"""The Lipschitz margin. Source: Tsuzuku, Sato & Sugiyama 2018, "Lipschitz-Margin Training: Scalable Certification of
Perturbation Invariance for Deep Neural Networks"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from holdfast.bounds.base import Bound, Classifier, Method
from holdfast.bounds.layers import PlainNetwork, plain
from holdfast.bounds.margins import MarginQuotient
from holdfast.bounds.rounding import UNDERFLOW, gamma
from holdfast.errors import UsageError
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

_MOST_ENTRIES = 2**28
# Squarings of the Gram matrix: the bound is at most width^(2^-(1 + this)) times the spectral norm.
_SQUARINGS = 10
# From this Frobenius norm on, squares that are too small for float64 do not count.
_LEAST = 2.0**-400
_SLOPES = {nn.ReLU: 1.0, nn.Sigmoid: 0.25, nn.Flatten: 1.0}


@dataclass(frozen=True)
class Lipschitz(Bound):
    """The lead over each other class, divided by the most that it can change per unit of L2 length.

    That is the product of the layers' spectral norms, with the difference of two rows instead of the last layer. The
    paper has sqrt(2) times the last layer's norm, which is never smaller.
    """

    name: ClassVar[str] = "lipschitz"
    norms = (Norm.L2,)
    source = "Tsuzuku et al. 2018"
    assumption = "The network is computed with its stored weights in exact arithmetic."

    def prepare(self, classifier: Classifier) -> Method:
        """Compute spectral norms, which takes seconds for wide layers."""
        network = plain(classifier, (nn.ReLU, nn.Sigmoid))
        return MarginQuotient(network, _constants(network))


def _constants(network: PlainNetwork) -> Tensor:
    """The most that the lead of a class over another one can change per unit of L2 length, rounded up."""
    constant = 1.0
    for layer, shape in zip(network.hidden, network.shapes, strict=False):
        constant = constant * spectral_norm(layer, shape) * (1.0 + 2.0**-50) + UNDERFLOW
    last = network.last
    rows: Tensor = torch.linalg.vector_norm(last.weight.unsqueeze(1) - last.weight.unsqueeze(0), dim=2)
    rows = rows * (1.0 + 4.0 * gamma(last.in_features + 8)) + UNDERFLOW
    return constant * rows * (1.0 + 2.0**-50) + UNDERFLOW


def spectral_norm(layer: nn.Module, shape: torch.Size) -> float:
    """An upper bound on the largest factor by which a layer lengthens a difference of two inputs, in L2.

    For an affine layer: with A = W^T W, the norm of A to the power 2^k, to the power 2^-k, where the Frobenius norm
    stands for the norm of the last power. Each product's rounding is added before its root is taken. If the weights are
    next to nothing, or too large to be squared, the Frobenius norm of W.

    Raises:
        UsageError: the matrix of the layer would be too large.
    """
    if type(layer) in _SLOPES:
        return _SLOPES[type(layer)]
    matrix = _matrix(layer, shape)
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.T
    rows, columns = matrix.shape
    size = float(torch.linalg.matrix_norm(matrix))
    if not _LEAST <= size < math.inf:
        return size * (1.0 + gamma(matrix.numel() + 8)) + UNDERFLOW
    power = _symmetric((matrix / size) @ (matrix / size).T)
    sizes: list[float] = []
    for _ in range(_SQUARINGS):
        sizes.append(float(torch.linalg.matrix_norm(power)))
        power = power / sizes[-1]
        power = _symmetric(power @ power)
    bound = float(torch.linalg.matrix_norm(power)) * (1.0 + gamma(rows * rows + 8)) + gamma(rows + 8)
    for each in reversed(sizes):
        # The next power is off by the rounding of its product and of the division, of matrices of size 1.
        bound = each * math.sqrt(bound + 2.0 * gamma(rows * rows + 8)) * (1.0 + 2.0**-50)
    return size * math.sqrt(bound + 2.0 * gamma(columns + 8)) * (1.0 + 2.0**-50)


def _symmetric(matrix: Tensor) -> Tensor:
    """The mean with its transpose: a computed product may be a rounding away from symmetry, which the powers need."""
    return (matrix + matrix.T) / 2


def _matrix(layer: nn.Module, shape: torch.Size) -> Tensor:
    """The matrix of an affine layer."""
    if isinstance(layer, nn.Linear):
        return layer.weight
    assert isinstance(layer, nn.Conv2d)
    units = shape.numel()
    with torch.no_grad():
        outputs = nn.functional.conv2d(
            torch.zeros((1, *shape), dtype=layer.weight.dtype, device=layer.weight.device),
            layer.weight,
            None,
            layer.stride,
            layer.padding,
        ).numel()
        if units * outputs > _MOST_ENTRIES:
            raise UsageError(
                f"the bound 'lipschitz' writes convolutions as matrices, and {layer} would have {units} x {outputs} "
                "entries; it is meant for small networks"
            )
        each = torch.eye(units, dtype=layer.weight.dtype, device=layer.weight.device).view(units, *shape)
        return nn.functional.conv2d(each, layer.weight, None, layer.stride, layer.padding).flatten(1)
