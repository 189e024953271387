"""What of the engine's time is not the forward pass, and the engine against the plain one-image-at-a-time loop.

For digits-cnn, mnist-cnn and resnet20, in float32 and bfloat16: noise, forward pass, counting and near ties, each as a
share of the engine's time, and the speed of the engine over that of the loop of published code (repeat, add noise,
forward, argmax, count on the host); engine and loop interleaved in one process, medians with the range.

Networks have random weights unless trained ones are named, of which near ties depend: MODEL.safetensors=DATA.

python benchmarks/overhead.py [--repetitions N] [--only NAME] [--precision bfloat16] [MODEL.safetensors=DATA ...]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common.plain_loop import plain_loop
from torch import Tensor, nn

from holdfast.cli.material import Material
from holdfast.models.architectures.base import build
from holdfast.models.backends import Job, prepare
from holdfast.models.backends.torch_eager import TorchEager
from holdfast.models.normalization import Normalization
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import Noise
from holdfast.noises.gaussian import Gaussian
from holdfast.sampling.classifier import BaseClassifier, VotingClassifier
from holdfast.sampling.counts import MonteCarlo
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.procedure import Burst
from holdfast.types import Example

PRECISIONS = TorchEager.precisions
STAGES = ("noise", "forward", "count", "near ties")
CPU, CLASSES = torch.device("cpu"), 10


@dataclass(frozen=True)
class Case:
    """A network with its noise, some inputs, and samples for each of them."""

    name: str
    network: BaseClassifier
    noise: Noise
    examples: list[Example]
    samples: int


class Timed(VotingClassifier):
    """A classifier that says how long its forward passes and its near ties took."""

    def __init__(self, network: BaseClassifier) -> None:
        self.spent: Counter[str] = Counter()
        self.settling = False
        super().__init__(network, CLASSES)

    def _outputs(self, noisy: Tensor) -> Tensor:
        start = time.perf_counter()
        found = super()._outputs(noisy)
        if not self.settling:
            self.spent["forward"] += time.perf_counter() - start
        return found

    def _settle(self, noisy: Tensor) -> Tensor:
        self.settling, start = True, time.perf_counter()
        found = super()._settle(noisy)
        self.spent["near ties"] += time.perf_counter() - start
        self.spent["ties"] += len(noisy)
        self.settling = False
        return found


class TimedLoop(MonteCarlo):
    """The loop, with the time that its noise took."""

    spent = 0.0

    def _noisy(self, pieces: list[Any]) -> Tensor:
        start = time.perf_counter()
        found = super()._noisy(pieces)
        self.spent += time.perf_counter() - start
        return found


def measure(case: Case, repetitions: int) -> str:
    """One line for one case."""
    size, _ = LocalEngine().fastest_batch(VotingClassifier(case.network, CLASSES), case.noise, case.examples[0])
    classifier = Timed(case.network)
    loop = TimedLoop(classifier, case.noise, Burst(case.samples), 0, size, CPU)
    rows: list[dict[str, float]] = []
    for _ in range(repetitions + 1):
        start = time.perf_counter()
        for example in case.examples:
            plain_loop(case.network, case.noise, example, case.samples, case.samples, CLASSES)
        middle = time.perf_counter()
        classifier.spent, loop.spent = Counter(), 0.0
        list(loop.run(case.examples))
        total = time.perf_counter() - middle
        spent = classifier.spent
        times = {"noise": loop.spent, "forward": spent["forward"], "near ties": spent["near ties"]}
        times["count"] = total - sum(times.values())
        shares = {stage: times[stage] / total for stage in STAGES}
        rows.append({**shares, "total": total, "ratio": (middle - start) / total, "ties": spent["ties"]})
        rows[-1]["allowed"] = (middle - start) / times["forward"]
    # The first repetition warms up.
    column = {key: sorted(row[key] for row in rows[1:]) for key in rows[0]}
    samples = case.samples * len(case.examples)
    middle_of = {key: statistics.median(values) for key, values in column.items()}
    each = middle_of["total"] / samples * 1e6
    parts = ", ".join(
        f"{stage} {middle_of[stage]:.1%} ({column[stage][0]:.1%}-{column[stage][-1]:.1%}; "
        f"{middle_of[stage] * each:.2f} us)"
        for stage in STAGES
    )
    return (
        f"{case.name}, {case.noise}, batches of {size}, {len(case.examples)} inputs of {case.samples} samples: "
        f"{each:.1f} us a sample: {parts}, {middle_of['ties'] / samples:.2%} of the samples; engine / plain loop "
        f"{middle_of['ratio']:.2f}x ({column['ratio'][0]:.2f}-{column['ratio'][-1]:.2f}), where the forward pass "
        f"alone allows {middle_of['allowed']:.2f}x"
    )


def untrained(only: str | None, precision: str) -> list[Case]:
    """The three networks with random weights and inputs."""
    cases = []
    for name, noise, shape, inputs, samples in (
        ("digits-cnn", Gaussian(0.25), (1, 8, 8), 360, 100),
        ("digits-cnn", Ablation(16), (1, 8, 8), 360, 100),
        ("mnist-cnn", Ablation(45), (1, 28, 28), 4, 1000),
        ("resnet20", Gaussian(0.5), (3, 32, 32), 2, 512),
    ):
        if only not in (None, name):
            continue
        torch.manual_seed(0)
        rng = np.random.default_rng(0)
        examples = [Example(index, rng.random(shape, dtype=np.float32), 0) for index in range(inputs)]
        noisy_shape = noise.noisy_shape(shape)
        module = nn.Sequential(Normalization(None, None, 3), build(name, noisy_shape, CLASSES, {})).eval()
        network = prepare("torch", Job(module, noisy_shape, precision))
        cases.append(Case(f"{name} {precision}", network, noise, examples, samples))
    return cases


def trained(model: str, precision: str) -> Case:
    """A bundle on real inputs."""
    path, data = model.split("=", 1)
    material = Material.load(Path(path), data, None, "test", "cpu", precision)
    inputs, samples = (360, 100) if material.bundle.info.architecture.startswith("digits") else (4, 1000)
    examples = [material.data[index] for index in range(inputs)]
    name = f"trained {material.bundle.info.architecture} {precision}"
    network = material.workplace("cpu", 1).classifier("torch").function
    return Case(name, network, material.noise, examples, samples)


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--only")
    parser.add_argument("--precision", choices=PRECISIONS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for precision in [options.precision] if options.precision else PRECISIONS:
        for case in untrained(options.only, precision) if not options.models else []:
            print(measure(case, options.repetitions), flush=True)
        for model in options.models:
            print(measure(trained(model, precision), options.repetitions), flush=True)


if __name__ == "__main__":
    main()
