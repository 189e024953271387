"""The engine against the plain one-image-at-a-time loop, interleaved in one process; prints median ratios.

python benchmarks/overhead.py [REPETITIONS]
"""

from __future__ import annotations

import statistics
import sys
import time

import torch

from holdfast.data import open_data
from holdfast.models.architectures.base import build
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import Noise
from holdfast.noises.gaussian import Gaussian
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.procedure import Burst

IMAGES, SAMPLES = 60, 100


def plain_loop(network: torch.nn.Module, noise: Noise, inputs: torch.Tensor) -> list[list[int]]:
    """The procedure of published code: image by image, counts on the host."""
    source, counts = torch.Generator().manual_seed(0), []
    for x in inputs:
        with torch.no_grad():
            votes = network(noise.sample(x, SAMPLES, source)).argmax(1)
        counts.append(torch.bincount(votes.cpu(), minlength=10).tolist())
    return counts


def main(repetitions: int) -> None:
    """Time both and the forward pass alone."""
    torch.set_num_threads(1)
    data = open_data("digits", None, "test", {})
    examples = [data[index] for index in range(IMAGES)]
    inputs = torch.stack([torch.from_numpy(example.x) for example in examples])
    for noise in (Gaussian(0.25), Ablation(16)):
        torch.manual_seed(0)
        network = build("digits-cnn", noise.noisy_shape(data.shape), 10, {}).eval()
        classifier = VotingClassifier(network, 10)
        size, _ = LocalEngine().fastest_batch(classifier, noise, examples[0])
        engine, batch = LocalEngine(batch_size=size), torch.rand(size, *noise.noisy_shape(data.shape))
        times: dict[str, list[float]] = {"plain": [], "engine": [], "forward": []}
        for _ in range(repetitions + 1):
            start = time.perf_counter()
            plain_loop(network, noise, inputs)
            middle = time.perf_counter()
            list(engine.run(classifier, noise, Burst(SAMPLES), 0, examples))
            end = time.perf_counter()
            with torch.inference_mode():
                for _ in range(-(-IMAGES * SAMPLES // size)):
                    network(batch)
            times["plain"].append(middle - start)
            times["engine"].append(end - middle)
            times["forward"].append(time.perf_counter() - end)
        _print(noise, size, times)


def _print(noise: Noise, size: int, times: dict[str, list[float]]) -> None:
    # The first repetition warms up.
    rows = list(zip(*(values[1:] for values in times.values()), strict=True))
    speedup = sorted(plain / engine for plain, engine, _ in rows)
    overhead = sorted(1 - forward / engine for _, engine, forward in rows)
    samples = IMAGES * SAMPLES / statistics.median(times["engine"][1:])
    print(
        f"{noise}, batches of {size}: {samples:,.0f} samples/s; engine / plain loop {statistics.median(speedup):.2f}x "
        f"({speedup[0]:.2f} to {speedup[-1]:.2f}); share outside the forward pass {statistics.median(overhead):.0%} "
        f"({overhead[0]:.0%} to {overhead[-1]:.0%})"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
