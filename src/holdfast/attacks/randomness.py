"""Seeds of an attack's parts, and the global generators of other people's code for as long as they use them."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


def derived(seed: int, *parts: int) -> int:
    """A seed of 63 bits that is a function of `seed` and whole numbers: which example, which restart, what for."""
    return int(np.random.SeedSequence((seed, *parts)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def torch_generator(seed: int, device: torch.device) -> torch.Generator:
    """A generator on `device` of this seed."""
    return torch.Generator(device).manual_seed(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The global generators of torch, numpy and Python set to `seed`, then as they were.

    Libraries of attacks draw from them. numpy's legacy generator takes 32 bits.
    """
    before, ours = np.random.get_state(), random.getstate()  # noqa: NPY002
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002
            random.setstate(ours)
