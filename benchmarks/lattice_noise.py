"""Noise drawn by integers on the 8-bit grid against float32 noise, interleaved on one processor thread.

python benchmarks/lattice_noise.py [SECONDS]    (for each of twelve lines; default 2)
"""

from __future__ import annotations

import statistics
import time

import torch
from common.program import machine, parsed, parser

from holdfast.noises.base import Noise
from holdfast.noises.draws import Draws
from holdfast.noises.gaussian import Gaussian
from holdfast.noises.lattice_gaussian import LatticeGaussian

COPIES = 64
SHAPES = ((1, 28, 28), (3, 32, 32), (3, 224, 224))
SIGMAS = (0.12, 0.25, 0.5, 1.0)


def seconds(noise: Noise, x: torch.Tensor, noisy: torch.Tensor) -> float:
    """As the engine calls it."""
    start = time.perf_counter()
    noise.sample_into(noisy, x, Draws(0, 0, 0, len(noisy)))
    return time.perf_counter() - start


def main() -> None:
    """Print the median over pairs of calls, one of each kind, of the ratio of their times; and its quartiles."""
    options = parser(__doc__)
    options.add_argument("seconds", nargs="?", type=float, default=2.0)
    given = parsed(options)
    budget, shapes = (0.01, SHAPES[:1]) if given.smoke else (given.seconds, SHAPES)
    torch.set_num_threads(1)
    print(machine(), flush=True)
    source = torch.Generator().manual_seed(0)
    for shape in shapes:
        x = torch.randint(0, 256, shape, generator=source) / 255
        noisy = torch.empty(COPIES, *shape)
        for sigma in SIGMAS:
            lattice, floats = LatticeGaussian(sigma), Gaussian(sigma)
            # The first calls compute the tables and warm up.
            once = [seconds(lattice, x, noisy) + seconds(floats, x, noisy) for _ in range(2)][1]
            pairs = [(seconds(lattice, x, noisy), seconds(floats, x, noisy)) for _ in range(max(9, int(budget / once)))]
            low, middle, high = statistics.quantiles((ours / theirs for ours, theirs in pairs), n=4)
            ours, theirs = (statistics.median(times) / COPIES / x.numel() * 1e9 for times in zip(*pairs, strict=True))
            print(
                f"({COPIES}, {', '.join(map(str, shape))}) sigma {sigma}: lattice / float {middle:.2f} "
                f"({low:.2f} to {high:.2f}), {ours:.1f} and {theirs:.1f} ns a value, {len(pairs)} pairs"
            )


if __name__ == "__main__":
    main()
