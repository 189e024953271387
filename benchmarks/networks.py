"""Networks for ablated MNIST at equal cost: trained for equal processor time, then compared under ablation.

python benchmarks/networks.py mnist:DIR [--k K,...] [--minutes M] [--networks SPEC,...]

The speeds are those of first steps, in turns. The first network is trained for the number of epochs nearest to the
time, each other one for as many epochs as cost no more. The program prints the accuracy under ablation, over several
draws of each test image, and the share of images that most draws get right by more than 2 Delta (the condition of
Corollary 2), without the bounds that a certificate needs: a comparison.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from common.program import machine, parsed, parser
from numpy.typing import NDArray

from holdfast.data.base import DataSet
from holdfast.models.bundle import load_bundle
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import pixel_count
from holdfast.noises.draws import Draws
from holdfast.sampling.rng import Stream
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.training.trainer import TrainProgress
from holdfast.workflows.specs import open_data_spec
from holdfast.workflows.train import begun_bundle

_RECIPE = TrainConfig(
    batch_size=128,
    optimizer="adamw",
    learning_rate=0.003,
    weight_decay=0.02,
    precision="bfloat16",
    noise_copies=3,
)
_DRAWS, _EVERY, _RADIUS, _TIMED_STEPS, _TIMED_ROUNDS = 200, 10, 8, 20, 5
# Of a smoke run.
_FEW_STEPS, _NO_TIME = 2, 1e-9


class _Stop(Exception):
    """Enough steps were timed."""


def epoch_seconds(network: str, noise: Ablation, data: DataSet, timed: int) -> float:
    """Processor time of an epoch, from so many steps."""
    times: list[float] = []

    def look(progress: TrainProgress) -> None:
        times.append(time.process_time())
        if len(times) > timed:
            raise _Stop

    with tempfile.TemporaryDirectory() as folder:
        try:
            train(begun_bundle(data, noise, network), _RECIPE, data, Path(folder) / "m.safetensors", on_progress=look)
        except _Stop:
            steps = -(-len(data) // _RECIPE.batch_size)
            return (times[-1] - times[0]) / timed * steps
    raise ValueError(f"the data set has fewer than {timed} minibatches of {_RECIPE.batch_size}")


def epochs_of(
    networks: list[str], noise: Ablation, data: DataSet, minutes: float, timed: int = _TIMED_STEPS
) -> dict[str, int]:
    """Whole epochs of each network for about the time; none costs more than those of the first."""
    measured = [
        {network: epoch_seconds(network, noise, data, timed) for network in networks} for _ in range(_TIMED_ROUNDS)
    ]
    cost = {network: median(each[network] for each in measured) for network in networks}
    whole = max(1, round(60 * minutes / cost[networks[0]]))
    return {network: max(1, int(whole * cost[networks[0]] / cost[network])) for network in networks}


def votes(model: Path, noise: Ablation, data: DataSet) -> NDArray[np.float64]:
    """Shares of the votes for each class, `(images, classes)`, of every tenth image."""
    module, indices = load_bundle(model).module, range(0, len(data), _EVERY)
    counts = np.zeros((len(indices), len(data.class_names)))
    with torch.inference_mode():
        for row, index in enumerate(indices):
            x = torch.from_numpy(data.batch([index])[0])
            chosen = module(noise.sample(x, Draws(0, index, Stream.TRAINING_CHECK, _DRAWS))).argmax(1).numpy()
            counts[row] = np.bincount(chosen, minlength=len(data.class_names))
    return counts / _DRAWS


def main() -> None:
    """Train and compare."""
    options = parser(__doc__)
    options.add_argument("data", nargs="?", metavar="mnist:DIR")
    options.add_argument("--k", default="25,45")
    options.add_argument("--minutes", type=float, default=8.0)
    options.add_argument("--networks", default="mnist-cnn,sparse-cnn")
    given = parsed(options, "data")
    timed = _TIMED_STEPS
    if given.smoke:
        given.data, given.k, given.networks = "digits", "16", "digits-cnn,sparse-cnn:blocks=0"
        given.minutes, timed = _NO_TIME, _FEW_STEPS
    torch.set_num_threads(1)
    print(machine(), flush=True)
    training_set, test_set = (open_data_spec(given.data, split) for split in ("train", "test"))
    for k in map(int, given.k.split(",")):
        noise = Ablation(k)
        first: NDArray[np.float64] | None = None
        for network, epochs in epochs_of(given.networks.split(","), noise, training_set, given.minutes, timed).items():
            right = compare(network, epochs, noise, training_set, test_set, first)
            first = right if first is None else first


def compare(
    network: str,
    epochs: int,
    noise: Ablation,
    training_set: DataSet,
    test_set: DataSet,
    first: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Train a network, print its line, and return the share of votes for the label of each image."""
    labels, pixels = test_set.labels[::_EVERY], pixel_count(test_set.shape)
    delta = 1.0 - np.prod([(pixels - noise.k - i) / (pixels - i) for i in range(_RADIUS)])
    with tempfile.TemporaryDirectory() as folder:
        out, start = Path(folder) / "m.safetensors", time.process_time()
        train(begun_bundle(training_set, noise, network), replace(_RECIPE, epochs=epochs), training_set, out)
        spent = (time.process_time() - start) / 60
        shares = votes(out, noise, test_set)
    right: NDArray[np.float64] = shares[np.arange(len(labels)), labels]
    shares[np.arange(len(labels)), labels] = -1.0
    ahead = right - shares.max(axis=1)
    # All networks see the same draws, so what one has over another is known better than either.
    gain = right - (right if first is None else first)
    print(
        f"k={noise.k} {network}: {epochs} epochs, {spent:.1f} min; accuracy under ablation {mean_of(right)}, "
        f"{mean_of(gain)} more than the first; most votes right {100 * (ahead > 0).mean():.1f}%, "
        f"ahead by 2 Delta({_RADIUS}) {100 * (ahead > 2 * delta).mean():.1f}%",
        flush=True,
    )
    return right


def mean_of(values: NDArray[np.float64]) -> str:
    """A mean in percent, with the half width of its 95% interval."""
    return f"{100 * values.mean():.2f}% (+- {196 * values.std() / len(values) ** 0.5:.2f})"


if __name__ == "__main__":
    main()
