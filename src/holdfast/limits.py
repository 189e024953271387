"""Limits shared by formats, noises and estimators: no run needs more, and more would take too long.

`holdfast.verification` repeats them on purpose.
"""

from __future__ import annotations

import math

# Most selection or estimation samples of one input: nobody draws more, and their bounds take long to check.
MOST_SAMPLES = 10**9
# Least failure probability: no source of random numbers is good enough for less, and float64 soon ends.
LEAST_ALPHA = 1e-100
# Most bits in the number of sets of pixels: images of a million pixels need fewer, and sums of more take long.
MOST_SET_BITS = 2**20
# Most classes that a run-off ranks: a record has a number for every two of them.
MOST_RANKED = 200


def set_bits(d: int, k: int) -> float:
    """Upper bound on the bits in the number of sets of k of d pixels: C(d, k) <= (e d / k)^k."""
    few = min(k, d - k)
    return few * math.log2(math.e * d / few) if few > 0 else 0.0
