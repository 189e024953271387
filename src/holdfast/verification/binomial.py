"""One-sided Clopper-Pearson bounds, enclosed: the root of a binomial tail by Newton's method on intervals.

A start from plain floats, whose errors cannot matter, and then P(Binomial(n, p) >= hits) at that start, from integers:
its first term is enclosed by `arb`, the terms after it are that term times a sum of falling ratios, in fixed point with
every rounding counted, cut off where a geometric series bounds the rest. The derivative is known in closed form, so one
such tail encloses the root to twice the digits of the start.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist

from flint import arb, ctx, fmpq

from holdfast.errors import RunError
from holdfast.verification.intervals import Share, end, rational

# Newton's method on intervals doubles the digits; a start from floats has ten at least.
_ROUNDS = 40


@lru_cache(maxsize=1 << 17)
def lower_bound(hits: int, n: int, alpha: Fraction, bits: int) -> Share:
    """The largest p with P(Binomial(n, p) >= hits) <= alpha, enclosed to about `bits` bits.

    Args:
        hits: 0..n.
        n: at least 1.
        alpha: in (0, 1).
        bits: bits of relative precision of the probability and of its complement.

    Raises:
        RunError: the root could not be enclosed.

    Source: Clopper & Pearson 1934.
    """
    if hits == 0:
        return Share(arb(0), arb(1))
    # Powers with exponents up to n lose the bits of n.
    with ctx.workprec(bits + 24 + n.bit_length()):
        return _root(hits, n, alpha, bits)


def upper_bound(hits: int, n: int, alpha: Fraction, bits: int) -> Share:
    """The smallest p with P(Binomial(n, p) <= hits) <= alpha: `lower_bound` for the failures."""
    return lower_bound(n - hits, n, alpha, bits).complement


def _root(hits: int, n: int, alpha: Fraction, bits: int) -> Share:
    choose = arb.bin_uiui(n, hits)
    point = _start(hits, n, float(alpha), choose)
    for _ in range(_ROUNDS):
        p, q = rational(point), rational(1 - point)
        first = choose * p**hits * q ** (n - hits)
        error = first * _tail_over_first(hits, n, point, bits + 16) - rational(alpha)
        step = -error / (first * hits / p)
        # Twice the step is wide enough where Newton's method converges at all.
        reach = arb(0, (2 * step).abs_upper())
        near_p, near_q = p + reach, q - reach
        if near_p > 0 and near_q > 0:
            slope = choose * hits * near_p ** (hits - 1) * near_q ** (n - hits)
            move = -error / slope
            # The interval Newton step: inside where it came from, so there is exactly one root, and it is in it.
            if reach.contains_interior(move):
                found = Share(p + move, q - move)
                if min(found.p.rel_accuracy_bits(), found.q.rel_accuracy_bits()) >= bits - 6:
                    return found
        point = _moved(point, step, bits)
    raise RunError(f"no bound for {hits} of {n} votes at {float(alpha)} could be enclosed; please report this")


def _moved(point: Fraction, step: arb, bits: int) -> Fraction:
    """The point after a step, cut to a dyadic fraction of about `bits` bits and kept inside (0, 1)."""
    moved = point + end(step.mid(), upper=False)
    moved = min(max(moved, point / 2), point + (1 - point) / 2)
    side = min(moved, 1 - moved)
    scale = 1 << (bits + 8 + max(0, side.denominator.bit_length() - side.numerator.bit_length()))
    cut = Fraction(round(side * scale), scale)
    return cut if moved == side else 1 - cut


def _tail_over_first(hits: int, n: int, point: Fraction, bits: int) -> arb:
    """P(Binomial(n, p) >= hits) / P(Binomial(n, p) = hits), enclosed.

    With terms falling from `hits` on they are added up; otherwise those below fall, and the rest is 1 minus them.
    """
    p, q = point, 1 - point
    if (n - hits) * p <= (hits + 1) * q:
        return _falling(n - hits, hits, p, q, bits)
    below = _falling(hits, n - hits, q, p, bits)
    first = arb.bin_uiui(n, hits) * rational(p) ** hits * rational(q) ** (n - hits)
    return 1 / first - below + 1


def _falling(left: int, taken: int, p: Fraction, q: Fraction, bits: int) -> arb:
    """1 + r_1 + r_1 r_2 + ... with r_j = (left - j + 1) p / ((taken + j) q), all at most 1: `left` factors at most.

    Fixed point with `bits` bits and 32 for the rounding. Rounding down loses less than one unit a term, and a term
    inherits at most the loss of the one before, so after j terms the sum lacks at most j (j + 1) / 2 units.
    """
    up, down = p.numerator * q.denominator, q.numerator * p.denominator
    common = math.gcd(up, down)
    up, down = up // common, down // common
    scale = bits + 32
    total = term = 1 << scale
    small = 1 << 24
    count = 0
    numerator, denominator = left * up, (taken + 1) * down
    while term > small and count < left:
        term = term * numerator // denominator
        total += term
        count += 1
        numerator -= up
        denominator += down
    lost = count * (count + 1) // 2
    if count < left:
        # The ratios keep falling: what follows is at most (term + its loss) r / (1 - r).
        lost += (term + count + 1) * numerator // (denominator - numerator) + 1
    return arb(fmpq(total, 1 << scale)).union(arb(fmpq(total + lost, 1 << scale)))


def _start(hits: int, n: int, alpha: float, choose: arb) -> Fraction:
    """A point near the root, from plain floats: Newton's method on the logarithm of the tail.

    The smaller of p and 1 - p is followed, so that it keeps its digits near 0.
    """
    flipped = 2 * hits > n
    small = _normal_start(hits, n, alpha, flipped)
    log_choose = choose.log()
    for _ in range(60):
        p, q = (1.0 - small, small) if flipped else (small, 1.0 - small)
        exact = 1 - Fraction(small) if flipped else Fraction(small)
        log_first = float((log_choose + hits * rational(exact).log() + (n - hits) * rational(1 - exact).log()).mid())
        log_tail = _log_tail(hits, n, p, q, log_first)
        if not -math.inf < log_tail < math.inf:
            break
        # d log T / dp = (hits / p) first / T.
        change = (math.log(alpha) - log_tail) * p * math.exp(min(700.0, log_tail - log_first)) / hits
        moved = small - change if flipped else small + change
        moved = min(max(moved, small / 4.0), (1.0 + small) / 2.0)
        if abs(moved - small) <= 1e-11 * small:
            small = moved
            break
        small = moved
    return 1 - Fraction(small) if flipped else Fraction(small)


def _log_tail(hits: int, n: int, p: float, q: float, log_first: float) -> float:
    """The logarithm of P(Binomial(n, p) >= hits), from that of its first term, by whichever tail falls."""
    if p * (n + 2) <= hits + 1:
        return log_first + math.log(q * _continued_fraction(hits, n - hits + 1, p))
    below = math.exp(log_first) * q * hits / (n - hits + 1) * _continued_fraction(n - hits + 1, hits, q)
    return math.log1p(-below) if below < 1.0 else -math.inf


def _normal_start(hits: int, n: int, alpha: float, flipped: bool) -> float:
    """The smaller of p and 1 - p by the score interval (Wilson 1927)."""
    z = NormalDist().inv_cdf(min(max(alpha, 1e-300), 1.0 - 1e-16))
    share = hits / n
    spread = z * math.sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n))
    p = (share + z * z / (2.0 * n) + spread) / (1.0 + z * z / n)
    rest = (1.0 - share + z * z / (2.0 * n) - spread) / (1.0 + z * z / n)
    return min(max(rest if flipped else p, 1e-300), 1.0 - 1e-9)


def _continued_fraction(a: int, b: int, x: float) -> float:
    """The continued fraction of the incomplete beta function I_x(a, b), by Lentz's method; a start, not a bound."""
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1)
    d = 1.0 / (d or tiny)
    value = d
    for m in range(1, 2000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        factor = 1.0
        for coefficient in (even, odd):
            d = 1.0 / ((1.0 + coefficient * d) or tiny)
            c = (1.0 + coefficient / c) or tiny
            factor *= c * d
        value *= factor
        if abs(factor - 1.0) < 1e-15:
            break
    return value
