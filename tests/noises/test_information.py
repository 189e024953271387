"""Equations 20 to 30 of Levine & Feizi 2020 against sums over all images and all outcomes, exactly.

A sum of a log2(b), with a and b rational, is kept as prime -> sum of a times the exponent of the prime in b. The
logarithms of primes are linearly independent over the rational numbers, since factors are unique: two sums are equal
exactly if these are.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from fractions import Fraction
from itertools import combinations, product
from typing import TYPE_CHECKING

import pytest
from noise_cases import draws

from holdfast.noises.ablation import Ablation
from holdfast.noises.uniform_flip import UniformFlip

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Bits = dict[int, Fraction]
Joint = dict[tuple[object, object], Fraction]

KAPPAS = (Fraction(1, 10), Fraction(1, 2), Fraction(9, 10), Fraction(3, 7))
VALUES = (2, 3, 4)
FLIPS = [(kappa, values) for kappa in KAPPAS for values in VALUES if kappa * (values - 1) > 1 - kappa]


def bits(terms: Iterable[tuple[Fraction, Fraction]]) -> Bits:
    """The sum of a log2(b) over (a, b)."""
    total: dict[int, Fraction] = defaultdict(Fraction)
    for a, b in terms:
        for number, sign in ((b.numerator, 1), (b.denominator, -1)):
            rest, prime = number, 2
            while rest > 1:
                while rest % prime == 0:
                    total[prime] += sign * a
                    rest //= prime
                prime += 1
    return {prime: share for prime, share in total.items() if share}


def plus(*sums: tuple[int | Fraction, Bits]) -> Bits:
    """A combination of sums."""
    total: dict[int, Fraction] = defaultdict(Fraction)
    for factor, each in sums:
        for prime, share in each.items():
            total[prime] += factor * share
    return {prime: share for prime, share in total.items() if share}


def as_float(sums: Bits) -> float:
    return math.fsum(float(share) * math.log2(prime) for prime, share in sums.items())


def entropy(masses: Iterable[Fraction]) -> Bits:
    return bits((-mass, mass) for mass in masses)


def margins(joint: Joint) -> tuple[Counter[object], Counter[object]]:
    first: Counter[object] = Counter()
    second: Counter[object] = Counter()
    for (x, y), mass in joint.items():
        first[x] += mass
        second[y] += mass
    return first, second


def given(joint: Joint) -> Bits:
    """H(X|Y), by its definition."""
    _, ys = margins(joint)
    return bits((-mass, mass / ys[y]) for (_, y), mass in joint.items())


def information(joint: Joint) -> Bits:
    """Equation 22: H(X) - H(X|Y)."""
    xs, _ = margins(joint)
    return plus((1, entropy(xs.values())), (-1, given(joint)))


def ablated(d: int, k: int, values: int) -> Joint:
    """All images and all sets of kept pixels."""
    joint: Joint = defaultdict(Fraction)
    mass = Fraction(1, values**d * math.comb(d, k))
    for x in product(range(values), repeat=d):
        for kept in combinations(range(d), k):
            joint[x, tuple(x[i] if i in kept else None for i in range(d))] += mass
    return joint


def one(kappa: Fraction, values: int) -> Joint:
    """Equation 23: one pixel and what becomes of it."""
    changed = (1 - kappa) / (values - 1)
    return {(s, t): Fraction(1, values) * (kappa if s == t else changed) for s, t in product(range(values), repeat=2)}


def flipped(d: int, kappa: Fraction, values: int) -> Joint:
    """All images and all that may become of them."""
    pixel = one(kappa, values)
    return {
        (x, y): math.prod((pixel[pair] for pair in zip(x, y, strict=True)), start=Fraction(1))
        for x, y in product(product(range(values), repeat=d), repeat=2)
    }


def masses(joint: Joint) -> Mapping[bool, list[Fraction]]:
    """The probabilities of kept and of changed pixels."""
    return {same: [mass for (s, t), mass in joint.items() if (s == t) is same] for same in (True, False)}


def test_sums_of_logarithms_are_kept_exactly() -> None:
    assert bits([(Fraction(1), Fraction(12, 5))]) == {2: 2, 3: 1, 5: -1}
    assert plus((1, bits([(Fraction(1, 2), Fraction(4))])), (-1, bits([(Fraction(1), Fraction(2))]))) == {}
    assert bits([(Fraction(1), Fraction(9))]) != bits([(Fraction(1), Fraction(8))])
    assert as_float(bits([(Fraction(1, 3), Fraction(10))])) == pytest.approx(math.log2(10) / 3)


@pytest.mark.parametrize(("d", "k", "values"), [(1, 1, 2), (3, 1, 2), (3, 2, 3), (4, 2, 2), (4, 3, 2), (3, 3, 3)])
def test_equation_20(d: int, k: int, values: int) -> None:
    joint = ablated(d, k, values)
    xs, _ = margins(joint)
    assert entropy(xs.values()) == bits([(Fraction(d), Fraction(values))]), "step 1"
    assert given(joint) == bits([(Fraction(d - k), Fraction(values))]), "step 2"
    assert information(joint) == bits([(Fraction(k), Fraction(values))]), "step 3"
    assert as_float(information(joint)) == pytest.approx(Ablation(k).information((d,), values))


def test_a_mean_that_is_a_value_leaves_less() -> None:
    """NULL as one of the values: what equation 20 says is then an upper bound."""
    joint: Joint = defaultdict(Fraction)
    for (x, y), mass in ablated(3, 2, 2).items():
        joint[x, tuple(0 if value is None else value for value in y)] += mass  # type: ignore[attr-defined]
    assert 0 < as_float(information(joint)) < 2


@pytest.mark.parametrize(("kappa", "values"), FLIPS)
@pytest.mark.parametrize("d", [1, 2])
def test_equations_22_and_24(kappa: Fraction, values: int, d: int) -> None:
    """The definition on whole images is d times that on one pixel."""
    pixel = one(kappa, values)
    xs, _ = margins(pixel)
    right = plus((d, entropy(xs.values())), (-d, given(pixel)))
    assert information(flipped(d, kappa, values)) == right


@pytest.mark.parametrize(("kappa", "values"), FLIPS)
def test_equation_23_is_what_the_noise_draws(kappa: Fraction, values: int) -> None:
    import torch

    pixel = one(kappa, values)
    assert sum(pixel.values()) == 1
    noisy = UniformFlip(float(kappa), values).sample(torch.zeros(1, 100, 100), draws(8, 1))
    for value in range(values):
        share = float(((noisy * (values - 1)).round() == value).double().mean())
        expected = float(pixel[0, value] * values)
        assert abs(share - expected) < 5 * math.sqrt(expected * (1 - expected) / 80_000)


@pytest.mark.parametrize(("kappa", "values"), FLIPS)
def test_equations_25_to_30_and_21(kappa: Fraction, values: int) -> None:
    d, size = 2, Fraction(values)
    pixel = one(kappa, values)
    xs, ys = margins(pixel)
    parts = masses(pixel)
    left = information(flipped(d, kappa, values))
    first = bits((mass, mass) for mass in xs.values())
    # 25
    second = bits((mass, mass / ys[t]) for (_, t), mass in pixel.items())
    assert left == plus((-d, first), (d, second))
    # 26: both are uniform.
    assert set(xs.values()) == set(ys.values()) == {1 / size}
    uniform = bits((1 / size, 1 / size) for _ in range(values))
    assert uniform == first
    assert bits((mass, mass / (1 / size)) for mass in pixel.values()) == second
    # 27: kept and changed pixels apart.
    kept = bits((mass, mass * size) for mass in parts[True])
    changed = bits((mass, mass * size) for mass in parts[False])
    assert left == plus((-d, uniform), (d, kept), (d, changed))
    # 28, and the sentence before it.
    assert set(parts[True]) == {kappa / size}
    assert set(parts[False]) == {(1 - kappa) / (size * (size - 1))}
    # 29
    rest = (1 - kappa) / (size - 1)
    kept_29 = bits((kappa / size, kappa) for _ in range(values))
    changed_29 = bits(((1 - kappa) / ((size - 1) * size), rest) for _ in range(values * (values - 1)))
    assert (kept_29, changed_29) == (kept, changed)
    # 30
    inside = plus((1, bits([(Fraction(1), 1 / size)])), (-1, bits([(kappa, kappa)])), (-1, bits([(1 - kappa, rest)])))
    assert left == plus((-d, inside))
    # 21
    final = bits([(Fraction(1), size), (kappa, kappa), (1 - kappa, rest)])
    assert left == plus((d, final))
    assert as_float(left) == pytest.approx(UniformFlip(float(kappa), values).information((d,), values))


def test_the_two_ends_of_kappa() -> None:
    whole = information({(s, s): Fraction(1, 3) for s in range(3)})
    assert whole == bits([(Fraction(1), Fraction(3))]), "all of it"
    assert information(one(Fraction(1, 3), 3)) == {}, "nothing"
