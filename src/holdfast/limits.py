"""What no run asks for, and nobody waits for: limits that formats, noises and estimators share.

`holdfast.verification` has them a second time, on purpose.
"""

from __future__ import annotations

import math

# Samples of one input, estimation or selection: more are drawn by nobody, and to check their bounds takes long.
MOST_SAMPLES = 10**9
# Failure probabilities below it are refused: no source of random numbers is so good, and float64 ends soon after.
LEAST_ALPHA = 1e-100
# Bits of the number of sets of pixels: images of a million pixels have fewer, and sums of more take long.
MOST_SET_BITS = 2**20


def set_bits(d: int, k: int) -> float:
    """Bits of the number of sets of k of d pixels, and some more: C(d, k) <= (e d / k)^k."""
    few = min(k, d - k)
    return few * math.log2(math.e * d / few) if few > 0 else 0.0
