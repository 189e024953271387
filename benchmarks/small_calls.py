"""Small calls from Python: `SmoothedClassifier.certify` with its defaults against the plain loop of published code.

For each base classifier and n: the first call of a new SmoothedClassifier, which checks the base classifier and does
not know the fastest batch size; and later calls of the same one. Both draw n0 + n samples of every image; the engine
also computes the certificates. Interleaved in one process on one thread; medians of the ratios of neighbouring runs,
with their quartiles. Above 1 the engine is faster.

python benchmarks/small_calls.py [--smoke] [--rounds N] [--batch B] [--only NAME]
ATEN_CPU_CAPABILITY=avx2 python benchmarks/small_calls.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from common.plain_loop import plain_loop
from common.program import machine, parsed, parser
from torch import Tensor, nn

import holdfast as hf
from holdfast.models.architectures.base import build
from holdfast.noises.base import Noise
from holdfast.types import Example

CLASSES = 10


@dataclass(frozen=True)
class Case:
    """A base classifier with random weights, and its noise."""

    name: str
    network: nn.Module
    noise: Noise
    shape: tuple[int, ...]


def cases() -> list[Case]:
    """Base classifiers from one that costs next to nothing to one that costs a millisecond a sample."""
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))
    gaussian, ablation = hf.Gaussian(0.25), hf.Ablation(45)
    found = [Case("linear", linear, gaussian, (1, 8, 8))]
    for name, noise, shape in (
        ("digits-cnn", gaussian, (1, 8, 8)),
        ("mnist-cnn", ablation, (1, 28, 28)),
        ("resnet20", hf.Gaussian(0.5), (3, 32, 32)),
    ):
        found.append(Case(name, build(name, noise.noisy_shape(shape), CLASSES, {}), noise, shape))
    for case in found:
        case.network.eval().requires_grad_(False)
    return found


def seconds(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@dataclass(frozen=True)
class Call:
    """Images, and samples of each."""

    images: int
    n0: int
    n: int


def ratios(case: Case, call: Call, rounds: int, batch: int) -> dict[str, list[float]]:
    """The plain loop's time over the engine's: "first" and "later" calls, one of each a round."""
    x = np.random.default_rng(0).random((call.images, *case.shape), dtype=np.float32)
    examples = [Example(number, row, 0) for number, row in enumerate(x)]

    def plain() -> None:
        for example in examples:
            for samples in (call.n0, call.n):
                plain_loop(case.network, case.noise, example, samples, batch, CLASSES)

    def certified(smoothed: hf.SmoothedClassifier) -> None:
        smoothed.certify(x, n0=call.n0, n=call.n, alpha=0.001)

    reused = hf.SmoothedClassifier(case.network, case.noise, CLASSES)
    plain()
    certified(reused)
    found: dict[str, list[float]] = {"first": [], "later": []}
    for _ in range(rounds):
        before = seconds(plain)
        first = seconds(lambda: certified(hf.SmoothedClassifier(case.network, case.noise, CLASSES)))
        middle = seconds(plain)
        later = seconds(lambda: certified(reused))
        after = seconds(plain)
        found["first"].append((before + middle) / 2 / first)
        found["later"].append((middle + after) / 2 / later)
    return found


def rows_passed(case: Case, call: Call) -> int:
    """Number of inputs that pass through the base classifier in the first call."""
    passed = 0

    def counting(noisy: Tensor) -> Tensor:
        nonlocal passed
        passed += len(noisy)
        logits: Tensor = case.network(noisy)
        return logits

    x = np.random.default_rng(0).random((call.images, *case.shape), dtype=np.float32)
    hf.SmoothedClassifier(counting, case.noise, CLASSES).certify(x, n0=call.n0, n=call.n, alpha=0.001)
    return passed


def spread(values: list[float]) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return f"{middle:5.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    """One line for each case and call."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--batch", type=int, default=1000, help="of the plain loop")
    options.add_argument("--only")
    given = parsed(options)
    torch.set_num_threads(1)
    calls = [Call(1, 100, 100), Call(1, 100, 1000), Call(2, 100, 2000), Call(1, 100, 10_000)]
    chosen = [case for case in cases() if given.only in (None, case.name)]
    rounds = given.rounds
    if given.smoke:
        chosen, calls, rounds = chosen[:2], calls[:2], 3
    print(f"{machine()}; plain loop in batches of {given.batch}; {rounds} rounds", flush=True)
    print(f"{'base classifier':16} {'images':>6} {'n0':>5} {'n':>6} {'rows':>7}  {'first call':22} later calls")
    for case in chosen:
        for call in calls:
            found = ratios(case, call, rounds if case.name != "resnet20" else max(3, rounds // 3), given.batch)
            print(
                f"{case.name:16} {call.images:6} {call.n0:5} {call.n:6} {rows_passed(case, call):7}  "
                f"{spread(found['first']):22} {spread(found['later'])}",
                flush=True,
            )


if __name__ == "__main__":
    main()
