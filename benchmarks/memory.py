"""Peak memory of the engine for more samples and for more images, each in its own process: it must not grow.

python benchmarks/memory.py
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import torch
from common.program import parsed, parser

from holdfast.noises.gaussian import Gaussian
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.procedure import Burst
from holdfast.types import Example

SHAPE = (3, 32, 32)
# Images, and samples for each of them.
SETTINGS = ((1, 1_000), (1, 10_000), (1, 100_000), (1, 1_000_000), (10, 1_000), (100, 1_000), (1_000, 1_000))


def examples(count: int) -> Iterator[Example]:
    """Examples that are made on request, as a data set reads them."""
    rng = np.random.default_rng(0)
    for index in range(count):
        yield Example(index, rng.random(SHAPE, dtype=np.float32), 0)


def peak(images: int, samples: int) -> int:
    """Peak resident memory of this process in MiB, after a run with a base classifier that costs nothing."""
    classifier = VotingClassifier(lambda z: z[:, 0, 0, :10], 10)
    engine = LocalEngine(batch_size=1024)
    for _ in engine.run(classifier, Gaussian(0.5), Burst(samples), 0, examples(images)):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """One line for each setting; a batch of noisy copies alone is 12 MiB."""
    options = parser(__doc__)
    options.add_argument(
        "--one", nargs=2, type=int, metavar=("IMAGES", "SAMPLES"), help="this setting, in this process"
    )
    given = parsed(options)
    if given.one:
        torch.set_num_threads(1)
        print(peak(*given.one))
        return
    for images, samples in SETTINGS[:1] if given.smoke else SETTINGS:
        command = [sys.executable, __file__, "--one", str(images), str(samples)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        print(f"{images:,} images, {samples:,} samples each: at most {answer.strip()} MiB", flush=True)


if __name__ == "__main__":
    main()
