"""The limit of a processor or a GPU: operations a second of products of large square matrices, by precision."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from common.timed import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

# Sizes (rows = columns) to choose from: the largest whose product takes at most this many seconds.
_SIZES, _SECONDS = (8192, 4096, 2048, 1024, 512, 256, 128), 1.0
# By kind of device: the largest size, beyond which nothing else is learned, and the size that decides, whose product
# takes longer than its launch.
_LARGEST, _SMALLEST = {"cpu": 2048, "cuda": 8192}, {"cpu": 128, "cuda": 1024}
PRECISIONS = ("float32", "bfloat16", "int8", "fp8")


class Ceiling:
    """Products of large square matrices by torch, in the requested precisions.

    A processor without arithmetic in a precision takes a hundred times as long, so the product is then smaller: the
    time of a small product decides how large it may be.

    Args:
        precisions: some of `PRECISIONS`.
        largest: number of rows; None for what suits the device.
        device: where to multiply.
    """

    def __init__(self, precisions: Collection[str], largest: int | None = None, device: str = "cpu") -> None:
        self._device = torch.device(device)
        most = _LARGEST[self._device.type] if largest is None else largest
        self.sizes = {name: self._affordable(name, most) for name in precisions}
        self._products = {name: (size, _product(name, size, device)) for name, size in self.sizes.items()}
        self.measure()

    def measure(self) -> dict[str, float]:
        """The better of two products of each kind, in operations a second."""
        return {
            name: 2 * size**3 / min(self._seconds(product) for _ in range(2))
            for name, (size, product) in self._products.items()
        }

    def _affordable(self, precision: str, largest: int) -> int:
        smallest = _SMALLEST[self._device.type]
        product = _product(precision, smallest, self._device)
        seconds = min(self._seconds(product) for _ in range(3))
        return next(
            size
            for size in _SIZES
            if size == smallest or (size <= largest and seconds * (size / smallest) ** 3 <= _SECONDS)
        )

    def _seconds(self, product: Callable[[], object]) -> float:
        wait_for(self._device)
        start = time.perf_counter()
        product()
        wait_for(self._device)
        return time.perf_counter() - start


def _product(precision: str, size: int, device: str | torch.device) -> Callable[[], object]:
    if precision == "int8":
        small = torch.randint(-127, 127, (size, size), dtype=torch.int8, device=device)
        return lambda: torch._int_mm(small, small)
    whole = torch.randn(size, size, device=device)
    if precision == "float32":
        return lambda: whole @ whole
    if precision == "fp8":
        eighth, one = whole.to(torch.float8_e4m3fn), torch.ones((), device=device)
        # Its second matrix lies by columns.
        return lambda: torch._scaled_mm(eighth, eighth.t(), one, one, out_dtype=torch.bfloat16)
    half = whole.bfloat16()
    return lambda: half @ half
