"""Time of an exact threshold of uniform flips, for any number of pixels: median milliseconds, nothing cached.

python benchmarks/lee_thresholds.py [REPETITIONS]    (default 25)
"""

from __future__ import annotations

import statistics
import time
from fractions import Fraction

from common.program import machine, parsed, parser

from holdfast.noises.uniform_flip import surviving, threshold

# kappa, other values of a pixel, and the published or independently computed thresholds for r = 1, 2, ...
KNOWN = (
    ("0.8", 1, ("0.875", "0.96875", "0.9921875", "0.99275")),
    ("0.2", 255, ("0.696862745", "0.853735333", "0.978988297", "0.994936459")),
    ("0.1", 255, ("0.596",)),
)
BEYOND = (6, 8, 10, 15, 20)


def measured(kappa: Fraction, others: int, r: int, repetitions: int) -> tuple[Fraction, float]:
    """The threshold, and the median time to compute it without a cache, in milliseconds."""
    times, found = [], Fraction(0)
    for _ in range(repetitions):
        surviving.cache_clear()
        start = time.perf_counter()
        found = threshold(kappa, others, r)
        times.append(1e3 * (time.perf_counter() - start))
    return found, statistics.median(times)


def main() -> None:
    """Print a line for each threshold."""
    options = parser(__doc__)
    options.add_argument("repetitions", nargs="?", type=int, default=25)
    given = parsed(options)
    repetitions = 1 if given.smoke else given.repetitions
    print(machine(), flush=True)
    print("| kappa | K | r | threshold | known | milliseconds |\n|---|---|---|---|---|---|")
    for kappa, others, values in KNOWN:
        for r in (*range(1, 5), *BEYOND):
            found, milliseconds = measured(Fraction(kappa), others, r, repetitions)
            known = values[r - 1] if r <= len(values) else ""
            print(f"| {kappa} | {others} | {r} | {float(found):.12f} | {known} | {milliseconds:.3f} |")
    # The kappa of a run is a float64: a fraction of 55 digits.
    for r in (1, 4, 20):
        found, milliseconds = measured(Fraction(0.2), 255, r, repetitions)
        print(f"| 0.2 as a float64 | 255 | {r} | {float(found):.12f} | | {milliseconds:.3f} |")


if __name__ == "__main__":
    main()
