"""Upper bounds on spectral norms: the most that a linear layer can lengthen a difference of two inputs, in L2.

All are rounded up. Derivations are in docs/bounds.md.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from holdfast.bounds.units import UNDERFLOW, gamma

if TYPE_CHECKING:
    from holdfast.bounds.nodes import Fixed

# Squarings of the Gram matrix: the bound is at most width^(2^-(1 + this)) times the spectral norm.
_SQUARINGS = 10
# From this Frobenius norm on, squares that are too small for float64 do not count.
_LEAST = 2.0**-400
# Convolutions whose matrices have more entries are bounded frequency by frequency.
MOST_ENTRIES = 2**18
# So many numbers are squared together.
_NUMBERS_AT_ONCE = 2**24
# How far torch's sine and cosine of an angle computed in float64 may be off: a few units in the last place.
_ANGLES = 2.0**-46
_UP = 1.0 + 2.0**-50


def spectral_norm(
    layer: nn.Linear | nn.Conv2d, shape: torch.Size, scale: Tensor | None = None, most_entries: int = MOST_ENTRIES
) -> float:
    """An upper bound on the spectral norm of a layer.

    Args:
        layer: in float64.
        shape: of its input.
        scale: of each of its output channels `(channels, 1, ...)`, to bound the layer and this scaling together.
        most_entries: of the matrix of a convolution; those with more are bounded on a torus.
    """
    weight = layer.weight.detach()
    offsets = _sizes_of_offsets(weight)
    rounding = 0.0
    if scale is not None:
        weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        offsets = _sizes_of_offsets(weight)
        # Each scale has a few roundings of its own, and each product one.
        rounding = gamma(64) * offsets
    if isinstance(layer, nn.Linear):
        found = matrix_norm(weight.unsqueeze(0))
    else:
        matrix = _matrix(layer, weight, shape, most_entries)
        found = matrix_norm(matrix.unsqueeze(0)) if matrix is not None else _on_torus(layer, weight, shape, offsets)
    return (found + rounding) * _UP + UNDERFLOW


def matrix_norm(matrices: Tensor) -> float:
    """An upper bound on the largest spectral norm of matrices `(number, rows, columns)`, float64.

    With A = W^T W, the norm of A to the power 2^k, to the power 2^-k, where the Frobenius norm stands for the norm of
    the last power. Each product's rounding is added before its root is taken. If weights are next to nothing, or too
    large to be squared, the Frobenius norm of W.
    """
    if matrices.shape[1] > matrices.shape[2]:
        matrices = matrices.mT
    together = max(1, _NUMBERS_AT_ONCE // matrices[0].numel())
    return max(float(_norms(part).max()) for part in torch.split(matrices, together))


def _norms(matrices: Tensor) -> Tensor:
    """The bounds of several matrices with at least as many columns as rows."""
    rows, columns = matrices.shape[1:]
    sizes = _frobenius(matrices)
    simple = sizes * (1.0 + gamma(rows * columns + 8)) + UNDERFLOW
    usual = (sizes >= _LEAST) & (sizes < math.inf)
    scaled = matrices / torch.where(usual, sizes, 1.0).view(-1, 1, 1)
    power = _symmetric(scaled @ scaled.mT)
    powers: list[Tensor] = []
    for _ in range(_SQUARINGS):
        powers.append(_frobenius(power))
        power = power / powers[-1].view(-1, 1, 1)
        power = _symmetric(power @ power)
    bound = _frobenius(power) * (1.0 + gamma(rows * rows + 8)) + gamma(rows + 8)
    for each in reversed(powers):
        # The next power is off by the rounding of its product and of the division, of matrices of size 1.
        bound = each * torch.sqrt(bound + 2.0 * gamma(rows * rows + 8)) * _UP
    bound = sizes * torch.sqrt(bound + 2.0 * gamma(columns + 8)) * _UP
    return torch.where(usual, bound, simple)


def nonnegative_norm(operation: Fixed, shape: torch.Size) -> float:
    """An upper bound on the spectral norm of a map without negative entries, for inputs of this shape.

    The square of the norm is at most the largest sum of a row times the largest sum of a column.
    """
    ones = torch.ones((1, *shape), dtype=torch.float64)
    rows = operation.forward(ones)
    columns = operation.transposed(torch.ones_like(rows), shape)
    share = 1.0 + gamma(4 * (rows.numel() + columns.numel()) + 64)
    return math.sqrt(float(rows.max()) * float(columns.max())) * share * _UP + UNDERFLOW


def _frobenius(matrices: Tensor) -> Tensor:
    found: Tensor = torch.linalg.matrix_norm(matrices)
    return found


def _symmetric(matrices: Tensor) -> Tensor:
    """The mean with the transpose: a computed product may be a rounding away from symmetry, which the powers need."""
    return (matrices + matrices.mT) / 2


def _sizes_of_offsets(weight: Tensor) -> float:
    """The sum over a kernel's positions of the Frobenius norm there, rounded up: no smaller than the spectral norm."""
    flat = weight.flatten(2) if weight.ndim > 2 else weight.unsqueeze(2)
    sizes = torch.linalg.vector_norm(flat, dim=(0, 1))
    return float(sizes.sum()) * (1.0 + gamma(weight.numel() + 16)) + UNDERFLOW * len(sizes)


def _matrix(layer: nn.Conv2d, weight: Tensor, shape: torch.Size, most_entries: int) -> Tensor | None:
    """The matrix of a convolution; None if it would have more entries."""
    units = shape.numel()
    outputs = layer(torch.zeros((1, *shape), dtype=weight.dtype, device=weight.device)).numel()
    if units * outputs > most_entries:
        return None
    each = torch.eye(units, dtype=weight.dtype, device=weight.device).view(units, *shape)
    return functional.conv2d(each, weight, None, layer.stride, layer.padding).flatten(1)


def _on_torus(layer: nn.Conv2d, weight: Tensor, shape: torch.Size, offsets: float) -> float:
    """The largest norm over the frequencies of the convolution on a torus, of which the layer computes a part.

    Steps of s pixels are steps of one on s x s times as many channels, each with every s-th pixel. A kernel that fits
    into the padded input nowhere reaches around the torus.
    """
    steps, pads = [int(step) for step in layer.stride], [int(pad) for pad in layer.padding]
    sides = [-(-(side + 2 * pad) // step) for side, pad, step in zip(shape[1:], pads, steps, strict=True)]
    kernel = _phases(weight, *steps)
    if kernel.shape[2:] == (1, 1):
        sides = [1, 1]
    flat = kernel.flatten(2)
    rows, columns = (torch.arange(size) for size in kernel.shape[2:])
    # The kernel is real, so that opposite frequencies have the same norm.
    up, across = torch.arange(sides[0] // 2 + 1), torch.arange(sides[1])
    turns = (
        (up.view(-1, 1, 1, 1) * rows.view(1, 1, -1, 1) % sides[0]) / torch.tensor(sides[0], dtype=torch.float64)
        + (across.view(1, -1, 1, 1) * columns.view(1, 1, 1, -1) % sides[1])
        / torch.tensor(sides[1], dtype=torch.float64)
    ).view(-1, flat.shape[2])
    angles = (2.0 * math.pi * turns).to(weight.device)
    largest = 0.0
    for part in torch.split(angles, max(1, _NUMBERS_AT_ONCE // (4 * flat[:, :, 0].numel()))):
        real = torch.einsum("oit,ft->foi", flat, torch.cos(part))
        other = torch.einsum("oit,ft->foi", flat, torch.sin(part))
        # The real matrix of a complex one has the same norm.
        whole = torch.cat([torch.cat([real, -other], dim=2), torch.cat([other, real], dim=2)], dim=1)
        largest = max(largest, matrix_norm(whole))
    # Errors of sines and cosines, and of the sums, in both parts of the complex matrix.
    return largest + 2.0 * (_ANGLES + gamma(flat.shape[2] + 16)) * offsets


def _phases(weight: Tensor, up: int, across: int) -> Tensor:
    """The kernel `(out, in, height, width)` for steps of one over `in` x up x across channels."""
    outputs, inputs, height, width = weight.shape
    tall, wide = -(-height // up), -(-width // across)
    padded = functional.pad(weight, (0, wide * across - width, 0, tall * up - height))
    parts = padded.view(outputs, inputs, tall, up, wide, across).permute(0, 1, 3, 5, 2, 4)
    return parts.reshape(outputs, inputs * up * across, tall, wide)
