"""The theorems that count: realizations that a change meets, and pixels flipped by Neyman-Pearson sums."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from flint import arb, fmpz

from holdfast.errors import RunError
from holdfast.verification.intervals import Undecided, at_most, end

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.verification.bounds import Bounds
    from holdfast.verification.intervals import Share

    Noise = Mapping[str, Any]
    Shape = tuple[int, ...]


# Pixels that a certificate under uniform flips is about at most: sums of so many outcomes are exact and slow.
MOST_FLIPS = 64
# Bits of the number of sets that are counted exactly.
_MOST_BITS = 2**20
# The width of a cell of splitting noise is a whole number of steps if it is so close to one.
_WHOLE = Fraction(1, 10**9)
_MOST_OFFSETS = 2**17


def last(most: int, holds: Callable[[int], bool]) -> int:
    """The largest whole number from 0 to `most` for which something holds that holds for all below it, and for 0."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def pixel_count(shape: Shape) -> int:
    """Height x width, or as many places as the axes behind the channels have; or the number of features.

    Raises:
        RunError: the shape is that of no input.
    """
    if not 1 <= len(shape) <= 4:
        raise RunError(f"inputs have the shape (features,) or (channels, ...), the manifest has {shape}")
    return shape[0] if len(shape) == 1 else math.prod(shape[1:])


@lru_cache(maxsize=4096)
def sets_touched(d: int, k: int, r: int) -> int:
    """How many of the C(d, k) sets of k pixels meet r given ones (Levine & Feizi 2020, Theorem 1)."""
    return math.comb(d, k) - math.comb(d - r, k)


def realizations(noise: Noise, shape: Shape) -> int:
    """How many equally likely realizations the noise has.

    Raises:
        RunError: verify does not know.
    """
    d, name = pixel_count(shape), noise.get("name")
    if name == "ablation":
        few = min(noise["k"], d - noise["k"])
        # C(d, k) <= (e d / k)^k.
        if few > 0 and few * math.log2(math.e * d / few) > _MOST_BITS:
            raise RunError(
                f"k = {noise['k']} of {d} pixels makes more sets than can be counted; the manifest was changed"
            )
        return math.comb(d, noise["k"])
    if name == "partition":
        return -(-d // int(noise["k"]))
    if name == "splitting":
        return offsets(noise)
    if name in ("columns", "blocks"):
        height, width = image(shape)
        return width if name == "columns" else height * width
    raise RunError(
        "verify knows exact votes under the noises ablation, partition, splitting, columns and blocks, the manifest "
        f"has {name!r}"
    )


def image(shape: Shape) -> tuple[int, int]:
    """Height and width of an image.

    Raises:
        RunError: the shape is not that of (channels, height, width).
    """
    if len(shape) != 3 or min(shape) < 1:
        raise RunError(f"patches are of images (channels, height, width), the manifest has inputs of shape {shape}")
    return shape[1], shape[2]


def offsets(noise: Noise) -> int:
    """How many offsets splitting noise has: the steps of the grid in a cell of width 2 half_width, rounded down.

    Raises:
        RunError: a parameter is out of range.
    """
    levels, shift = noise["levels"], noise["shift"]
    if not (isinstance(levels, int) and 2 <= levels <= 65536 and isinstance(shift, int) and 0 <= shift < 2**32):
        raise RunError(f"splitting noise has 2 to 65536 levels and a shift from 0 to 2^32 - 1, the manifest {noise}")
    count = math.floor(2 * Fraction(float(noise["half_width"])) * (levels - 1) + _WHOLE)
    if not 2 <= count <= _MOST_OFFSETS:
        raise RunError(f"splitting noise has 2 to {_MOST_OFFSETS} offsets, the manifest's has {count}")
    return count


def touched(radius: int, noise: Noise, shape: Shape) -> int:
    """How many realizations a change of `radius` pixels, or under splitting noise steps of the grid, can meet.

    A pixel is in one block of a partition. A step moves one value over one place where a cut can lie, and a cut lies
    there for one offset. Of bands of columns and of blocks, `radius` is the side of a square patch, which touches those
    that begin at one of its pixels or less than their own size before it, on the circle of columns (and rows).
    """
    if noise.get("name") in ("columns", "blocks"):
        return windows_touched(radius, noise, shape)
    counted = noise.get("name") in ("partition", "splitting")
    return radius if counted else sets_touched(pixel_count(shape), noise["k"], radius)


def windows_touched(side: int, noise: Noise, shape: Shape) -> int:
    """How many bands, or blocks, show a pixel of a square patch: counted, one by one, on one axis.

    Raises:
        RunError: a band or a block is larger than the image, or its size is no whole number of pixels.
    """
    height, width = image(shape)
    name = noise.get("name")
    size = noise["width"] if name == "columns" else noise["size"]
    if type(size) is not int or not 1 <= size <= (width if name == "columns" else min(height, width)):
        raise RunError(f"{name} keep 1 pixel at least and no more than an image has, the manifest has {size!r}")
    across = _begins(side, size, width)
    return across if name == "columns" else across * _begins(side, size, height)


@lru_cache(maxsize=4096)
def _begins(side: int, size: int, length: int) -> int:
    """At how many places of a circle a window can begin that shares a place with the first `side` ones."""
    patch = set(range(min(side, length)))
    return sum(any((begin + step) % length in patch for step in range(size)) for begin in range(length))


def leads(radius: int, noise: Noise, shape: Shape, bounds: Bounds) -> bool:
    """Whether the top class leads after a change of `radius` pixels or steps, with votes counted in realizations.

    Every probability is a number of realizations among all C. The top class has ceil(p_lower C) at least and a rival
    floor(p_upper C) at most; the change moves t at most, each way. Bounds that do not separate certify
    nothing.
    """
    if at_most(bounds.lower.p, bounds.upper.p):
        return False
    count, moved = realizations(noise, shape), touched(radius, noise, shape)
    first, second = bounds.lower.p * arb(fmpz(count)), bounds.upper.p * arb(fmpz(count))
    # ceil(a) - floor(b) lies between a - b and a - b + 2; only close cases need more.
    lead, need = first - second, arb(fmpz(2 * moved))
    if lead > need:
        return True
    if lead + 2 < need:
        return False
    return _only(math.ceil, first) - _only(math.floor, second) > 2 * moved


def _only(rounding: Any, value: arb) -> int:
    low, high = int(rounding(end(value, upper=False))), int(rounding(end(value, upper=True)))
    if low != high:
        raise Undecided
    return low


def lee(radius: int, noise: Noise, shape: Shape, bounds: Bounds) -> bool:
    """Whether the top class keeps more than any rival can get when `radius` pixels differ (Lee et al. 2019)."""
    channels = shape[0] if len(shape) > 1 else 1
    others = int(noise["levels"]) ** channels - 1
    kappa = Fraction(float(noise["kappa"]))
    if not kappa * others > 1 - kappa:
        raise RunError(f"kappa = {noise['kappa']} keeps a pixel less often than it becomes one given other value")
    rest = bounds.upper.complement

    def total_kept(upper: bool) -> Fraction:
        return _least_kept(kappa, others, radius, _clip(bounds.lower, upper)) + _least_kept(
            kappa, others, radius, _clip(rest, upper)
        )

    # What is kept grows with the probability, so the ends of the intervals decide.
    if total_kept(upper=False) > 1:
        return True
    if total_kept(upper=True) <= 1:
        return False
    raise Undecided


def lee_channels(radius: int, noise: Noise, shape: Shape, bounds: Bounds) -> bool:
    """The same where each channel is kept or replaced apart: `radius` pixels count with all their channels."""
    channels = shape[0] if len(shape) > 1 else 1
    if radius * channels > MOST_FLIPS:
        return False
    return lee(radius * channels, noise, (1, *shape[1:]) if len(shape) > 1 else shape, bounds)


def _clip(share: Share, upper: bool) -> Fraction:
    return min(max(end(share.p, upper), Fraction(0)), Fraction(1))


def _least_kept(kappa: Fraction, others: int, r: int, p: Fraction) -> Fraction:
    """The least probability near x' of a set that has probability p near x: it takes the steepest outcomes first."""
    here, there = _corners(kappa, others, r)
    for step in range(1, len(here)):
        if p <= here[step]:
            width = here[step] - here[step - 1]
            part = (p - here[step - 1]) / width if width else Fraction(0)
            return there[step - 1] + part * (there[step] - there[step - 1])
    return Fraction(1)


@lru_cache(maxsize=256)
def _corners(kappa: Fraction, others: int, r: int) -> tuple[list[Fraction], list[Fraction]]:
    """The corners of that least probability as a function of p: sums of outcomes, near x and near x'.

    On each pixel where x and x' differ, the noisy value is that of x with probability kappa, that of x' with
    (1 - kappa)/others, or another one. An outcome's likelihood ratio depends on how many more pixels agree with x than
    with x'. The weights are integers over a common denominator: the coefficients of (a z + c + b/z)^r.
    """
    whole = kappa.denominator * others
    agree = kappa.numerator * others
    swapped = kappa.denominator - kappa.numerator
    neither = whole - agree - swapped
    weights = [1]
    for _ in range(r):
        grown = [0] * (len(weights) + 2)
        for place, weight in enumerate(weights):
            grown[place] += weight * swapped
            grown[place + 1] += weight * neither
            grown[place + 2] += weight * agree
        weights = grown
    total = whole**r
    here, there = [Fraction(0)], [Fraction(0)]
    for place in range(2 * r, -1, -1):
        here.append(here[-1] + Fraction(weights[place], total))
        there.append(there[-1] + Fraction(weights[2 * r - place], total))
    return here, there
