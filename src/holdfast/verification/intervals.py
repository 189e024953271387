"""Probabilities as intervals that surely hold them, and questions asked at rising precision."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from flint import arb, ctx, fmpq

if TYPE_CHECKING:
    from collections.abc import Callable

# Bits of precision, one after the other until a question is decided. The first is enough for nearly every claim.
_PRECISIONS = (64, 128, 256, 512, 1024)


class Undecided(Exception):
    """The intervals are too wide to answer a question; more precision may."""


class Share(NamedTuple):
    """A probability and its complement, each enclosed to full relative precision however close to 0 it is."""

    p: arb
    q: arb

    @property
    def complement(self) -> Share:
        """The share of everything else."""
        return Share(self.q, self.p)

    def moved(self, by: Fraction) -> Share:
        """The share made larger by a constant."""
        return Share(self.p + rational(by), self.q - rational(by))


def rational(value: Fraction | int) -> arb:
    """An enclosure of a fraction at the precision at hand."""
    exact = Fraction(value)
    return arb(fmpq(exact.numerator, exact.denominator))


def exact_share(p: Fraction) -> Share:
    """A rational probability."""
    return Share(rational(p), rational(1 - p))


def end(value: arb, upper: bool) -> Fraction:
    """One end of an interval, exactly."""
    mantissa, exponent = (value.upper() if upper else value.lower()).man_exp()
    shift = int(exponent)
    return Fraction(int(mantissa) << shift) if shift >= 0 else Fraction(int(mantissa), 1 << -shift)


def at_most(left: arb, right: arb) -> bool:
    """Whether left <= right.

    Raises:
        Undecided: the intervals overlap.
    """
    if left <= right:
        return True
    if left > right:
        return False
    raise Undecided


def decided(question: Callable[[int], bool], otherwise: bool) -> bool:
    """The answer to a question that is asked with more and more bits until it is decided.

    Args:
        question: takes the bits of precision, which are also set for all interval arithmetic while it runs.
        otherwise: the answer where no precision decides, as in an exact tie.
    """
    for bits in _PRECISIONS:
        with ctx.workprec(bits):
            try:
                return question(bits)
            except Undecided:
                continue
    return otherwise
