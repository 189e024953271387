"""Every noise of the registry, for the tests that each has to pass: nothing is written here for a new one."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.noises.base import NOISES, Noise
from holdfast.noises.draws import Draws


def others(noises: Iterable[Noise]) -> list[Noise]:
    """The examples of all noises that are not among these."""
    named = {noise.name for noise in noises}
    return [NOISES.from_spec(kind.example) for name, kind in NOISES.all().items() if name not in named]


def draws(num: int, seed: int = 0) -> Draws:
    """Some draws of noise."""
    return Draws(seed, 0, 1, num)
