"""Number of samples for "is the radius at least r?" on a real model, and whether the answers stay the same.

Every estimator goes through the engine on real images: `FixedSize` once, `Looks`, `Bets` and `EProcess` for each
radius, and `Looks` and `Bets` for all radii together. Processor time is that of samples and bounds. Noise is keyed by
seed, example and draw, so with the same seed the estimators that stop early see the first of the very samples that
`FixedSize` sees: a paired comparison. Then they run again with noise of another seed.

`Looks` and `Bets` bound every class ("split", as `FixedSize` does by default); an e-process bounds the top class only,
and is compared with `FixedSize` by the papers' bounds ("cohen") on the same votes.

python benchmarks/threshold_real.py MODEL.safetensors DATA [--every K] [--limit M] [--precision bfloat16] [--seed S]
    [--batch-size B]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from common.program import machine, parsed, parser
from common.small import DATA, digits_model

from holdfast.estimators import Bets, EProcess, Estimator, FixedSize, Looks, certificate, scale_of
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.procedure import Certify
from holdfast.sampling.rng import Stream
from holdfast.stats.datasets import proportion
from holdfast.workflows.setup import Setup

if TYPE_CHECKING:
    from holdfast.sampling.classifier import VotingClassifier
    from holdfast.sampling.procedure import Votes
    from holdfast.types import Example

N0, N, ALPHA = 100, 100_000, 0.001
# For a smoke run: the largest number of samples, and images.
FEW, FEW_IMAGES = 2_000, 6
RADII = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Setting:
    """The data, the base classifier, and the examples to certify."""

    material: Setup
    classifier: VotingClassifier
    examples: list[Example]
    engine: LocalEngine
    n: int

    def sample(self, estimator: Estimator, seed: int) -> tuple[dict[int, Votes], float]:
        """The engine's votes for every example, by index, and the processor seconds that they took."""
        start, spent = time.perf_counter(), time.process_time()
        results = self.engine.run(self.classifier, self.material.noise, Certify(N0, estimator), seed, self.examples)
        votes = {example.index: each for example, each in results}
        total = sum(counts.total for each in votes.values() for counts in each.values())
        print(f"{estimator}: {total:,} samples in {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        return votes, time.process_time() - spent

    def right(self, estimator: Estimator, votes: dict[int, Votes], radius: float) -> np.ndarray:
        """Which examples are certified correct at a radius."""
        proved = [
            certificate(
                self.material.noise,
                estimator,
                example.x.shape,
                votes[example.index][Stream.SELECTION],
                votes[example.index][Stream.ESTIMATION],
            )
            for example in self.examples
        ]
        pairs = zip(self.examples, proved, strict=True)
        return np.array([each.label == example.label and each.radius >= radius for example, each in pairs])


Sampled = tuple[dict[int, "Votes"], float]


def line(setting: Setting, radius: float, rule: Estimator, sampled: Sampled, whole: Sampled) -> str:
    """One estimator at one radius against `FixedSize` by the same kind of bounds, as a row of the table."""
    (taken, spent), (fixed, most) = sampled, whole
    counts = np.array([votes[Stream.ESTIMATION].total for votes in taken.values()])
    error = counts.std(ddof=1) / len(counts) ** 0.5
    early = setting.right(rule, taken, radius)
    late = setting.right(FixedSize(setting.n, ALPHA, rule.method), fixed, radius)
    share = proportion(int(late.sum()), len(late))
    return (
        f"| {radius:g} | {rule.name} | {counts.mean():,.0f} ± {error:,.0f} | {setting.n / counts.mean():.1f} "
        f"| {(setting.n + N0) / (counts.mean() + N0):.1f} | {spent:.1f} s | {most / spent:.1f} | {early.mean():.1%} "
        f"| {late.mean():.1%} [{share.lower:.1%}, {share.upper:.1%}] | {int((early & ~late).sum())} "
        f"| {int((late & ~early).sum())} |"
    )


def table(setting: Setting, fixed: Sampled, seed: int) -> None:
    """Print a row for each radius and estimator, and one for all radii together."""
    print(
        "| radius | estimator | samples | times fewer | with selection | processor | faster | certified | `FixedSize` "
        "| only early | only fixed |"
    )
    print("|" + "---|" * 11)
    material = setting.material
    scale = scale_of(material.noise, material.theorem, material.data.shape)
    for radius in RADII:
        rules: tuple[Estimator, ...] = (
            Looks(setting.n, ALPHA, (radius,), scale=scale),
            Bets(setting.n, ALPHA, (radius,), scale=scale),
            EProcess(setting.n, ALPHA, radius, scale=scale),
        )
        for rule in rules:
            print(line(setting, radius, rule, setting.sample(rule, seed), fixed), flush=True)
    several: tuple[Estimator, ...] = (
        Looks(setting.n, ALPHA, RADII, scale=scale),
        Bets(setting.n, ALPHA, RADII, scale=scale),
    )
    for together in several:
        taken = setting.sample(together, seed)
        for radius in RADII:
            words = line(setting, radius, together, taken, fixed)
            print(words.replace(f"| {together.name} |", f"| {together.name}, all radii at once |"), flush=True)


def main() -> None:
    """Sample for the model and data of the command line, or in a smoke run for a small model."""
    options = parser(__doc__)
    options.add_argument("model", nargs="?", type=Path)
    options.add_argument("data", nargs="?", help="digits, or mnist:DIR")
    options.add_argument("--every", type=int, default=1)
    options.add_argument("--limit", type=int, default=None)
    options.add_argument("--precision", default="float32")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--batch-size", type=int, default=None)
    given = parsed(options, "model", "data")
    print(machine(), flush=True)
    if not given.smoke:
        compare(given, N)
        return
    with tempfile.TemporaryDirectory() as folder:
        given.model, given.data, given.limit = digits_model(Path(folder)), DATA, FEW_IMAGES
        compare(given, FEW)


def compare(given: argparse.Namespace, n: int) -> None:
    """Sample for every estimator, at most n samples, and print the tables."""
    material = Setup.load(given.model, given.data, None, "test", "cpu", given.precision)
    indices = range(0, len(material.data), given.every)[: given.limit]
    classifier, engine = material.builder("cpu", 1).classifier("torch"), LocalEngine(batch_size=given.batch_size)
    examples = [material.data[index] for index in indices]
    size, speed = engine.fastest_batch(classifier, material.noise, examples[0])
    setting = Setting(material, classifier, examples, replace(engine, batch_size=size), n)
    print(
        f"{material.model.label} for {material.noise}, {given.precision}, {material.data.source}: "
        f"{len(indices)} of {len(material.data)} test images (every {given.every}), "
        f"n0 = {N0}, n = {n:,}, alpha = {ALPHA}; batches of {size}, {speed:,.0f} samples/s"
    )
    fixed = setting.sample(FixedSize(n, ALPHA), given.seed)
    for seed, words in ((given.seed, "The same noise"), (given.seed + 1, "Other noise")):
        print(f"\n{words} as `FixedSize` (seed {seed}):\n")
        table(setting, fixed, seed)


if __name__ == "__main__":
    main()
