"""Seeds for the parts of an attack, and temporary seeds for global generators."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


def derived(seed: int, *parts: int) -> int:
    """A 63-bit seed computed from `seed` and whole numbers, such as example, restart and purpose."""
    return int(np.random.SeedSequence((seed, *parts)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def torch_generator(seed: int, device: torch.device) -> torch.Generator:
    """A generator on `device` with this seed."""
    return torch.Generator(device).manual_seed(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Set the global generators of torch, numpy and Python to `seed`, and restore them at the end.

    Attack libraries draw from them. numpy's legacy generator takes 32 bits.
    """
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)
