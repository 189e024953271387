"""Processor time of `SmoothedClassifier.certify` with this checkout and with another one, in turns.

For each base classifier (random weights) and number of samples: pairs of processes, one for each checkout, with one
thread on the same core. Each has made the call once; then they take turns. The medians of the ratios of neighbouring
calls of all pairs are printed, with their quartiles. Below 1, this checkout is faster. Batches have 256 noisy copies:
what a search finds would add noise, as would one pair, whose memory lies where it happens to lie.

python benchmarks/versions.py CHECKOUT [--pairs N] [--rounds N] [--only NAME] [--precision NAME] [--smoke]
ATEN_CPU_CAPABILITY=avx2 python benchmarks/versions.py CHECKOUT
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from common.program import machine, parsed, parser

HERE = Path(__file__).resolve().parents[1]
# Noise, shape of an input, and images of the largest call, which takes a second or so.
CASES = {
    "linear": ("gaussian:sigma=0.25", (1, 8, 8), 8),
    "digits-cnn": ("gaussian:sigma=0.25", (1, 8, 8), 8),
    "digits-cnn, ablation": ("ablation:k=16", (1, 8, 8), 8),
    "digits-cnn, lattice": ("lattice-gaussian:sigma=0.25", (1, 8, 8), 8),
    "mnist-cnn": ("ablation:k=45", (1, 28, 28), 2),
    "mnist-cnn, gaussian": ("gaussian:sigma=0.5", (1, 28, 28), 2),
    "resnet20": ("gaussian:sigma=0.5", (3, 32, 32), 1),
}
SAMPLES = 100, 1000, 2000
# What runs in each process: it reads a line for each call, and answers with the processor time in seconds.
WORKER = """
import json, sys, time
import numpy as np, torch
import holdfast as hf
from holdfast.models.architectures.base import build
from holdfast.noises.base import NOISES
torch.set_num_threads(1)
made = {}
for line in sys.stdin:
    name, spec, shape, images, n, precision = json.loads(line)
    key = name, precision
    noise = NOISES.from_spec(spec)
    if key not in made:
        torch.manual_seed(0)
        flat = int(np.prod(noise.noisy_shape(tuple(shape))))
        network = (
            torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(flat, 10)) if name == "linear"
            else build(name.split(",")[0], noise.noisy_shape(tuple(shape)), 10, {})
        )
        network.eval().requires_grad_(False)
        made[key] = hf.SmoothedClassifier(network, noise, 10, precision=precision, batch_size=256)
    x = np.random.default_rng(0).integers(0, 256, (images, *shape)).astype(np.float32) / np.float32(255)
    start = time.process_time()
    made[key].certify(x, n0=100, n=n, alpha=0.001)
    print(time.process_time() - start, flush=True)
"""


def worker(checkout: Path) -> subprocess.Popen[str]:
    """A process that certifies with the code of a checkout."""
    core = min(os.sched_getaffinity(0))
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    made = subprocess.Popen(
        [sys.executable, "-c", WORKER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    os.sched_setaffinity(made.pid, {core})
    return made


def seconds(process: subprocess.Popen[str], call: tuple[object, ...]) -> float:
    """Processor time of one call in such a process."""
    assert process.stdin is not None
    assert process.stdout is not None
    print(json.dumps(call), file=process.stdin, flush=True)
    if not (answer := process.stdout.readline()):
        raise SystemExit(f"the process that certified {call} ended; what it printed is above")
    return float(answer)


def main() -> None:
    """One line for each base classifier and call."""
    options = parser(__doc__)
    options.add_argument("checkout", nargs="?", type=Path, help="folder of the other checkout")
    options.add_argument("--pairs", type=int, default=3, help="of processes")
    options.add_argument("--rounds", type=int, default=5, help="of each pair")
    options.add_argument("--only")
    options.add_argument("--precision", default="float32")
    given = parsed(options, "checkout")
    cases = {name: case for name, case in CASES.items() if given.only in (None, name)}
    samples: tuple[int, ...] = SAMPLES
    pairs, rounds = given.pairs, given.rounds
    if given.smoke:
        cases, samples, pairs, rounds = {"linear": CASES["linear"]}, SAMPLES[:1], 1, 2
    print(f"{machine()}; {given.precision}; {pairs} pairs of {rounds} rounds", flush=True)
    print(f"{'base classifier':22} {'images':>6} {'n':>6} {'s before':>9}  ratio (quartiles)")
    for name, (noise, shape, images) in cases.items():
        calls = [(images if n == SAMPLES[-1] else 1, n) for n in samples]
        found: dict[tuple[int, int], list[tuple[float, float]]] = {call: [] for call in calls}
        for _ in range(pairs):
            other, here = worker(given.checkout or HERE), worker(HERE)
            for few, n in calls:
                call = (name, noise, shape, few, n, given.precision)
                taken = [(seconds(other, call), seconds(here, call)) for _ in range(rounds + 1)]
                # The first calls warm up.
                found[few, n] += taken[1:]
            for process in (other, here):
                assert process.stdin is not None
                process.stdin.close()
                process.wait()
        for (few, n), times in found.items():
            low, middle, high = statistics.quantiles([new / old for old, new in times], n=4)
            before = statistics.median(old for old, _ in times)
            print(f"{name:22} {few:6} {n:6} {before:9.3f}  {middle:.3f} ({low:.3f} to {high:.3f})", flush=True)


if __name__ == "__main__":
    main()
