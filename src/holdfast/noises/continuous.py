"""Normal, uniform and Laplace values from random words. Derivation: docs/guarantees.md, "Continuous values".

For float32, a value comes from words of 32 bits; for float64, from words of 64 bits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from holdfast.noises.draws import Draws

# Values to make at a time, in whole draws: what is computed on the way takes some MiB.
_PIECE = 2**18


def normal(values: Tensor, draws: Draws, sigma: float) -> Tensor:
    """Overwrite `values` `(len(draws), *event)`, contiguous, with normal values of mean 0 and deviation `sigma`.

    Value i of the first half of a draw is r cos(a), and the same of the second half r sin(a): r is sqrt(-2 ln u), u in
    (0, 1] the (i + 1)-th value of `_unit` from lane 0, and a in [-pi, pi] from the word of lane 1.

    Source: Box & Muller 1958.
    """
    rows = values.view(len(draws), -1)
    half = -(-rows.shape[1] // 2)

    def otherwise(rows: Tensor, draws: Draws) -> None:
        for out, part in _pieces(rows, draws):
            radius = _unit(rows, part, half, 0).log_().mul_(-2.0).sqrt_().mul_(sigma)
            angle = _signed(rows, part, half, 1).mul_(math.pi)
            out[:, :half] = angle.cos().mul_(radius)
            out[:, half:] = angle.sin_().mul_(radius)[:, : rows.shape[1] - half]

    draws.write(rows, "normal", (sigma,), otherwise)
    return values


def uniform(values: Tensor, draws: Draws, half_width: float, lane: int = 0) -> Tensor:
    """Overwrite `values` `(len(draws), *event)`, contiguous, with uniform values from -half_width to half_width.

    Those of another lane are independent.
    """
    rows = values.view(len(draws), -1)

    def otherwise(rows: Tensor, draws: Draws) -> None:
        for out, part in _pieces(rows, draws):
            out.copy_(_signed(rows, part, rows.shape[1], lane).mul_(half_width))

    draws.write(rows, "uniform", (half_width, lane), otherwise)
    return values


def laplace(values: Tensor, draws: Draws, b: float) -> Tensor:
    """Overwrite `values` `(len(draws), *event)`, contiguous, with Laplace values of scale b.

    The size is -b ln u; the sign is that of the word that u comes from, which u does not depend on.
    """
    rows = values.view(len(draws), -1)

    def otherwise(rows: Tensor, draws: Draws) -> None:
        for out, part in _pieces(rows, draws):
            words = _words(rows, part, rows.shape[1], 0)
            size = _unit_of(words, rows).log_().mul_(-b)
            out.copy_(size.copysign_(words))

    draws.write(rows, "laplace", (b, 0), otherwise)
    return values


def _pieces(rows: Tensor, draws: Draws) -> Iterator[tuple[Tensor, Draws]]:
    size = max(1, _PIECE // max(1, rows.shape[1]))
    for first in range(0, len(draws), size):
        yield rows[first : first + size], draws[first : first + size]


def _words(rows: Tensor, draws: Draws, count: int, lane: int) -> Tensor:
    """Words as wide as the values: 64 bits for float64, and 32 for others."""
    wide = rows.element_size() == 8
    return draws.words64(rows, count, lane) if wide else draws.words(rows, count, lane)


def _unit(rows: Tensor, draws: Draws, count: int, lane: int) -> Tensor:
    return _unit_of(_words(rows, draws, count, lane), rows)


def _unit_of(words: Tensor, rows: Tensor) -> Tensor:
    """Values in (0, 1]: (w + 1/2) / 2^31 for the lower 31 bits w of each word, or / 2^63 for the lower 63."""
    bits = 8 * words.element_size() - 1
    return _floating(words & (2**bits - 1), rows).add_(0.5).mul_(2.0**-bits)


def _signed(rows: Tensor, draws: Draws, count: int, lane: int) -> Tensor:
    """Values in [-1, 1]: each word as a signed integer, divided by 2^31 or 2^63."""
    words = _words(rows, draws, count, lane)
    return _floating(words, rows).mul_(2.0 ** (1 - 8 * words.element_size()))


def _floating(words: Tensor, rows: Tensor) -> Tensor:
    return words.double() if rows.element_size() == 8 else words.float()
