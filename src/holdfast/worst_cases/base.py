"""The interface of worst cases, and the table that finds them by noise and theorem."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from flint import arb, ctx, fmpq

from holdfast.errors import UsageError
from holdfast.noises.base import find_guarantee
from holdfast.stats.rounding import down, float_above, float_below, up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from fractions import Fraction

    import numpy as np
    from numpy.typing import NDArray

    from holdfast.noises.base import Guarantee, Noise
    from holdfast.types import ClassBounds

TOP, RIVAL, REST = 0, 1, 2
NUM_CLASSES = 3
# How far inside and beyond a continuous radius to ask, as a share of it: far more than float64 loses on the radius.
MARGIN = 1e-8
# Bits of all interval arithmetic here.
_BITS = 192


class Enclosed(NamedTuple):
    """A probability between two float64 values."""

    lower: float
    upper: float


@dataclass(frozen=True)
class WorstCase(ABC):
    """A base classifier, an input and a direction in which the smoothed classifier's answer changes.

    Class 0 is the top class at the unchanged input, class 1 its rival, class 2 all others. All probabilities are known
    exactly, or enclosed by interval arithmetic: nothing is simulated.

    Attributes:
        noise: the smoothing distribution.
        theorem: whose radius is put to the test.
        x: the unchanged input, `(*event)`, float64 in input units.
        bounds: the class probabilities at `x`, rounded outward to float64.
        tight: whether no theorem can give a larger radius for these class bounds.
        why: where the theorem is not tight, the reason.
    """

    noise: Noise
    theorem: Guarantee
    x: NDArray[np.float64]
    bounds: ClassBounds
    tight: bool
    why: str
    # The smallest difference of two sizes of a change, if there is one.
    step: ClassVar[float | None] = None

    @abstractmethod
    def probabilities(self, size: float) -> tuple[Enclosed, Enclosed]:
        """The probabilities of the top class and of its rival at the input changed by `size`.

        Args:
            size: of the change in the theorem's norm and unit, from 0 on.
        """

    @abstractmethod
    def changed(self, size: float) -> NDArray[np.float64]:
        """The input changed by `size`, `(*event)`."""

    @abstractmethod
    def classify(self, noisy: NDArray[np.floating]) -> NDArray[np.int64]:
        """The base classifier: the class of each noisy input, `(num, *noisy event) -> (num,)`."""

    @property
    @abstractmethod
    def turning(self) -> float:
        """The size from which on the top class no longer leads, to about 1e-12 of it; infinite if it always leads."""

    @property
    def radius(self) -> float:
        """What the theorem certifies from `bounds`; 0 if it abstains."""
        return self.theorem.radius(self.noise, self.bounds, self.x.shape) or 0.0

    def answer(self, size: float) -> int | None:
        """The smoothed classifier's answer between the two at the input changed by `size`; None if they may be tied."""
        top, rival = self.probabilities(size)
        if top.lower > rival.upper:
            return TOP
        return RIVAL if rival.lower > top.upper else None

    @property
    def unit(self) -> float | None:
        """The smallest difference of two sizes of a change; None if any size is possible."""
        return self.step

    @property
    def inside(self) -> float:
        """The largest possible size of a change within the radius, but for a margin of 1e-8."""
        unit = self.unit
        return self.radius * (1.0 - MARGIN) if unit is None else math.floor(self.radius / unit) * unit

    @property
    def beyond(self) -> float:
        """The smallest possible size of a change beyond the radius, but for a margin of 1e-8."""
        unit = self.unit
        return self.radius * (1.0 + MARGIN) if unit is None else (math.floor(self.radius / unit) + 1) * unit


# (noise, theorem, x, direction, p_top, p_rival) -> the worst case.
Builder = "Callable[[Noise, Guarantee, NDArray[np.float64], NDArray[np.float64] | None, float, float], WorstCase]"

_BUILDERS: dict[tuple[str, str], Callable[..., WorstCase]] = {}


def worst_case(noise: type[Noise], theorem: str) -> Callable[[Callable[..., WorstCase]], Callable[..., WorstCase]]:
    """Register a function as the maker of the worst cases for a theorem of a noise.

    The function takes the noise, the theorem, the input, a direction or None, and the probabilities of the top class
    and of its rival; see `find_worst_case`.
    """

    def register(builder: Callable[..., WorstCase]) -> Callable[..., WorstCase]:
        _BUILDERS[noise.name, theorem] = builder
        return builder

    return register


def known_worst_cases() -> Iterator[tuple[str, str]]:
    """The names of all noises and theorems that have a worst case."""
    return iter(sorted(_BUILDERS))


def find_worst_case(
    noise: Noise,
    x: NDArray[np.float64],
    p_top: float,
    p_rival: float | None = None,
    theorem: str | None = None,
    direction: NDArray[np.float64] | None = None,
) -> WorstCase:
    """The base classifier that loses the top class nearest to `x`, in one direction.

    Args:
        noise: the smoothing distribution.
        x: the unchanged input, `(*event)` in input units; on the grid of the noise, if it has one.
        p_top: probability of the top class at `x`. Where the noise is discrete, the next possible one is taken.
        p_rival: probability of its rival; None for all of the others, 1 - p_top.
        theorem: name of the guarantee; None for the noise's default.
        direction: of the change, with the shape of `x`; None for one in which the theorem is tight. In L2 any one; in
            L1 and on a grid a single value; in Linf all values by the same amount, up or down; in L0 the pixels that
            are not 0, in the order of their size, largest first; of a patch, the largest is its upper left corner.

    Raises:
        UsageError: no worst case is known, the probabilities are none, or the theorem has another worst direction.
    """
    found = find_guarantee(noise, theorem)
    builder = _BUILDERS.get((noise.name, found.name))
    if builder is None:
        known = ", ".join(f"{name} ({noise_name})" for noise_name, name in known_worst_cases())
        raise UsageError(
            f"no worst case is known for the theorem {found.name!r} of the noise {noise.name!r}; known are {known}. "
            "Register one with `holdfast.worst_cases.worst_case`"
        )
    rival = 1.0 - p_top if p_rival is None else p_rival
    # A sum of two float64 values may exceed 1 by rounding.
    if not (0.0 < p_top <= 1.0 and 0.0 <= rival < p_top and p_top + rival <= 1.0 + 1e-15):
        raise UsageError(
            f"the top class needs the larger one of two probabilities whose sum is at most 1; got {p_top} and {rival}"
        )
    return builder(noise, found, x, direction, p_top, rival)


def precise() -> AbstractContextManager[object]:
    """Interval arithmetic with enough bits for every probability here."""
    manager: AbstractContextManager[object] = ctx.workprec(_BITS)
    return manager


def enclosed(value: arb) -> Enclosed:
    """Float64 values around an interval, cut to [0, 1]."""
    return Enclosed(max(0.0, down(float(value.lower()))), min(1.0, up(float(value.upper()))))


def exactly(value: Fraction) -> Enclosed:
    """Float64 values around a fraction."""
    return Enclosed(float_below(value), float_above(value))


def ball(value: Fraction | float) -> arb:
    """A number as an interval; a float64 exactly."""
    return arb(value) if isinstance(value, float | int) else arb(fmpq(value.numerator, value.denominator))
