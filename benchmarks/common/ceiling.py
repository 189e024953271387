"""The limit of a processor: operations a second of products of large square matrices, by precision."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

# Sizes (rows = columns) to choose from: the largest whose product takes at most this many seconds.
_SIZES, _SECONDS = (2048, 1024, 512, 256, 128), 1.0


class Ceiling:
    """Products of large square matrices by torch, in the requested precisions.

    A processor without arithmetic in a precision takes a hundred times as long, so the product is then smaller: the
    time of a product of the smallest size decides how large it may be.
    """

    def __init__(self, precisions: Collection[str], largest: int = _SIZES[0]) -> None:
        self.sizes = {name: _affordable(name, largest) for name in precisions}
        self._products = {name: (size, _product(name, size)) for name, size in self.sizes.items()}
        self.measure()

    def measure(self) -> dict[str, float]:
        """The better of two products of each kind, in operations a second."""
        return {
            name: 2 * size**3 / min(_seconds(product) for _ in range(2))
            for name, (size, product) in self._products.items()
        }


def _affordable(precision: str, largest: int) -> int:
    smallest = _SIZES[-1]
    product = _product(precision, smallest)
    seconds = min(_seconds(product) for _ in range(3))
    return next(
        size
        for size in _SIZES
        if size == smallest or (size <= largest and seconds * (size / smallest) ** 3 <= _SECONDS)
    )


def _product(precision: str, size: int) -> Callable[[], object]:
    if precision == "int8":
        small = torch.randint(-127, 127, (size, size), dtype=torch.int8)
        return lambda: torch._int_mm(small, small)
    whole = torch.randn(size, size)
    if precision == "float32":
        return lambda: whole @ whole
    half = whole.bfloat16()
    return lambda: half @ half


def _seconds(product: Callable[[], object]) -> float:
    start = time.perf_counter()
    product()
    return time.perf_counter() - start
