"""Threshold questions end to end: Holdfast against the plain loop, on a real model and real images.

The plain loop is the published procedure: image by image, 100 selection and 100,000 estimation samples in float32, with
the counts on the host. It is timed on a part of the samples, and its time for all images is extrapolated. Holdfast
stops each image once r = .25, .5, .75 and 1 are decided, on the fastest backend that has the precision.

Certified accuracy is compared with that of all 100,000 samples in float32. If the first samples leave only one answer
(except with probability 1e-6), that answer is taken; for the other images all 100,000 are drawn.

python benchmarks/end_to_end.py MODEL.safetensors DATA [--images N] [--backend NAME] [--precision NAME]
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from common.plain_loop import plain_loop
from common.program import machine, parsed, parser
from common.small import DATA, digits_model

from holdfast.errors import UsageError
from holdfast.estimators import Estimator, FixedSize, Looks, certificate, scale_of
from holdfast.execution.backends import ClassifierBuilder, description
from holdfast.models.bundle import open_bundle
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.procedure import Certify, certify_votes
from holdfast.stats.binomial import lower_bound, upper_bound
from holdfast.types import Counts
from holdfast.workflows.specs import open_data_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.sampling.classifier import VotingClassifier
    from holdfast.types import Certificate, Example

N0, ALPHA = 100, 0.001
RADII = (0.25, 0.5, 0.75, 1.0)
# Votes from which the answer of all N is predicted, and the probability of a wrong prediction.
FIRST, UNFORESEEN = (1_000, 10_000), 1e-6
PLAIN_BATCH, PLAIN_SAMPLES = 1_000, 3_000
# Estimation samples; of a smoke run, these and its images.
N, FEW, FEW_IMAGES = 100_000, 2_000, 6


class Benchmark:
    """One model, one set of images."""

    def __init__(self, model: Path, data: str, images: int, backend: str, precision: str, n: int) -> None:
        self.n = n
        self.model = open_bundle(model)
        noise = self.model.trained_for
        if noise is None:
            raise UsageError(f"{model} was trained without noise, expected a model trained with a noise")
        self.noise = noise
        self.data = open_data_spec(data, "test")
        self.examples = [self.data[index] for index in range(0, len(self.data), max(1, len(self.data) // images))][
            :images
        ]
        self.scale = scale_of(self.noise, None, self.data.shape)

        def place(precision: str) -> ClassifierBuilder:
            return ClassifierBuilder(self.model, self.noise, precision, "cpu", 1, lambda: open_data_spec(data, "train"))

        self.reference = place("float32").classifier("torch")
        work = len(self.examples) * (N0 + n)
        self.exact = place("float32").chosen("auto", self.examples[0], work)
        self.fast = place(precision).chosen(backend, self.examples[0], work)

    def certify(
        self, classifier: VotingClassifier, rule: Estimator, examples: Sequence[Example], seed: int
    ) -> dict[int, Certificate]:
        """Certificates by index."""
        found = LocalEngine().run(classifier, self.noise, Certify(N0, rule), seed, examples)
        return {
            example.index: certificate(self.noise, rule, example.x.shape, *certify_votes(votes))
            for example, votes in found
        }

    def plain_seconds(self) -> float:
        """Seconds for all images, extrapolated from a part of the samples of some of them."""
        module, classes = self.model.module, len(self.model.classes)
        times = []
        for example in self.examples[:: max(1, len(self.examples) // 6)]:
            start = time.perf_counter()
            plain_loop(module, self.noise, example, PLAIN_SAMPLES, PLAIN_BATCH, classes)
            times.append((time.perf_counter() - start) / PLAIN_SAMPLES)
        return statistics.median(times) * len(self.examples) * (N0 + self.n)

    def of_all_samples(self, seed: int) -> tuple[dict[int, tuple[bool, ...]], int]:
        """Whether N samples in float32 certify each image at each radius; and the number of images that needed all."""
        answers: dict[int, tuple[bool, ...]] = {}
        left = list(self.examples)
        for n in (each for each in FIRST if each < self.n):
            found = self.certify(self.exact, FixedSize(n, ALPHA, "cohen"), left, seed)
            for example in left:
                foreseen = self.foreseen(example, found[example.index])
                if foreseen is not None:
                    answers[example.index] = foreseen
            left = [example for example in left if example.index not in answers]
        for index, each in self.certify(self.exact, FixedSize(self.n, ALPHA), left, seed).items():
            label = self.data[index].label
            answers[index] = tuple(each.label == label and each.radius >= radius for radius in RADII)
        return answers, len(left)

    def foreseen(self, example: Example, each: Certificate) -> tuple[bool, ...] | None:
        """The answer of N samples, or None if it is open. The runner-up's share is left out: it only adds radius."""
        top, votes = each.bounds.top, each.estimation
        if top != example.label:
            # Predicted wrong only if the selection is sure to choose another class again.
            sure = (
                each.selection.votes[top] == N0
                or upper_bound(votes.votes[example.label], votes.total, UNFORESEEN) < 0.3
            )
            return (False,) * len(RADII) if sure else None
        hits, n = votes.votes[top], votes.total
        ends = []
        for p, sign in ((lower_bound(hits, n, UNFORESEEN), -1), (upper_bound(hits, n, UNFORESEEN), 1)):
            expected = round(self.n * p + sign * 6 * math.sqrt(self.n * p * (1 - p)))
            expected = min(self.n, max(0, expected))
            # At best all other votes are spread evenly; at worst one rival has them.
            remaining, classes = self.n - expected, len(votes.votes) - 1
            spread = [remaining] + [0] * (classes - 1) if sign < 0 else [remaining // classes] * classes
            bounds = FixedSize(self.n, ALPHA).bounds(0, _filled(self.n, expected, spread))
            reached = self.scale(bounds)
            ends.append(tuple(reached is not None and reached >= radius for radius in RADII))
        return ends[0] if ends[0] == ends[1] else None


def _filled(n: int, top: int, others: Sequence[int]) -> Counts:
    missing = n - top - sum(others)
    return Counts((top, others[0] + missing, *others[1:]))


def main() -> None:
    """Compare on the model and data of the command line, or in a smoke run on a small model."""
    options = parser(__doc__)
    options.add_argument("model", nargs="?", type=Path)
    options.add_argument("data", nargs="?")
    options.add_argument("--images", type=int, default=500)
    options.add_argument("--backend", default="auto")
    options.add_argument("--precision", default="bfloat16")
    options.add_argument("--check-seed", type=int, default=1, help="1: the noise that Holdfast drew; else other noise")
    given = parsed(options, "model", "data")
    torch.set_num_threads(1)
    print(machine(), flush=True)
    if not given.smoke:
        work = Benchmark(given.model, given.data, given.images, given.backend, given.precision, N)
        compare(work, given.precision, given.check_seed)
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Benchmark(digits_model(Path(folder)), DATA, FEW_IMAGES, "torch", given.precision, FEW)
        compare(work, given.precision, given.check_seed)


def compare(work: Benchmark, precision: str, check_seed: int) -> None:
    """Print the times, their ratio, and certified accuracy by both."""
    rule = Looks(work.n, ALPHA, RADII, scale=work.scale)
    before = work.plain_seconds()
    start = time.perf_counter()
    early = work.certify(work.fast, rule, work.examples, 1)
    seconds = time.perf_counter() - start
    plain = statistics.median([before, work.plain_seconds()])
    spent = sum(each.estimation.total for each in early.values()) / len(early)
    print(f"{len(early)} images of {work.data.source}, {work.noise}, N = {work.n:,}, alpha = {ALPHA}; one thread")
    print(f"plain loop: {plain:,.0f} s, extrapolated from {PLAIN_SAMPLES:,} samples of some images")
    print(f"Holdfast ({description(work.fast)}, {precision}): {seconds:.1f} s, {spent:,.0f} samples an image")
    print(f"{plain / seconds:,.0f} times faster")
    answers, drawn = work.of_all_samples(check_seed)
    print(f"all {work.n:,} samples were drawn in float32 for {drawn} images; the others were clear before")
    print("| radius | all samples, float32 | Holdfast |\n|---|---|---|")
    for place, radius in enumerate(RADII):
        full = sum(answer[place] for answer in answers.values()) / len(answers)
        fast = sum(
            early[example.index].label == example.label and early[example.index].radius >= radius
            for example in work.examples
        ) / len(early)
        print(f"| {radius:g} | {full:.1%} | {fast:.1%} |")


if __name__ == "__main__":
    main()
