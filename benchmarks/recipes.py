"""Accuracy and training time of each recipe, on the digits that come with the package, in one table.

python benchmarks/recipes.py [--epochs N] [--seeds N]

All have the same network, epochs and optimizer, so recipes with several copies or an attack take longer; the table has
the time. Certified accuracy of all 360 test images (n = 1,000, alpha = 0.001), mean over the seeds of training.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from common.program import machine, parsed, parser

from holdfast.data.source import open_data
from holdfast.execution.smoothed import SmoothedClassifier
from holdfast.models.bundle import load_bundle
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import Noise
from holdfast.noises.gaussian import Gaussian
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.training.recipes import (
    Consistency,
    Denoise,
    Macer,
    NoiseAugmentation,
    Recipe,
    SmoothAdv,
    Stability,
    Standard,
    VoteMargin,
)
from holdfast.workflows.train import begun_bundle

_SAMPLES, _ALPHA = 1_000, 0.001
# For a smoke run: samples of each image, and the step between images.
_FEW, _EVERY = 100, 36


@dataclass(frozen=True)
class Row:
    """A training: its recipe, noise, copies and other differences."""

    recipe: Recipe
    noise: Noise
    copies: int = 1
    shared: bool = False


def rows(plain: Path) -> list[Row]:
    """All trainings; `plain` is the classifier without noise that a denoiser goes in front of."""
    half = Gaussian(0.5)
    return [
        Row(NoiseAugmentation(), half),
        Row(NoiseAugmentation(), half, copies=4),
        Row(Stability(), half),
        Row(Consistency(weight=1.0), half, copies=2),
        Row(Consistency(weight=1.0), half, copies=4),
        Row(SmoothAdv(epsilon=0.5), half, copies=2),
        Row(Macer(weight=4.0, margin=4.0, inverse_temperature=4.0), half, copies=8),
        Row(Denoise(str(plain)), half),
        Row(NoiseAugmentation(), Ablation(16), shared=True),
        Row(NoiseAugmentation(), Ablation(16)),
        Row(NoiseAugmentation(), Ablation(16), copies=4),
        Row(Consistency(weight=1.0), Ablation(16), copies=4),
        Row(VoteMargin(), Ablation(16), copies=8),
    ]


def main() -> None:
    """Train and certify, and print the table."""
    options = parser(__doc__)
    options.add_argument("--epochs", type=int, default=60)
    options.add_argument("--seeds", type=int, default=3)
    arguments = parsed(options)
    samples, every = (_FEW, _EVERY) if arguments.smoke else (_SAMPLES, 1)
    if arguments.smoke:
        arguments.epochs, arguments.seeds = 1, 1
    torch.set_num_threads(1)
    print(machine(), flush=True)
    training_set, test_set = (open_data("digits", None, split, {}) for split in ("train", "test"))
    x = torch.from_numpy(test_set.batch(range(0, len(test_set), every)))
    labels = test_set.labels[::every].tolist()
    config = TrainConfig(epochs=arguments.epochs, batch_size=128, optimizer="adamw", learning_rate=0.004)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.safetensors"
        train(begun_bundle(training_set, None, "digits-cnn"), replace(config, recipe=Standard()), training_set, plain)
        print("| noise | recipe | copies | seconds | accuracy | certified at |\n|---|---|---|---|---|---|")
        for number, row in enumerate(rows(plain)):
            radii = (0.25, 0.5, 0.75) if isinstance(row.noise, Gaussian) else (1, 2)
            architecture = row.recipe.architecture
            spec = f"{architecture}:depth=5,width=32" if architecture else "digits-cnn"
            seconds, found = [], []
            for seed in range(arguments.seeds):
                start = time.process_time()
                out = Path(folder) / f"{number}-{seed}.safetensors"
                made = replace(config, recipe=row.recipe, noise_copies=row.copies, shared_noise=row.shared, seed=seed)
                train(begun_bundle(training_set, row.noise, spec), made, training_set, out)
                seconds.append(time.process_time() - start)
                smoothed = SmoothedClassifier(load_bundle(out).module, row.noise, num_classes=10)
                certificates = smoothed.certify(x, n0=100, n=samples, alpha=_ALPHA)
                right = [c.radius if c.label == label else -1.0 for c, label in zip(certificates, labels, strict=True)]
                found.append([statistics.mean(reached >= radius for reached in right) for radius in (0.0, *radii)])
            means = [statistics.mean(values) for values in zip(*found, strict=True)]
            shared = " (one realization a minibatch)" if row.shared else ""
            certified = [f"{r:g}: {100 * mean:.1f}%" for r, mean in zip(radii, means[1:], strict=True)]
            print(
                f"| `{row.noise}` | `{row.recipe}`{shared} | {row.copies} | {statistics.mean(seconds):.0f} | "
                f"{100 * means[0]:.1f}% | {', '.join(certified)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
