"""Several processes and Ray against one process, on a network that gains nothing from threads (mnist-cnn, float32).

Every engine draws the same votes with one thread a worker. The engines take turns; each figure is the median of the
ratios of neighbouring runs, with the smallest and the largest. "With startup" is the whole call; "without" begins with
the first finished example and counts those that follow. Random weights: the cost of votes does not depend on them.

The machine should be idle. The program prints the load average, and the speed of the same work on one core and on two
cores at once, without any engine. That ratio is the most that two processes can reach here.

python benchmarks/engines.py [--rounds R] [--examples M] [--n N]
"""

from __future__ import annotations

import multiprocessing
import os
import time
from statistics import median

import numpy as np
import torch
from common.program import machine, parsed, parser

from holdfast.estimators import FixedSize
from holdfast.models.architectures.base import build
from holdfast.noises.gaussian import Gaussian
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.base import Engine, FunctionFactory
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.engines.processes import ProcessesEngine
from holdfast.sampling.engines.ray import RayEngine
from holdfast.sampling.procedure import Certify
from holdfast.types import Example

SHAPE, BATCH = (1, 28, 28), 256


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build("mnist-cnn", SHAPE, 10, {}).eval().requires_grad_(False)


def timed(engine: Engine, count: int, n: int) -> tuple[float, float]:
    """Seconds an example, with startup and without."""
    inputs = (Example(i, np.random.default_rng(i).random(SHAPE, dtype=np.float32), 0) for i in range(count))
    start = time.perf_counter()
    first, done = 0.0, 0
    for _ in engine.run(FunctionFactory(network, 10), Gaussian(0.5), Certify(100, FixedSize(n, 0.001)), 1, inputs):
        first = first or time.perf_counter()
        done += 1
        end = time.perf_counter()
    return (time.perf_counter() - start) / count, (end - first) / (done - 1)


def burst(n: int) -> float:
    """Seconds for a piece of the same work in one process: n samples of four inputs each, after a quarter of that."""
    engine = LocalEngine(batch_size=BATCH)
    classifier = VotingClassifier(network(), 10)
    inputs = [Example(i, np.full(SHAPE, 0.5, np.float32), 0) for i in range(4)]
    list(engine.run(classifier, Gaussian(0.5), Certify(100, FixedSize(n // 4, 0.001)), 1, inputs))
    start = time.perf_counter()
    list(engine.run(classifier, Gaussian(0.5), Certify(100, FixedSize(n, 0.001)), 1, inputs))
    return time.perf_counter() - start


def attainable(n: int) -> float:
    """How much more two processes do than one when nothing is handed out or collected."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(burst, (n, n), 1)
        alone = pool.apply(burst, (n,))
        return 2.0 * alone / max(pool.map(burst, (n, n), 1))


def spread(ratios: list[float]) -> str:
    return f"{median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--examples", type=int, default=24, help="at least 3")
    options.add_argument("--n", type=int, default=10_000)
    given = parsed(options)
    if given.smoke:
        given.rounds, given.examples, given.n = 1, 3, 128
    engines = {
        "local": LocalEngine(batch_size=BATCH),
        "processes:2": ProcessesEngine(2, batch_size=BATCH),
        "ray:2": RayEngine(2, batch_size=BATCH),
    }
    print(f"{machine()}; {given.examples} examples, n = {given.n:,}", flush=True)
    rounds: list[dict[str, tuple[float, float]]] = []
    ceilings: list[float] = []
    for number in range(given.rounds):
        ceilings.append(attainable(min(2000, given.n)))
        rounds.append({name: timed(engine, given.examples, given.n) for name, engine in engines.items()})
        figures = ", ".join(f"{name} {a:.3f} s ({b:.3f} s)" for name, (a, b) in rounds[-1].items())
        print(
            f"round {number + 1}: seconds an example with startup (without): {figures}; two bare processes "
            f"{ceilings[-1]:.2f} times one; load average {os.getloadavg()[0]:.2f}",
            flush=True,
        )
    for slot, name in enumerate(("with startup", "without")):
        two = [each["local"][slot] / each["processes:2"][slot] for each in rounds]
        ray = [each["processes:2"][slot] / each["ray:2"][slot] for each in rounds]
        print(f"{name}: processes:2 is {spread(two)} times local, ray:2 {spread(ray)} times processes:2")
    print(f"two bare processes are {spread(ceilings)} times one")


if __name__ == "__main__":
    main()
