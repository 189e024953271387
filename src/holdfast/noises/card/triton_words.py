"""Philox4x64-10 on a CUDA card in one launch, by Triton, which torch's builds for CUDA bring along.

Import it only where Triton is installed; `card.checked` compares its words before noise is made of them.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

# Counters that one program of the grid takes.
_BLOCK = 512
_WORD = 2**64


@triton.jit(do_not_specialize=["lane", "stream", "lower", "seed", "upper"])  # type: ignore[untyped-decorator]
def _philox(words, numbers, count, lane, stream, lower, seed, upper, block: tl.constexpr):  # type: ignore[no-untyped-def]
    place = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = place < count
    zero = tl.zeros((block,), tl.uint64)
    a = tl.load(numbers + place, mask=inside, other=0).to(tl.uint64, bitcast=True)
    b = zero + lane.to(tl.uint64)
    c = zero + stream.to(tl.uint64)
    d = zero + lower.to(tl.uint64)
    first = zero + seed.to(tl.uint64)
    second = zero + upper.to(tl.uint64)
    # Multipliers and increments as in draws.py: a kernel reads no globals.
    for_a = tl.full((block,), 0xD2E7470EE14C6C93, tl.uint64)
    for_c = tl.full((block,), 0xCA5A826395121157, tl.uint64)
    more_first = tl.full((block,), 0x9E3779B97F4A7C15, tl.uint64)
    more_second = tl.full((block,), 0xBB67AE8584CAA73B, tl.uint64)
    for _ in tl.static_range(10):
        high_a = tl.umulhi(a, for_a)
        high_c = tl.umulhi(c, for_c)
        low_a = a * for_a
        low_c = c * for_c
        a = high_c ^ b ^ first
        b = low_c
        c = high_a ^ d ^ second
        d = low_a
        first += more_first
        second += more_second
    out = words + place * 4
    tl.store(out, a.to(tl.int64, bitcast=True), mask=inside)
    tl.store(out + 1, b.to(tl.int64, bitcast=True), mask=inside)
    tl.store(out + 2, c.to(tl.int64, bitcast=True), mask=inside)
    tl.store(out + 3, d.to(tl.int64, bitcast=True), mask=inside)


def philox(key: tuple[int, int], counter: tuple[torch.Tensor, int, int, int]) -> torch.Tensor:
    """As `draws.philox`, for counters on a card."""
    numbers, *others = counter
    numbers = numbers.contiguous()
    words = numbers.new_empty((len(numbers), 4))
    if len(numbers):
        scalars = [word - _WORD if word >= _WORD // 2 else word for word in (each % _WORD for each in (*others, *key))]
        # Triton launches on the current device.
        with torch.cuda.device_of(numbers):  # type: ignore[no-untyped-call]
            _philox[(triton.cdiv(len(numbers), _BLOCK),)](words, numbers, len(numbers), *scalars, block=_BLOCK)
    return words
