"""The engine's time outside the forward pass, and the engine against the plain one-image-at-a-time loop.

For digits-cnn, mnist-cnn and resnet20, in float32 and bfloat16: noise, forward pass, counting and near ties, each as a
share of the engine's time, and the speed of the engine over that of the loop of published code (repeat, add noise,
forward, argmax, count on the host); engine and loop interleaved in one process, medians with the range.

Networks have random weights unless you name trained ones (MODEL.safetensors=DATA), on which the near ties depend. If
the processor has no arithmetic for a precision and a network takes more than ten times as long as in float32, the
program says so and does not measure it.

python benchmarks/overhead.py [--repetitions N] [--only NAME] [--precision bfloat16] [MODEL.safetensors=DATA ...]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from common.plain_loop import plain_loop
from common.program import machine, parsed, parser
from common.small import DATA, digits_model
from common.timed import STAGES, TimedBackend, TimedNoise, found_slow, stage_seconds
from torch import nn

from holdfast.models.architectures.base import build
from holdfast.models.backends import Backend, Job, prepare
from holdfast.models.backends.torch_eager import TorchEager
from holdfast.models.normalization import Normalization
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import Noise
from holdfast.noises.draws import Draws
from holdfast.noises.gaussian import Gaussian
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.counts import MonteCarlo
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.procedure import Burst
from holdfast.types import Example
from holdfast.workflows.setup import Setup

PRECISIONS = TorchEager.precisions
# Samples of a quick look.
SOME = 64
CLASSES = 10
# Network, noise, shape of an input, inputs, samples of each.
UNTRAINED: tuple[tuple[str, Noise, tuple[int, int, int], int, int], ...] = (
    ("digits-cnn", Gaussian(0.25), (1, 8, 8), 360, 100),
    ("digits-cnn", Ablation(16), (1, 8, 8), 360, 100),
    ("mnist-cnn", Ablation(45), (1, 28, 28), 4, 1000),
    ("resnet20", Gaussian(0.5), (3, 32, 32), 2, 512),
)


@dataclass(frozen=True)
class Case:
    """A network with its noise, some inputs, and samples for each of them; `reference` is the network in float32."""

    name: str
    network: Backend
    reference: Backend
    noise: Noise
    examples: list[Example]
    samples: int


def measure(case: Case, repetitions: int) -> str:
    """One line for one case."""
    size, _ = LocalEngine().fastest_batch(VotingClassifier(case.network, CLASSES), case.noise, case.examples[0])
    network, noise = TimedBackend(case.network), TimedNoise(case.noise)
    loop = MonteCarlo(
        VotingClassifier(network, CLASSES), cast("Noise", noise), Burst(case.samples), 0, size, torch.device("cpu")
    )
    rows: list[dict[str, float]] = []
    for _ in range(repetitions + 1):
        start = time.perf_counter()
        for example in case.examples:
            plain_loop(case.network, case.noise, example, case.samples, case.samples, CLASSES)
        plain = time.perf_counter() - start
        times, total = stage_seconds(network, noise, lambda: list(loop.run(case.examples)))
        shares = {stage: times[stage] / total for stage in STAGES}
        rows.append({**shares, "total": total, "ratio": plain / total, "ties": network.alone_rows})
        rows[-1]["allowed"] = plain / times["forward"]
    # The first repetition warms up.
    return summary(case, size, rows[1:])


def summary(case: Case, size: int, rows: list[dict[str, float]]) -> str:
    """Medians of the repetitions, with their range."""
    column = {key: sorted(row[key] for row in rows) for key in rows[0]}
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
    for name, noise, shape, inputs, samples in UNTRAINED:
        if only not in (None, name):
            continue
        torch.manual_seed(0)
        rng = np.random.default_rng(0)
        examples = [Example(index, rng.random(shape, dtype=np.float32), 0) for index in range(inputs)]
        noisy_shape = noise.noisy_shape(shape)
        module = nn.Sequential(Normalization(None, None, 3), build(name, noisy_shape, CLASSES, {})).eval()
        made = {each: prepare("torch", Job(module, noisy_shape, each)) for each in {precision, "float32"}}
        cases.append(Case(f"{name} {precision}", made[precision], made["float32"], noise, examples, samples))
    return cases


def trained(model: str, precision: str) -> Case:
    """A bundle on real inputs."""
    path, _, data = model.partition("=")
    material = Setup.load(path, data, None, "test", "cpu", precision)
    inputs, samples = (360, 100) if material.model.label.startswith("digits") else (4, 1000)
    examples = [material.data[index] for index in range(inputs)]
    name = f"trained {material.model.label} {precision}"
    network, reference = (
        cast("Backend", material.builder("cpu", 1, each).classifier("torch").function)
        for each in (precision, "float32")
    )
    return Case(name, network, reference, material.noise, examples, samples)


def too_slow(case: Case) -> float | None:
    """Samples a second, if these are fewer than a tenth of what the network does in float32."""
    noisy = case.noise.sample(torch.from_numpy(case.examples[0].x), Draws(0, 0, 0, SOME))
    case.reference(noisy)
    start = time.perf_counter()
    case.reference(noisy)
    return found_slow(case.network, noisy, SOME / (time.perf_counter() - start))


def cases_of(given: argparse.Namespace, precision: str) -> Iterator[Case]:
    """The bundles that the command line names, or the networks with random weights; some of both for a smoke run."""
    yield from (trained(model, precision) for model in given.models)
    if given.smoke or not given.models:
        yield from untrained(given.only, precision)


def main() -> None:
    """Measure what the command line names."""
    options = parser(__doc__)
    options.add_argument("models", nargs="*", metavar="MODEL.safetensors=DATA")
    options.add_argument("--repetitions", type=int, default=9)
    options.add_argument("--only", choices=sorted({name for name, *_ in UNTRAINED}))
    options.add_argument("--precision", choices=PRECISIONS)
    given = parsed(options)
    if given.smoke:
        given.repetitions, given.only = 1, "digits-cnn"
    torch.set_num_threads(1)
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if given.smoke:
            given.models = [f"{digits_model(Path(folder))}={DATA}"]
        for precision in [given.precision] if given.precision else PRECISIONS:
            for case in cases_of(given, precision):
                if given.smoke:
                    case = replace(case, examples=case.examples[:3], samples=SOME)
                slow = too_slow(case)
                if slow is None:
                    print(measure(case, given.repetitions), flush=True)
                else:
                    print(
                        f"{case.name}: more than ten times slower than in float32 ({slow:,.1f} samples/s)", flush=True
                    )


if __name__ == "__main__":
    main()
