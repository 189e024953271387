"""Steps of `holdfast train` against a plain loop over a DataLoader: images a second on the same model, on one thread.

python benchmarks/training.py MODEL_CASE=DATA ... [--rounds N]

    python benchmarks/training.py mnist=mnist:DIR cifar10=parquet:DIR

The plain loop is that of published training scripts: images as bytes in a data set, each converted to a float tensor
and augmented by itself, a DataLoader without workers (both have one core), noise drawn for the minibatch, float32, the
optimizer as torch makes it. Interleaved in rounds; medians of the rounds' ratios, with their range.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from common.program import machine, parsed, parser
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, pad
from torch.utils.data import DataLoader, Dataset

from holdfast.data.base import DataSet
from holdfast.models.bundle import BundleInfo
from holdfast.noises.base import Noise
from holdfast.noises.draws import Draws
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.training.trainer import TrainProgress
from holdfast.workflows.specs import open_data_spec, parse_noise
from holdfast.workflows.train import begun_bundle

# Steps that one round times, untimed steps before them, and those of a smoke run.
_STEPS, _UNTIMED, _FEW = 24, 4, 2


@dataclass(frozen=True)
class Case:
    """A model, its noise and its settings."""

    architecture: str
    noise: str
    config: TrainConfig


_ADAM = TrainConfig(epochs=1, batch_size=128, optimizer="adamw", learning_rate=1e-3)
_AUGMENTED = TrainConfig(epochs=1, batch_size=128, optimizer="sgd", learning_rate=0.05, crop=4, flip=True)
CASES = {
    "mnist": (
        Case("mnist-cnn", "gaussian:sigma=0.5", _ADAM),
        Case("mnist-cnn", "ablation:k=45", _ADAM),
    ),
    "cifar10": (Case("resnet20", "gaussian:sigma=0.25", _AUGMENTED),),
    "digits": (Case("digits-cnn", "gaussian:sigma=0.25", _ADAM),),
}


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images as bytes, one at a time."""

    def __init__(self, pixels: NDArray[np.uint8], labels: NDArray[np.int64], config: TrainConfig) -> None:
        self.pixels, self.labels, self.config = pixels, labels, config

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        x = torch.from_numpy(self.pixels[index]).float().div(255)
        pixels = self.config.crop
        if pixels:
            height, width = x.shape[1:]
            top, left = torch.randint(0, 2 * pixels + 1, (2,)).tolist()
            x = pad(x, (pixels,) * 4)[:, top : top + height, left : left + width]
        if self.config.flip and torch.rand(()) < 0.5:
            x = x.flip(2)
        return x, int(self.labels[index])


def plain(info: BundleInfo, noise: Noise, config: TrainConfig, pictures: Pictures, steps: int) -> float:
    """Images a second of the plain loop."""
    model = info.build().train()
    if config.optimizer == "adamw":
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    start = 0.0
    for number, (x, labels) in enumerate(DataLoader(pictures, batch_size=config.batch_size, shuffle=True)):
        if number == _UNTIMED:
            start = time.perf_counter()
        if number == _UNTIMED + steps:
            break
        logits = model(noise.apply(x, noise.draw(x[0], Draws(0, 0, 0, len(x), number * config.batch_size))))
        loss = cross_entropy(logits, labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        loss.item()
    return steps * config.batch_size / (time.perf_counter() - start)


def ours(info: BundleInfo, config: TrainConfig, data: DataSet, steps: int) -> float:
    """Images a second of the training loop."""
    seen: list[float] = []

    def look(progress: TrainProgress) -> None:
        seen.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        train(info, config, data, Path(folder) / "m.safetensors", on_progress=look)
    return steps * config.batch_size / (seen[_UNTIMED + steps - 1] - seen[_UNTIMED - 1])


def measure(name: str, spec: str, rounds: int, steps: int) -> None:
    """One row for each case of a data set and each precision."""
    whole = open_data_spec(spec, "train")
    for case in CASES[name]:
        count = case.config.batch_size * (_UNTIMED + steps + 1)
        if count > len(whole):
            raise SystemExit(f"{spec} has {len(whole):,} training images; {steps} steps are timed on {count:,}")
        values = np.rint(whole.batch(np.arange(count)) * 255).astype(np.uint8)
        data = DataSet.in_memory(
            source=whole.source,
            split="train",
            class_names=whole.class_names,
            labels=whole.labels[:count],
            values=values,
        )
        noise = parse_noise(case.noise)
        info = begun_bundle(data, noise, case.architecture)
        pictures = Pictures(values, data.labels, case.config)
        ratios: dict[str, list[float]] = {"float32": [], "bfloat16": []}
        speeds = []
        for _ in range(rounds):
            speeds.append(plain(info, noise, case.config, pictures, steps))
            for precision, found in ratios.items():
                found.append(ours(info, replace(case.config, precision=precision), data, steps) / speeds[-1])
        words = [
            f"{precision} {statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"
            for precision, found in ratios.items()
        ]
        print(
            f"{case.architecture}, {case.noise}: plain {statistics.median(speeds):,.0f} images/s; " + "; ".join(words)
        )


def main() -> None:
    """Measure the cases of the command line."""
    options = parser(__doc__)
    options.add_argument("cases", nargs="*", metavar="CASE=DATA", help=f"{' or '.join(CASES)}, and a data set for it")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--steps", type=int, default=_STEPS, help="steps that a round times")
    given = parsed(options, "cases")
    if given.smoke:
        given.cases, given.rounds, given.steps = ["digits=digits"], 1, _FEW
    torch.set_num_threads(1)
    print(machine(), flush=True)
    for text in given.cases:
        name, _, spec = text.partition("=")
        if name not in CASES or not spec:
            options.error(f"got {text!r}, expected {' or '.join(f'{known}=DATA' for known in CASES)}")
        measure(name, spec, given.rounds, given.steps)


if __name__ == "__main__":
    main()
