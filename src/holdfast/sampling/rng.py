"""Streams and seeds of the noise (`noises.draws`), and generators of torch for what else is random in a training.

Noise is a function of a counter. The order of the images and their augmentation come from torch's own generators: on a
CPU, Philox fills the whole state of the Mersenne Twister, because torch's own seeding there uses only 32 bits of a
seed, and two of 100,000 steps would probably share their randomness. On CUDA, its first output is the key of torch's
own Philox.

The number of an example is its index, below 2^64, or a 128-bit number (`inputs.content_keys`), whose upper half is the
second word of Philox's key. That word is 0 for indices, so an index and a content key never share noise.
"""

from __future__ import annotations

import secrets
from enum import IntEnum
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from holdfast.errors import HoldfastError, UsageError
from holdfast.plain import plain

SEED_BITS = 63

# Draws of noise that share a counter, for manifests. Older versions drew blocks of 64 samples with a generator each.
BLOCK = 1

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
    ATTACK = 7
    PILOT = 8


def fresh_seed() -> int:
    """A seed from the operating system's entropy, which nobody can know beforehand."""
    return secrets.randbits(SEED_BITS)


def check_seed(seed: int) -> int:
    """`seed`, if it can key the generator; UsageError otherwise."""
    seed = plain(seed)
    if type(seed) is not int or not 0 <= seed < 2**SEED_BITS:
        raise UsageError(f"a seed is a whole number from 0 to 2^{SEED_BITS} - 1, got {seed!r}")
    return seed


def generator(seed: int, epoch: int, stream: Stream, step: int, device: torch.device) -> torch.Generator:
    """A new generator of torch on `device`, whose output is a function of the key and the kind of device only."""
    philox = np.random.Philox(key=[seed, 0], counter=[0, step, stream, epoch])
    if device.type != "cpu":
        return torch.Generator(device).manual_seed(int(philox.random_raw()) >> 1)
    state = _state_template().copy()
    words = philox.random_raw(_STATE_WORDS // 2).view(np.uint32)
    state[_FIRST_WORD_BYTE:][: 8 * _STATE_WORDS].view(np.uint64)[:] = words
    made = torch.Generator()
    made.set_state(torch.from_numpy(state))
    return made


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
            "its randomness could not be keyed. Use a torch release listed in constraints.txt."
        )
    return state
