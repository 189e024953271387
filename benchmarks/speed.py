"""The engine on every backend and precision against the plain loop of published code, on this machine.

python benchmarks/speed.py [--networks NAME,...] [--backends NAME[/PRECISION],...] [--seconds S] [--repetitions N]

Interleaved in one process on one thread, so that whatever else runs on the machine slows all of them; medians of the
ratios in each round, with their range.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
import warnings
from dataclasses import dataclass, field

import torch
from plain_loop import plain_loop
from speed_cases import CASES, IMAGES, Case, images, network_for
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from holdfast.errors import HoldfastError
from holdfast.models.backends import PRECISIONS, Backend, Calibration, Job, backend_names, prepare, usable
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.procedure import Burst
from holdfast.sampling.rng import BLOCK
from holdfast.types import Example

CPU = torch.device("cpu")


class Timed:
    """A backend that adds up its time, and counts the inputs that were computed alone."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.near_tie = backend.near_tie
        self.seconds, self.alone_rows = 0.0, 0

    def __call__(self, noisy: Tensor) -> Tensor:
        start = time.perf_counter()
        logits = self.backend(noisy)
        self.seconds += time.perf_counter() - start
        return logits

    def alone(self, noisy: Tensor) -> Tensor:
        start = time.perf_counter()
        logits = self.backend.alone(noisy)
        self.seconds += time.perf_counter() - start
        self.alone_rows += len(noisy)
        return logits


class Free(VotingClassifier):
    """A base classifier that costs nothing: what is left is noise and loop."""

    def votes(self, noisy: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros(len(noisy), dtype=torch.int64), torch.zeros(len(noisy), dtype=torch.bool)


@dataclass
class Row:
    """What is measured of one backend and precision; one entry a round."""

    name: str
    precision: str
    timed: Timed
    classifier: VotingClassifier
    samples: int = 0
    speed: list[float] = field(default_factory=list)
    ratio: list[float] = field(default_factory=list)
    of_ceiling: list[float] = field(default_factory=list)
    noise: list[float] = field(default_factory=list)
    forward: list[float] = field(default_factory=list)
    alone: int = 0
    drawn: int = 0


def plain_speed(network: nn.Module, case: Case, examples: list[Example], samples: int) -> float:
    """Samples a second of the plain loop, with one batch of each image."""
    start, batch, drawn = time.perf_counter(), min(case.loop_batch, samples), 0
    for example in examples:
        drawn += sum(plain_loop(network, case.noise, example, batch, batch, case.classes))
        if drawn >= samples:
            break
    return drawn / (time.perf_counter() - start)


def rows_for(network: nn.Module, case: Case, wanted: list[tuple[str, str]], examples: list[Example]) -> list[Row]:
    """Every backend and precision that was asked for and can be had here."""
    source = torch.Generator().manual_seed(2)
    noisy = [case.noise.sample(torch.from_numpy(each.x), 30, source) for each in examples]
    calibration = Calibration(torch.cat(noisy).numpy(), {})
    shape = case.noise.noisy_shape(case.shape)
    rows = []
    for name, precision in wanted:
        if name not in usable(precision, CPU):
            continue
        start = time.perf_counter()
        try:
            timed = Timed(prepare(name, Job(network, shape, precision, calibration=calibration)))
        except HoldfastError as error:
            print(f"{name} {precision}: {error}")
            continue
        print(f"  ({name} {precision} made ready in {time.perf_counter() - start:.1f} s)", flush=True)
        rows.append(Row(name, precision, timed, VotingClassifier(timed, case.classes)))
    return rows


def shares(samples: int) -> tuple[int, int]:
    """Images, and samples of each, that make `samples` or a few more: whole blocks, as certificates nearly are."""
    chosen = max(1, min(IMAGES, samples // BLOCK))
    return chosen, -(-samples // (chosen * BLOCK)) * BLOCK


def measure(
    rows: list[Row], network: nn.Module, case: Case, operations: float, seconds: float, repetitions: int
) -> list[dict[str, float]]:
    """All rows in turn, again and again, and the ceilings of each round; a first one finds out how much to do."""
    examples, engine = images(case), LocalEngine(batch_size=case.batch)

    def run(classifier: VotingClassifier, samples: int) -> float:
        chosen, each = shares(samples)
        start = time.perf_counter()
        list(engine.run(classifier, case.noise, Burst(each), 0, examples[:chosen]))
        return (time.perf_counter() - start) / (chosen * each)

    per_batch = case.batch / plain_speed(network, case, examples, min(64, case.loop_batch))
    for row in rows:
        run(row.classifier, case.batch)
        each = run(row.classifier, case.batch)
        row.samples = max(case.batch, round(seconds / each / case.batch) * case.batch)
    loop_samples = max(case.loop_batch, round(seconds / per_batch * case.batch))
    free, ceiling, found = Free(lambda noisy: noisy, case.classes), Ceiling(), []
    for _ in range(repetitions):
        found.append(ceiling.measure())
        plain = plain_speed(network, case, examples, loop_samples)
        for row in rows:
            row.timed.seconds, row.timed.alone_rows = 0.0, 0
            each = run(row.classifier, row.samples)
            drawn = math.prod(shares(row.samples))
            row.forward.append(row.timed.seconds / drawn / each)
            row.noise.append(run(free, max(case.batch, row.samples // 4)) / each)
            row.alone += row.timed.alone_rows
            row.drawn += drawn
            row.speed.append(1.0 / each)
            row.ratio.append(1.0 / each / plain)
            row.of_ceiling.append(operations / each / found[-1][row.precision])
    return found


class Ceiling:
    """Operations a second of products of large square matrices, by precision."""

    SIZE = 2048

    def __init__(self) -> None:
        whole = torch.randn(self.SIZE, self.SIZE)
        half = whole.bfloat16()
        small = torch.randint(-127, 127, (self.SIZE, self.SIZE), dtype=torch.int8)
        self._products = {
            "float32": lambda: whole @ whole,
            "bfloat16": lambda: half @ half,
            "int8": lambda: torch._int_mm(small, small),
        }
        self.measure()

    def measure(self) -> dict[str, float]:
        """The better of two products of each kind."""
        found = {}
        for name, product in self._products.items():
            times = []
            for _ in range(2):
                start = time.perf_counter()
                product()
                times.append(time.perf_counter() - start)
            found[name] = 2 * self.SIZE**3 / min(times)
        return found


def show(rows: list[Row], case: Case) -> None:
    """One line a row."""
    print(
        f"  {'backend':16} {'precision':9} {'samples/s':>10} {'x plain loop (range)':>24} {'target':>6} "
        f"{'noise':>6} {'forward':>7} {'count':>6} {'alone':>7} {'of ceiling':>10}"
    )
    for row in rows:
        speed, ratio = statistics.median(row.speed), sorted(row.ratio)
        noise, forward = statistics.median(row.noise), statistics.median(row.forward)
        target = case.targets[PRECISIONS.index(row.precision)]
        print(
            f"  {row.name:16} {row.precision:9} {speed:10,.0f} "
            f"{statistics.median(ratio):8.2f} ({ratio[0]:5.2f} to {ratio[-1]:5.2f}) {target:6.2f} {noise:6.0%} "
            f"{forward:7.0%} {max(0.0, 1 - noise - forward):6.0%} {row.alone / row.drawn:7.2%} "
            f"{statistics.median(row.of_ceiling):10.0%}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(CASES))
    parser.add_argument("--backends", default=",".join(f"{name}/{p}" for name in backend_names() for p in PRECISIONS))
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement, at least one batch")
    parser.add_argument("--repetitions", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    wanted = []
    for part in given.backends.split(","):
        name, _, precision = part.partition("/")
        wanted += [(name, p) for p in ([precision] if precision else PRECISIONS)]
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, one thread")
    for name in given.networks.split(","):
        case = CASES[name]
        examples = images(case)
        network = network_for(name, case, examples)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.zeros(1, *case.noise.noisy_shape(case.shape)))
        operations = float(counter.get_total_flops())
        print(f"{name} on {case.shape}, {case.noise}: {operations / 1e6:,.0f} MFLOP a sample", flush=True)
        rows = rows_for(network, case, wanted, examples)
        found = measure(rows, network, case, operations, given.seconds, given.repetitions)
        medians = {precision: statistics.median(each[precision] for each in found) for precision in PRECISIONS}
        print("  large products: " + ", ".join(f"{key} {rate / 1e9:,.0f} GFLOP/s" for key, rate in medians.items()))
        show(rows, case)


if __name__ == "__main__":
    main()
