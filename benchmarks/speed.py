"""The engine on every backend and precision against the plain loop of published code, on this machine.

python benchmarks/speed.py [--networks NAME,...] [--backends NAME[/PRECISION],...] [--seconds S] [--repetitions N]
    [--markdown]

Interleaved in one process on one thread, so that other programs on the machine slow all of them; medians of the ratios
in each round, with their range. A backend more than ten times slower than the plain loop is found after a few inputs
and not measured further.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
import warnings
from dataclasses import dataclass, field

import torch
from common.ceiling import Ceiling
from common.plain_loop import plain_loop
from common.program import machine, parsed, parser
from common.speed_cases import ALL, CASES, IMAGES, SMALL, Case, images, network_for
from common.timed import HOPELESS, TimedBackend, found_slow
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from holdfast.errors import HoldfastError
from holdfast.models.backends import PRECISIONS, Calibration, Job, backend_names, prepare, usable
from holdfast.noises.draws import Draws
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.procedure import Burst
from holdfast.types import Example

CPU = torch.device("cpu")
# Samples of a quick look, and the least number of one image.
SOME = 64
# Beyond this multiple of torch's own products, these say nothing about the processor.
_NO_CEILING = 4.0
# For the smallest case, in seconds: every backend except the one that takes a compiler.
SMOKE_BACKENDS = tuple(name for name in backend_names() if name != "torch-compiled")


class Free(VotingClassifier):
    """A base classifier that costs nothing: what is left is noise and loop."""

    def votes(self, noisy: Tensor) -> tuple[Tensor, Tensor]:
        """Class 0 for all."""
        return torch.zeros(len(noisy), dtype=torch.int64), torch.zeros(len(noisy), dtype=torch.bool)


@dataclass
class Row:
    """Measurements of one backend and precision; one entry a round.

    Attributes:
        too_slow: samples a second, where these are so few that nothing else is measured.
    """

    name: str
    precision: str
    timed: TimedBackend
    classifier: VotingClassifier
    samples: int = 0
    too_slow: float | None = None
    speed: list[float] = field(default_factory=list)
    ratio: list[float] = field(default_factory=list)
    of_ceiling: list[float] = field(default_factory=list)
    noise: list[float] = field(default_factory=list)
    forward: list[float] = field(default_factory=list)
    alone: int = 0
    drawn: int = 0


@dataclass(frozen=True)
class Bench:
    """A network under a noise on this machine, and the length of its measurements."""

    network: nn.Module
    case: Case
    examples: list[Example]
    seconds: float
    repetitions: int

    def plain_speed(self, samples: int) -> float:
        """Samples a second of the plain loop, with one batch of each image."""
        case, drawn = self.case, 0
        start, batch = time.perf_counter(), min(case.loop_batch, samples)
        for example in self.examples:
            drawn += sum(plain_loop(self.network, case.noise, example, batch, batch, case.classes))
            if drawn >= samples:
                break
        return drawn / (time.perf_counter() - start)

    def run(self, classifier: VotingClassifier, samples: int) -> float:
        """Seconds a sample of the engine."""
        chosen, each = shares(samples)
        engine = LocalEngine(batch_size=self.case.batch)
        start = time.perf_counter()
        list(engine.run(classifier, self.case.noise, Burst(each), 0, self.examples[:chosen]))
        return (time.perf_counter() - start) / (chosen * each)

    def noisy(self, copies: int) -> Tensor:
        """Noisy copies of each image, `(images * copies, *noisy event)`."""
        draws = [Draws(2, number, 0, copies) for number in range(len(self.examples))]
        inputs = [torch.from_numpy(x.x) for x in self.examples]
        return torch.cat([self.case.noise.sample(x, some) for x, some in zip(inputs, draws, strict=True)])

    def rows(self, chosen: list[tuple[str, str]]) -> list[Row]:
        """Every requested backend and precision that is available here."""
        calibration = Calibration(self.noisy(30).numpy(), {})
        shape = self.case.noise.noisy_shape(self.case.shape)
        rows = []
        for name, precision in chosen:
            if name not in usable(precision, CPU):
                continue
            start = time.perf_counter()
            try:
                timed = TimedBackend(prepare(name, Job(self.network, shape, precision, calibration=calibration)))
            except HoldfastError as error:
                print(f"  ({name} {precision}: {error})")
                continue
            print(f"  ({name} {precision} made ready in {time.perf_counter() - start:.1f} s)", flush=True)
            rows.append(Row(name, precision, timed, VotingClassifier(timed, self.case.classes)))
        return rows

    def prepare(self, row: Row, plain: float) -> None:
        """Find out how many samples of a row to time, or that it is too slow to be timed."""
        row.too_slow = found_slow(row.timed, self.noisy(7)[:SOME], plain)
        if row.too_slow is None:
            self.run(row.classifier, SOME)
            each = self.run(row.classifier, SOME)
            if each * plain <= 1.0:
                each = self.run(row.classifier, self.case.batch)
                row.samples = max(self.case.batch, round(self.seconds / each / self.case.batch) * self.case.batch)
                return
            if each * plain <= HOPELESS:
                # Slower than the loop: do not wait for full batches.
                row.samples = max(SOME, round(self.seconds / each / SOME) * SOME)
                return
            row.too_slow = 1.0 / each
        print(f"  ({row.name} {row.precision} {slow_words(row)})", flush=True)

    def round(self, rows: list[Row], plain: float, ceilings: dict[str, float], operations: float, free: Free) -> None:
        """One measurement of every row."""
        for row in rows:
            row.timed.clear()
            each = self.run(row.classifier, row.samples)
            drawn = math.prod(shares(row.samples))
            row.forward.append((row.timed.seconds + row.timed.alone_seconds) / drawn / each)
            row.noise.append(self.run(free, max(self.case.batch, row.samples // 4)) / each)
            row.alone += row.timed.alone_rows
            row.drawn += drawn
            row.speed.append(1.0 / each)
            row.ratio.append(1.0 / each / plain)
            row.of_ceiling.append(operations / each / ceilings[row.precision])

    def measure(self, rows: list[Row], operations: float) -> None:
        """Measure all rows in rounds, and print the ceilings of each round."""
        first = self.plain_speed(min(SOME, self.case.loop_batch))
        for row in rows:
            self.prepare(row, first)
        rows = [row for row in rows if row.too_slow is None]
        loop_samples = max(self.case.loop_batch, round(self.seconds * first))
        precisions = [each for each in PRECISIONS if any(row.precision == each for row in rows)]
        free, ceiling, found = Free(lambda noisy: noisy, self.case.classes), Ceiling(precisions), []
        plain: list[float] = []
        for _ in range(self.repetitions):
            found.append(ceiling.measure())
            plain.append(self.plain_speed(loop_samples))
            self.round(rows, plain[-1], found[-1], operations, free)
        words = [
            f"{name} {statistics.median(each[name] for each in found) / 1e9:,.0f} GFLOP/s ({size} x {size})"
            for name, size in ceiling.sizes.items()
        ]
        print(f"  plain loop: {statistics.median(plain):,.0f} samples/s; large products: {', '.join(words)}")


def shares(samples: int) -> tuple[int, int]:
    """Images, and samples of each, that make `samples` or a few more: as many of each."""
    chosen = max(1, min(IMAGES, samples // SOME))
    return chosen, -(-samples // (chosen * SOME)) * SOME


def slow_words(row: Row) -> str:
    """The text for a row that is not measured."""
    return f"is more than ten times slower than the plain loop ({row.too_slow:,.1f} samples/s): not measured further"


def cells(row: Row, case: Case) -> tuple[str, ...]:
    """Samples a second, ratio, its range, target, noise, count, alone, share of the ceiling.

    There is no ceiling where the network is far above it: torch then has no product in this precision here.
    """
    speed, ratio = statistics.median(row.speed), sorted(row.ratio)
    of_ceiling = statistics.median(row.of_ceiling)
    noise, forward = statistics.median(row.noise), statistics.median(row.forward)
    return (
        f"{speed:,.0f}",
        f"{statistics.median(ratio):.2f}",
        f"{ratio[0]:.2f} to {ratio[-1]:.2f}",
        f"{case.targets[PRECISIONS.index(row.precision)]:.2f}",
        f"{noise:.0%}",
        f"{max(0.0, 1 - noise - forward):.0%}",
        f"{row.alone / row.drawn:.2%}",
        f"{of_ceiling:.0%}" if of_ceiling < _NO_CEILING else "none",
    )


def show(rows: list[Row], case: Case) -> None:
    """One line a row."""
    print(
        f"  {'backend':16} {'precision':9} {'samples/s':>10} {'x plain':>8} {'range':>16} {'target':>6} "
        f"{'noise':>5} {'count':>5} {'alone':>7} {'ceiling':>7}"
    )
    for row in rows:
        if row.too_slow is not None:
            print(f"  {row.name:16} {row.precision:9} {slow_words(row)}")
            continue
        speed, ratio, spread, target, noise, count, alone, ceiling = cells(row, case)
        print(
            f"  {row.name:16} {row.precision:9} {speed:>10} {ratio:>8} {spread:>16} {target:>6} "
            f"{noise:>5} {count:>5} {alone:>7} {ceiling:>7}",
            flush=True,
        )


def show_markdown(name: str, rows: list[Row], case: Case) -> None:
    """The rows of the table in docs/measurements/speed.md."""
    for number, row in enumerate(rows):
        head = f"| {f'{name}, {case.noise}' if number == 0 else ''} | `{row.name}` | {row.precision} |"
        if row.too_slow is not None:
            print(f"{head} {row.too_slow:,.1f} | below 0.1 | | | | | |")
            continue
        speed, ratio, spread, target, noise, count, alone, ceiling = cells(row, case)
        print(f"{head} {speed} | {ratio} ({spread}) | {target} | {noise} | {count} | {alone} | {ceiling} |", flush=True)


def wanted_rows(given: str) -> list[tuple[str, str]]:
    """Backends and precisions of `--backends`."""
    pairs = []
    for part in given.split(","):
        name, _, precision = part.partition("/")
        pairs += [(name, each) for each in ([precision] if precision else PRECISIONS)]
    return pairs


def options() -> argparse.Namespace:
    """The options of the command line."""
    made = parser(__doc__)
    made.add_argument("--networks", default=",".join(CASES))
    made.add_argument("--backends", default=",".join(backend_names()), help="with all precisions, or one: NAME/int8")
    made.add_argument("--seconds", type=float, default=1.0, help="of each measurement, at least one batch")
    made.add_argument("--repetitions", type=int, default=5)
    made.add_argument("--markdown", action="store_true", help="also as rows of the table in docs/measurements/speed.md")
    given = parsed(made)
    unknown = sorted(set(given.networks.split(",")) - set(CASES))
    if unknown:
        made.error(f"unknown networks: {', '.join(unknown)}; known are {', '.join(CASES)}")
    if given.smoke:
        given.networks, given.backends = SMALL, ",".join(SMOKE_BACKENDS)
        given.seconds, given.repetitions = 0.01, 1
    return given


def main() -> None:
    """Measure the networks and backends of the command line."""
    given = options()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(machine(), flush=True)
    for name in given.networks.split(","):
        start, case = time.perf_counter(), ALL[name]
        examples = images(case)
        network = network_for(name, case, examples)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.zeros(1, *case.noise.noisy_shape(case.shape)))
        operations = float(counter.get_total_flops())
        print(f"{name} on {case.shape}, {case.noise}: {operations / 1e6:,.0f} MFLOP a sample", flush=True)
        bench = Bench(network, case, examples, given.seconds, given.repetitions)
        rows = bench.rows(wanted_rows(given.backends))
        bench.measure(rows, operations)
        show(rows, case)
        if given.markdown:
            show_markdown(name, rows, case)
        print(f"  ({(time.perf_counter() - start) / 60:.1f} minutes)", flush=True)


if __name__ == "__main__":
    main()
