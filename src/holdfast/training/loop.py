"""The one training loop: steps over shuffled minibatches, a checkpoint after each epoch, and exact resumption.

Order and noise of a step are functions of (seed, epoch, step), so a resumed training ends with the same weights.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from holdfast.errors import ClassifierError, RunError, UsageError
from holdfast.models.bundle import BundleInfo, read_tensors, save_bundle, write_tensors
from holdfast.sampling.rng import Stream, generator
from holdfast.training.devices import Team
from holdfast.training.recipes.noise import noise as noise_recipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.data.base import DataSet
    from holdfast.training.config import TrainConfig

_KEY = "holdfast-checkpoint"


@dataclass(frozen=True)
class TrainProgress:
    """How far a training is; handed to the caller after each step."""

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float
    accuracy_under_noise: float
    seconds: float


def train(
    info: BundleInfo,
    config: TrainConfig,
    data: DataSet,
    out: Path,
    *,
    held_out: DataSet | None = None,
    device: torch.device | None = None,
    on_progress: Callable[[TrainProgress], None] | None = None,
    team: Team | None = None,
) -> BundleInfo:
    """Train a base classifier for its noise and write its bundle to `out`.

    After each epoch `out` + `.checkpoint` holds everything needed to go on; the same call resumes from it.

    Args:
        info: architecture, input space and noise; its `training` entry is filled in here.
        config: how to train.
        data: the training split.
        out: the bundle file.
        held_out: the test split, for the accuracy under noise that the bundle states; never trained on.
        device: where to train; the processor by default.
        on_progress: called after each step.
        team: the processes that share each step, of which all make this call; the first one writes the files.

    Returns:
        What the written bundle says of itself.

    Raises:
        RunError: a checkpoint of another training lies at `out`.
        ClassifierError: the loss became NaN or infinite.
        UsageError: `info` names no noise.
    """
    team = team or Team()
    where = team.device or device or torch.device("cpu")
    trainer = _Trainer(info, config, data, where, team)
    checkpoint = out.with_name(out.name + ".checkpoint")
    if checkpoint.exists():
        trainer.load(checkpoint)
    start = time.perf_counter()
    for epoch in range(trainer.epoch, config.epochs):
        trainer.run_epoch(epoch, start, on_progress)
        if team.rank == 0:
            trainer.save(checkpoint)
    if team.rank:
        return info
    trained = BundleInfo(
        **{
            **vars(info),
            "training": {
                **asdict(config),
                "recipe": "noise",
                "data": {"source": data.source, "split": data.split, "sha256": data.sha256, "size": len(data)},
                "training_loss": trainer.loss,
                "training_accuracy_under_noise": trainer.accuracy,
                "held_out_accuracy_under_noise": None if held_out is None else trainer.evaluate(held_out),
                "torch": torch.__version__,
            },
        }
    )
    save_bundle(out, trained, trainer.module)
    checkpoint.unlink()
    return trained


class _Trainer:
    """The state of a training: weights, optimizer, and how many epochs are done."""

    def __init__(self, info: BundleInfo, config: TrainConfig, data: DataSet, device: torch.device, team: Team) -> None:
        self.config = config
        self.data = data
        self.device = device
        if info.trained_for is None:
            raise UsageError("a training needs the noise that it is for, got a bundle without one; give it a noise")
        self.noise = info.trained_for
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.module = info.build().to(device)
        self.team = team
        self.model = team.model(self.module)
        self.optimizer = _optimizer(self.module, config)
        self.steps_an_epoch = -(-len(data) // config.batch_size)
        self.epoch = 0
        self.loss = self.accuracy = float("nan")
        self._promise = {"config": asdict(config), "data": data.sha256, "model": {**asdict(info), "training": {}}}

    def run_epoch(self, epoch: int, start: float, on_progress: Callable[[TrainProgress], None] | None) -> None:
        """One pass over the training set; leaves its mean loss and accuracy under noise."""
        config, steps = self.config, self.steps_an_epoch
        order = self._permutation(epoch)
        loss_sum = correct = seen = 0.0
        self.module.train()
        for number in range(steps):
            step = epoch * steps + number
            for group in self.optimizer.param_groups:
                group["lr"] = config.rate(step, steps * config.epochs)
            indices = order[number * config.batch_size : (number + 1) * config.batch_size]
            loss, hits, copies = self._step(indices, epoch, number)
            if loss != loss or loss in (float("inf"), float("-inf")):
                raise ClassifierError(
                    f"the loss became {loss} in epoch {epoch + 1}, step {number + 1}: the training diverged. "
                    f"Lower --learning-rate (it is {config.learning_rate}) or use --precision float32"
                )
            loss_sum += loss * copies
            correct += hits
            seen += copies
            if on_progress:
                on_progress(
                    TrainProgress(
                        step + 1,
                        steps * config.epochs,
                        epoch + 1,
                        config.epochs,
                        loss_sum / seen,
                        correct / seen,
                        time.perf_counter() - start,
                    )
                )
        self.epoch = epoch + 1
        self.loss, self.accuracy = loss_sum / seen, correct / seen

    def evaluate(self, held_out: DataSet) -> float:
        """The share of held-out examples that are classified correctly, each under one draw of noise."""
        self.module.eval()
        correct = 0
        with torch.inference_mode():
            for first in range(0, len(held_out), self.config.batch_size):
                indices = range(first, min(first + self.config.batch_size, len(held_out)))
                x, labels = self._batch(held_out, indices)
                source = generator(self.config.seed, 0, Stream.TRAINING_CHECK, first, self.device)
                logits = self.module(self.noise.apply(x, self.noise.draw(x[0], len(x), source)))
                correct += int((logits.argmax(dim=1) == labels).sum())
        return correct / len(held_out)

    def save(self, path: Path) -> None:
        """Write weights, optimizer state and position, whole or not at all."""
        tensors = {f"module.{key}": value.cpu().contiguous() for key, value in self.module.state_dict().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{number}.{key}"] = value.cpu().contiguous()
        position = {"epoch": self.epoch, "loss": self.loss, "accuracy": self.accuracy, "promise": self._promise}
        write_tensors(path, tensors, {_KEY: json.dumps(position)})

    def load(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            RunError: it belongs to another training.
        """
        tensors, header = read_tensors(path)
        position = json.loads(header.get(_KEY, "{}"))
        if position.get("promise") != json.loads(json.dumps(self._promise)):
            raise RunError(
                f"{path} is the checkpoint of a training with other settings or data. Repeat that training's call to "
                "finish it, delete the checkpoint to start anew, or choose another --out"
            )
        self.module.load_state_dict(_under(tensors, "module."))
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _under(tensors, "optimizer.").items():
            number, name = key.split(".", 1)
            state.setdefault(int(number), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.epoch, self.loss, self.accuracy = position["epoch"], position["loss"], position["accuracy"]

    def _step(self, indices: list[int], epoch: int, number: int) -> tuple[float, int, int]:
        """One optimizer step; before it, the loss, the number of hits and the number of noisy copies."""
        x, labels = self._batch(self.data, indices)
        share, weight = self.team.share(len(x) * self.config.noise_copies)
        # Block 0 of an epoch is its permutation.
        source = generator(self.config.seed, epoch, Stream.TRAINING, number + 1, self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            loss, logits, targets = noise_recipe(self.model, x, labels, self.noise, self.config, source, share)
        self.optimizer.zero_grad(set_to_none=True)
        self.team.backward(loss if weight == 1.0 else weight * loss)
        self.optimizer.step()
        hits, copies = (logits.argmax(dim=1) == targets).sum(), len(targets) if weight else 0
        if self.team.size == 1:
            return float(loss.detach()), int(hits), copies
        mine = torch.stack([loss.detach().double() * copies, hits * bool(weight), torch.tensor(copies).to(hits)])
        total, all_hits, all_copies = self.team.total(mine).tolist()
        return total / all_copies, int(all_hits), int(all_copies)

    def _batch(self, data: DataSet, indices: Any) -> tuple[Tensor, Tensor]:
        chosen = list(indices)
        x = torch.from_numpy(data.batch(chosen)).to(self.device)
        return x, torch.from_numpy(data.labels[chosen]).to(self.device)

    def _permutation(self, epoch: int) -> list[int]:
        source = generator(self.config.seed, epoch, Stream.TRAINING, 0, torch.device("cpu"))
        order: list[int] = torch.randperm(len(self.data), generator=source).tolist()
        return order


def _optimizer(module: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    if config.optimizer == "adamw":
        return torch.optim.AdamW(module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        module.parameters(),
        lr=config.learning_rate,
        momentum=0.9,
        nesterov=True,
        weight_decay=config.weight_decay,
    )


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
