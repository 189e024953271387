"""Noise drawn by integers on the 8-bit grid against float32 noise, interleaved on one processor thread.

python benchmarks/lattice_noise.py [REPETITIONS]
"""

from __future__ import annotations

import statistics
import sys
import time

import torch

from holdfast.noises.base import Noise
from holdfast.noises.gaussian import Gaussian
from holdfast.noises.lattice_gaussian import LatticeGaussian

COPIES = 64
SHAPES = ((1, 28, 28), (3, 32, 32), (3, 224, 224))
SIGMAS = (0.12, 0.25, 0.5, 1.0)
# Calls of one measurement take this long together: small shapes are repeated, since a single call is too short to time.
SECONDS = 0.02


def seconds(noise: Noise, x: torch.Tensor, source: torch.Generator, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        noise.sample(x, COPIES, source)
    return (time.perf_counter() - start) / calls


def main(repetitions: int) -> None:
    """Print the median ratio of the times and the nanoseconds a value, for each shape and sigma."""
    torch.set_num_threads(1)
    source = torch.Generator().manual_seed(0)
    for shape in SHAPES:
        x = torch.randint(0, 256, shape, generator=source) / 255
        for sigma in SIGMAS:
            pair = (LatticeGaussian(sigma), Gaussian(sigma))
            # The first calls compute the table and warm up.
            calls = max(1, round(SECONDS / max(seconds(noise, x, source, 2) for noise in pair)))
            rows = [tuple(seconds(noise, x, source, calls) for noise in pair) for _ in range(repetitions)]
            ratios = sorted(lattice / floats for lattice, floats in rows)
            lattice, floats = (statistics.median(column) / COPIES / x.numel() * 1e9 for column in zip(*rows, strict=True))
            print(
                f"({COPIES}, {', '.join(map(str, shape))}) sigma {sigma}: lattice / float {statistics.median(ratios):.2f} "
                f"({ratios[0]:.2f} to {ratios[-1]:.2f}); {lattice:.1f} and {floats:.1f} ns a value"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
