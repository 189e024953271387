"""How much better the best of many seeds or subsets looks than the average seed or the whole run, on the digits.

python benchmarks/best_of_seeds.py [--seeds N] [--epochs N]    (default 60 seeds, 80 epochs)

One network is trained like the demo's. Each seed certifies the same test images again; the best is picked by certified
accuracy at one radius. Subsets are those of one run that `--every` and `--limit` can name, with 72 images or more.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from common.program import parsed, parser
from common.small import digits

from holdfast.execution.smoothed import SmoothedClassifier
from holdfast.models.bundle import load_bundle
from holdfast.noises.gaussian import Gaussian
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.workflows.train import begun_bundle

SIGMA, RADIUS, N0, ALPHA = 0.25, 0.25, 20, 0.001
FEWEST = 72


def main() -> None:
    """Train, certify under each seed, and print a line for each setting."""
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=60)
    options.add_argument("--epochs", type=int, default=80)
    given = parsed(options)
    seeds, epochs = (2, 1) if given.smoke else (given.seeds, given.epochs)
    torch.set_num_threads(1)
    smoothed = classifier(epochs)
    for every, n in ((36, 30),) if given.smoke else ((5, 100), (5, 1_000), (1, 100)):
        shares = [hits(smoothed, every, n, seed).mean() for seed in range(seeds)]
        print(
            f"{len(range(0, 360, every))} images, n = {n:,}: mean {np.mean(shares):.1%}, best of {seeds} seeds "
            f"{max(shares):.1%}, worst {min(shares):.1%}; standard deviation {np.std(shares):.1%}"
        )
    whole = hits(smoothed, 36 if given.smoke else 1, 100, 0)
    print(f"subsets of one run: all of it {whole.mean():.1%}, {best_subset(whole, 3 if given.smoke else FEWEST)}")


def classifier(epochs: int) -> SmoothedClassifier:
    """The demo's network under Gaussian noise."""
    data = digits("train")
    config = replace(TrainConfig(), epochs=epochs, learning_rate=0.1, weight_decay=1e-3)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "digits.safetensors"
        train(begun_bundle(data, Gaussian(SIGMA), "digits-cnn"), config, data, out)
        module = load_bundle(out).module
    return SmoothedClassifier(module, Gaussian(SIGMA), 10, batch_size=512)


def hits(smoothed: SmoothedClassifier, every: int, n: int, seed: int) -> np.ndarray:
    """For each image, whether a run with this seed certifies it correct at the radius."""
    test = digits("test")
    indices = range(0, len(test), every)
    x = np.stack([test[index].x for index in indices])
    found = smoothed.certify(x, n0=N0, n=n, alpha=ALPHA, seed=seed, indices=indices)
    return np.array(
        [each.label == test[index].label and each.radius >= RADIUS for index, each in zip(indices, found, strict=True)]
    )


def best_subset(whole: np.ndarray, fewest: int) -> str:
    """The best share among all regular subsets that are large enough."""
    best, which, count = 0.0, (1, len(whole)), 0
    for every in range(1, len(whole) // fewest + 1):
        part = whole[::every]
        for limit in range(fewest, len(part) + 1):
            count += 1
            if part[:limit].mean() > best:
                best, which = part[:limit].mean(), (every, limit)
    return f"best of {count} subsets {best:.1%} (every {which[0]}, limit {which[1]})"


if __name__ == "__main__":
    main()
