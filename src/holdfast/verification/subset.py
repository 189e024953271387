"""Which examples a manifest promises, from its entries alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any


class _Drawn(tuple[int, ...]):
    """Indices in increasing order. Whether one is among them is known without a look at all."""

    __slots__ = ()

    def __contains__(self, index: object) -> bool:
        low, high = 0, len(self)
        while isinstance(index, int) and low < high:
            middle = (low + high) // 2
            if self[middle] < index:
                low = middle + 1
            else:
                high = middle
        return low < len(self) and self[low] == index


def indices_of(data: Mapping[str, Any]) -> Sequence[int]:
    """The indices of the subset in the entry `data` of a manifest: each so-and-so-many-th, or a random sample.

    A sample of N of L examples with the seed S has the N indices i whose SHA-256 of `holdfast-sample 1: S L i` come
    first, as numbers.
    """
    size, sample = data["size"], data.get("sample")
    if sample is None:
        return range(0, size, data["every"])[: data["limit"]]
    text = f"holdfast-sample 1: {data['sample_seed']} {size} "
    ranked = sorted(range(size), key=lambda index: hashlib.sha256(f"{text}{index}".encode()).digest())
    return _Drawn(sorted(ranked[:sample]))
