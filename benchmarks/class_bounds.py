"""Gain of the split class bounds: average certified radius on synthetic 10-class votes, by number of samples.

Votes are Dirichlet-multinomial: for each input a top class, a heavy runner-up and eight light classes, with shares
drawn so that easy, hard and hopeless inputs all occur. Prints, for each n, the mean radius of `cohen` and of `split`
(sigma = 1) and the mean of the paired difference with its standard error.

python benchmarks/class_bounds.py [INPUTS]    (default 2000)
"""

from __future__ import annotations

import numpy as np
from common.program import parsed, parser

from holdfast.estimators import FixedSize
from holdfast.noises.gaussian import Gaussian, cohen
from holdfast.types import Counts

ALPHA = 0.001
CLASSES = 10


def votes(rng: np.random.Generator, n: int) -> list[int]:
    """Votes of one input: the top class mostly wins, the runner-up takes much of the rest."""
    concentration = np.array([rng.choice([2.0, 8.0, 30.0]), 1.5, *[0.15] * (CLASSES - 2)])
    return [int(count) for count in rng.multinomial(n, rng.dirichlet(concentration))]


def main() -> None:
    """Print a line for each n."""
    options = parser(__doc__)
    options.add_argument("inputs", nargs="?", type=int, default=2000)
    given = parsed(options)
    inputs = 20 if given.smoke else given.inputs
    for n in (100, 1_000, 10_000, 100_000):
        rng = np.random.default_rng(n)
        rows = [votes(rng, n) for _ in range(inputs)]
        radii = {
            method: np.array([_radius(row, FixedSize(n, ALPHA, method)) for row in rows])
            for method in ("cohen", "split")
        }
        gain = radii["split"] - radii["cohen"]
        smaller, worst = np.mean(gain < 0), -gain.min()
        abstained = [np.mean(radii[method] == 0) for method in ("cohen", "split")]
        print(
            f"n = {n:>7,}: cohen {radii['cohen'].mean():.4f}, split {radii['split'].mean():.4f}, "
            f"gain {gain.mean():+.4f} +- {gain.std() / len(gain) ** 0.5:.4f}; smaller for {smaller:.0%} of inputs, "
            f"by {worst:.4f} at most; radius 0 or none: {abstained[0]:.1%} -> {abstained[1]:.1%}"
        )


def _radius(row: list[int], rule: FixedSize) -> float:
    counts = Counts(tuple(row))
    return cohen(Gaussian(1.0), rule.bounds(counts.top, counts), (1,)) or 0.0


if __name__ == "__main__":
    main()
