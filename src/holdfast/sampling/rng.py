"""Keyed generators for (seed, example, stream, block): noise that does not depend on batches, order or workers.

A counter-based generator (Philox, Salmon et al. 2011) is keyed with the seed; (example, stream, block) is its
counter. On a CPU its output fills the whole state of torch's Mersenne Twister, because torch's own seeding there uses
only 32 bits of the seed, and two of 100,000 blocks would probably share their noise. On CUDA, where torch generates by
Philox with a 64-bit key, its first output is that key.

The key of an example is its index, below 2^64, or a 128-bit number (`inputs.content_keys`), whose upper half is the
second word of Philox's key. That word is 0 for indices, so an index and a content key never share noise.
"""

from __future__ import annotations

import secrets
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from holdfast.errors import HoldfastError, UsageError
from holdfast.plain import plain

# Samples of one generator; all of them are drawn even if fewer are used.
BLOCK = 64

SEED_BITS = 63

_WORD = 2**64

# torch's CPU generator state: seed, (left, seeded), next as 64-bit words, then the 624 words of the twister.
_STATE_WORDS = 624
_LEFT_BYTE = 8
_FIRST_WORD_BYTE = 24


class Stream(IntEnum):
    """Separate streams of randomness for one example; the numbers are part of the key and never change."""

    SELECTION = 0
    ESTIMATION = 1
    PREDICTION = 2
    TRAINING = 3
    GALLERY = 4
    TRAINING_CHECK = 5
    CALIBRATION = 6


def fresh_seed() -> int:
    """A seed from the operating system's entropy, which nobody can know beforehand."""
    return secrets.randbits(SEED_BITS)


def check_seed(seed: int) -> int:
    """`seed`, if it can key the generator; UsageError otherwise."""
    seed = plain(seed)
    if type(seed) is not int or not 0 <= seed < 2**SEED_BITS:
        raise UsageError(f"a seed is a whole number from 0 to 2^{SEED_BITS} - 1, got {seed!r}")
    return seed


class Generators:
    """The generators of one seed on one device.

    `at` returns the same object every time, with a new state: the previous result is no longer valid. Making an object
    for each 64 samples would take longer than the noise of a small image.

    Args:
        seed: of the run.
        device: where the generators are.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._philox = np.random.Philox(key=np.array([seed, 0], dtype=np.uint64))
        self._start: Any = self._philox.state
        self._counter: NDArray[np.uint64] = self._start["state"]["counter"]
        self._key: NDArray[np.uint64] = self._start["state"]["key"]
        self._torch = torch.Generator(device)
        self._on_cpu = device.type == "cpu"
        if self._on_cpu:
            state = _state_template().copy()
            self._words = state[_FIRST_WORD_BYTE:][: 8 * _STATE_WORDS].view(np.uint64)
            self._state = torch.from_numpy(state)

    def at(self, example: int, stream: Stream, block: int) -> torch.Generator:
        """The generator whose output is a function of seed, example, stream, block and kind of device.

        `example` is a number below 2^128: an index or a content key.
        """
        upper, lower = divmod(example, _WORD)
        self._counter[:] = 0, block, stream, lower
        self._key[1] = upper
        self._philox.state = self._start
        if self._on_cpu:
            self._words[:] = self._philox.random_raw(_STATE_WORDS // 2).view(np.uint32)
            self._torch.set_state(self._state)
        else:
            self._torch.manual_seed(int(self._philox.random_raw()) >> 1)
        return self._torch


def generator(seed: int, example: int, stream: Stream, block: int, device: torch.device) -> torch.Generator:
    """A new generator on `device` whose output is a function of the key and the kind of device only."""
    return Generators(seed, device).at(example, stream, block)


@lru_cache(maxsize=1)
def _state_template() -> NDArray[np.uint8]:
    """A freshly seeded state of torch's CPU generator, after a check of its layout."""
    state: NDArray[np.uint8] = torch.Generator().manual_seed(0).get_state().numpy().copy()
    twister = np.random.MT19937()
    twister.state = {
        "bit_generator": "MT19937",
        "state": {
            "key": state[_FIRST_WORD_BYTE:][: 8 * _STATE_WORDS].view(np.uint64).astype(np.uint32),
            "pos": 624,
        },
    }
    left = int(state[_LEFT_BYTE : _LEFT_BYTE + 4].view(np.int32)[0])
    expected = twister.random_raw(8).astype(np.uint32) & 0xFFFFFF
    drawn = torch.empty(8).uniform_(generator=torch.Generator().manual_seed(0)).numpy() * 2.0**24
    if left != 1 or not np.array_equal(drawn.astype(np.uint32), expected):
        raise HoldfastError(
            f"torch {torch.__version__} lays out its CPU generator in a way Holdfast does not know; "
            "its noise could not be keyed. Use a torch release listed in constraints.txt."
        )
    return state
