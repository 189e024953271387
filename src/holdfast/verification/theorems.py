"""The theorems, as questions: do these bounds certify this radius? A table by noise and theorem."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from flint import arb

from holdfast.verification import older, pixels
from holdfast.verification.findings import Unknown
from holdfast.verification.intervals import Undecided, at_most, rational
from holdfast.verification.lattice import total_variation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.verification.bounds import Bounds

    Noise = Mapping[str, Any]
    Shape = tuple[int, ...]
    Reach = Callable[[Noise, Shape, Bounds], arb]

# A float64 may fall short of the supremum by this relative part: the estimators leave room for their own rounding.
_TIGHT = Fraction(1, 10**8)
# The older theorems are maximized over a grid of their parameter.
_GRID = Fraction(1, 10**4)
# More than a float64 loses by rounding, and far less than a unit of what is counted.
_ROUNDED = Fraction(1, 2**50)


class Theorem(ABC):
    """What a theorem certifies from enclosed class bounds.

    Attributes:
        whole: whether its radii are whole numbers: of pixels.
    """

    whole: ClassVar[bool] = False

    @abstractmethod
    def holds(self, radius: Fraction, noise: Noise, shape: Shape, bounds: Bounds) -> bool:
        """Whether the bounds certify a radius from 0 on.

        Raises:
            Undecided: more precision is needed.
        """

    @abstractmethod
    def padded(self, radius: Fraction) -> Fraction:
        """A radius that an estimator cannot miss by its own rounding where `radius` is what it asks for."""

    @abstractmethod
    def misses(self, claimed: Fraction, noise: Noise, shape: Shape, bounds: Bounds) -> bool:
        """Whether the bounds certify so much more than was claimed that rounding cannot be the reason.

        Args:
            claimed: -1 for an abstention.

        Raises:
            Undecided: more precision is needed.
        """

    @abstractmethod
    def most(self, noise: Noise, shape: Shape, bounds: Bounds) -> str:
        """The largest radius that the bounds certify, for people."""


@dataclass(frozen=True)
class Continuous(Theorem):
    """A theorem whose radius is a real number: `reach` encloses its supremum where the bounds separate."""

    reach: Reach
    slack: Fraction = _TIGHT

    def holds(self, radius: Fraction, noise: Noise, shape: Shape, bounds: Bounds) -> bool:
        """At most the supremum."""
        if at_most(bounds.lower.p, bounds.upper.p):
            return False
        return at_most(rational(radius), self.reach(noise, shape, bounds))

    def padded(self, radius: Fraction) -> Fraction:
        """A little more, for rounding and grids."""
        return radius * (1 + self.slack) + self.slack / 100

    def misses(self, claimed: Fraction, noise: Noise, shape: Shape, bounds: Bounds) -> bool:
        """More than the claim and its room for rounding."""
        return self.holds(self.padded(max(claimed, Fraction(0))), noise, shape, bounds)

    def most(self, noise: Noise, shape: Shape, bounds: Bounds) -> str:
        """Eleven digits of the supremum."""
        separated = bounds.lower.p > bounds.upper.p
        return str(self.reach(noise, shape, bounds).str(11, radius=False)) if separated else "nothing (abstain)"


class Counted(Theorem):
    """A theorem that counts: the radius is a number of units."""

    certifies: Callable[[int, Noise, Shape, Bounds], bool]

    @abstractmethod
    def unit(self, noise: Noise) -> Fraction:
        """What is counted, in the unit of the radius."""

    @abstractmethod
    def limit(self, noise: Noise, shape: Shape) -> int:
        """The largest number that there can be."""

    @abstractmethod
    def count(self, radius: Fraction, noise: Noise) -> int:
        """How many units a claim of a radius from 0 on is about."""

    @abstractmethod
    def claim(self, count: int, noise: Noise) -> Fraction:
        """The radius that an estimator claims for so many units."""

    def holds(self, radius: Fraction, noise: Noise, shape: Shape, bounds: Bounds) -> bool:
        """No more than there can be, and certified."""
        count = self.count(radius, noise)
        return count <= self.limit(noise, shape) and self.certifies(count, noise, shape, bounds)

    def misses(self, claimed: Fraction, noise: Noise, shape: Shape, bounds: Bounds) -> bool:
        """One more; for an abstention, none at all."""
        more = math.floor(claimed * (1 + _ROUNDED) / self.unit(noise)) + 1 if claimed >= 0 else 0
        return more <= self.limit(noise, shape) and self.certifies(more, noise, shape, bounds)

    def most(self, noise: Noise, shape: Shape, bounds: Bounds) -> str:
        """The largest number that is certified, as a radius."""
        if not self.certifies(0, noise, shape, bounds):
            return "nothing (abstain)"
        count = pixels.last(self.limit(noise, shape), lambda radius: self.certifies(radius, noise, shape, bounds))
        return self.shown(count, noise)

    def shown(self, count: int, noise: Noise) -> str:
        """So many units as a radius, for people."""
        return str(self.claim(count, noise))


@dataclass(frozen=True)
class Pixels(Counted):
    """A theorem that counts pixels."""

    whole: ClassVar[bool] = True
    certifies: Callable[[int, Noise, Shape, Bounds], bool]
    largest: int | None = None

    def unit(self, noise: Noise) -> Fraction:
        """One pixel."""
        return Fraction(1)

    def limit(self, noise: Noise, shape: Shape) -> int:
        """The pixels of an image."""
        count = pixels.pixel_count(shape)
        return count if self.largest is None else min(self.largest, count)

    def count(self, radius: Fraction, noise: Noise) -> int:
        """The radius."""
        return math.ceil(radius)

    def claim(self, count: int, noise: Noise) -> Fraction:
        """The count."""
        return Fraction(count)

    def holds(self, radius: Fraction, noise: Noise, shape: Shape, bounds: Bounds) -> bool:
        """A whole number of pixels that an image has, and certified."""
        return radius.denominator == 1 and super().holds(radius, noise, shape, bounds)

    def padded(self, radius: Fraction) -> Fraction:
        """Pixels are whole numbers: no room is needed."""
        return radius


@dataclass(frozen=True)
class Sides(Pixels):
    """A theorem about square patches: it counts the pixels of a side."""

    def limit(self, noise: Noise, shape: Shape) -> int:
        """The longer side of the image."""
        return max(pixels.image(shape))


@dataclass(frozen=True)
class Steps(Counted):
    """A theorem that counts steps 1/(levels - 1) of the grid of the inputs."""

    certifies: Callable[[int, Noise, Shape, Bounds], bool]

    def unit(self, noise: Noise) -> Fraction:
        """One step in input units."""
        return Fraction(1, int(noise["levels"]) - 1)

    def limit(self, noise: Noise, shape: Shape) -> int:
        """Every value from one end of the grid to the other."""
        return math.prod(shape) * (int(noise["levels"]) - 1)

    def count(self, radius: Fraction, noise: Noise) -> int:
        """The steps that reach it, as the float64 that an estimator has."""
        return math.ceil(Fraction(float(radius)) / self.unit(noise))

    def claim(self, count: int, noise: Noise) -> Fraction:
        """The largest float64 that is not larger."""
        exact = count * self.unit(noise)
        nearest = float(exact)
        return Fraction(nearest if nearest <= exact else math.nextafter(nearest, -math.inf))

    def padded(self, radius: Fraction) -> Fraction:
        """Room for a float64."""
        return radius * (1 + _ROUNDED)

    def shown(self, count: int, noise: Noise) -> str:
        """As a float64."""
        return repr(float(self.claim(count, noise)))


def find_theorem(noise: Noise, name: str) -> Theorem:
    """The theorem of that name for the noise.

    Raises:
        Unknown: verify does not know it.
    """
    theorem = _THEOREMS.get((noise.get("name"), name))
    if theorem is None:
        known = ", ".join(f"{theorem} of {noise}" for noise, theorem in _THEOREMS)
        raise Unknown(f"verify does not know theorem {name!r} of noise {noise.get('name')!r}; it knows {known}")
    return theorem


def parameter(noise: Noise, name: str) -> Fraction:
    """A parameter of the noise as the float64 next to the decimal in the manifest: what the sampler computes with."""
    return Fraction(float(noise[name]))


def normal_quantile(p: arb, q: arb) -> arb:
    """The standard normal quantile of p, from p and q = 1 - p, whichever is smaller."""
    root = arb(2).sqrt()
    return root * (2 * q).erfcinv() if q < p else -root * (2 * p).erfcinv()


def _cohen(noise: Noise, shape: Shape, bounds: Bounds) -> arb:
    # Cohen et al. 2019, Theorem 1.
    lower, upper = normal_quantile(*bounds.lower), normal_quantile(*bounds.upper)
    return rational(parameter(noise, "sigma")) / 2 * (lower - upper)


def _cohen_lattice(noise: Noise, shape: Shape, bounds: Bounds) -> arb:
    # Cohen et al. 2019, Theorem 1, after bounds that hold for the noise as drawn are widened to hold for the ideal one.
    loss = total_variation(parameter(noise, "sigma"), noise["levels"], math.prod(shape))
    return _cohen(noise, shape, bounds.relaxed(loss))


def _cohen_linf(noise: Noise, shape: Shape, bounds: Bounds) -> arb:
    # An Linf ball lies in an L2 ball whose radius is larger by the root of the dimension.
    return _cohen(noise, shape, bounds) / arb(math.prod(shape)).sqrt()


def _dwork(noise: Noise, shape: Shape, bounds: Bounds) -> arb:
    # Lecuyer et al. 2019; Teng et al. 2020, Theorem 1. 1 - p_lower + p_upper is a sum of two small numbers.
    ratio = (bounds.lower.p / bounds.upper.p).log() / 2
    rest = -(bounds.lower.q + bounds.upper.p).log()
    return rational(parameter(noise, "b")) * ratio.max(rest)


def _laplace_quantile(p: arb, q: arb) -> arb:
    return -(2 * q).log() if q < p else (2 * p).log()


def _quantiles(noise: Noise, shape: Shape, bounds: Bounds) -> arb:
    # The Lipschitz constant of the Laplace quantile of a class probability is 1/b in L1.
    lower, upper = _laplace_quantile(*bounds.lower), _laplace_quantile(*bounds.upper)
    return rational(parameter(noise, "b")) / 2 * (lower - upper)


def _gap(bounds: Bounds) -> arb:
    return bounds.lower.p - bounds.upper.p


def _overlap_l1(noise: Noise, shape: Shape, bounds: Bounds) -> arb:
    # Lee et al. 2019; Yang et al. 2020.
    return rational(parameter(noise, "half_width")) * _gap(bounds)


def _overlap_linf(noise: Noise, shape: Shape, bounds: Bounds) -> arb:
    # Yang et al. 2020: 2h (1 - (1 - gap/2)^(1/d)).
    common = -((-_gap(bounds) / 2).log1p() / math.prod(shape)).expm1()
    return 2 * rational(parameter(noise, "half_width")) * common


def _older(best: Callable[[Bounds], arb]) -> Reach:
    """A theorem for Gaussian noise that is a supremum over a parameter: what some value of it surely gives."""

    def reach(noise: Noise, shape: Shape, bounds: Bounds) -> arb:
        found = best(bounds)
        if not found.is_finite():
            raise Undecided
        return rational(parameter(noise, "sigma")) * found

    return reach


_THEOREMS: dict[tuple[Any, str], Theorem] = {
    ("gaussian", "cohen"): Continuous(_cohen),
    ("lattice-gaussian", "cohen_lattice"): Continuous(_cohen_lattice),
    ("gaussian", "cohen_linf"): Continuous(_cohen_linf),
    ("gaussian", "lecuyer"): Continuous(_older(older.lecuyer), _GRID),
    ("gaussian", "li"): Continuous(_older(older.li), _GRID),
    ("laplace", "dwork"): Continuous(_dwork),
    ("laplace", "quantiles"): Continuous(_quantiles),
    ("uniform", "overlap_l1"): Continuous(_overlap_l1),
    ("uniform", "overlap_linf"): Continuous(_overlap_linf),
    ("ablation", "levine"): Pixels(pixels.leads),
    ("partition", "partition"): Pixels(pixels.leads),
    ("splitting", "splitting"): Steps(pixels.leads),
    ("columns", "columns"): Sides(pixels.leads),
    ("blocks", "blocks"): Sides(pixels.leads),
    ("uniform-flip", "lee"): Pixels(pixels.lee, pixels.MOST_FLIPS),
    ("channel-flip", "lee_channels"): Pixels(pixels.lee_channels, pixels.MOST_FLIPS),
}
