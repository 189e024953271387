"""The state of a training and its steps: weights, optimizer, epochs, and the checkpoint to resume from.

Order and noise of a step are functions of (seed, epoch, step), so a resumed training ends with the same weights.
"""

from __future__ import annotations

import json
import math
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from holdfast.data.crops import UNIFORMS
from holdfast.errors import ClassifierError, RunError
from holdfast.formats.checking import fitting
from holdfast.formats.models import Position
from holdfast.formats.strict import json_object
from holdfast.models.bundle import read_tensors, write_tensors
from holdfast.sampling.rng import Stream, generator
from holdfast.training.augment import augment, check_augmentation
from holdfast.training.config import TrainConfig
from holdfast.training.inputs import Inputs
from holdfast.training.recipes.base import Look, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Generator

    from holdfast.data.base import DataSet
    from holdfast.folders import Below
    from holdfast.models.bundle import BundleInfo
    from holdfast.training.devices import Team

_KEY = "holdfast-checkpoint"

# Steps between checks of the loss on a GPU, since each check waits for the GPU.
_STEPS_BETWEEN_LOOKS = 20


@dataclass(frozen=True)
class TrainProgress:
    """The progress of a training; reported after each step, on a GPU after some of them."""

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float
    accuracy_under_noise: float
    seconds: float


def position_of(path: Below, header: dict[str, str]) -> Position:
    """The position of a checkpointed training, and its recorded settings and data.

    Raises:
        RunError: not a checkpoint, or changed since it was written.
    """
    try:
        return fitting(json_object(header.get(_KEY, "{}")), Position)
    except ValueError as error:
        raise RunError(
            f"{path} is not the checkpoint of a training, or was changed after it was written: {error}. Restore it "
            "from a copy, delete it to start again, or choose another place for the model"
        ) from None


class Trainer:
    """The state of a training: weights, optimizer, and the number of finished epochs."""

    def __init__(self, info: BundleInfo, config: TrainConfig, data: DataSet, device: torch.device, team: Team) -> None:
        self.config = config
        self.noise = info.trained_for
        config.recipe.check(self.noise, config)
        # Whole images are resized to 8-bit values.
        grid = None if self.noise is None or data.crops_whole_images else self.noise.grid
        check_augmentation(config, data.shape, grid)
        self.space = info.input_space
        self.device = device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.module = info.build().to(device)
        if len(info.noisy_shape) == 3:
            # The memory layout in which convolutions are fastest, above all in bfloat16.
            self.module = self.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        config.recipe.prepare(self.module)
        self.team = team
        self.model = team.model(self.module)
        self.average = _average(self.module, config.ema)
        self.optimizer = _optimizer(self.module, config)
        # Whole images are read again for each crop.
        reread = bool(config.resized_crop) and data.crops_whole_images
        self.inputs = Inputs(data, device, most_bytes=0 if reread else None)
        self.steps_an_epoch = -(-len(data) // config.batch_size)
        self.epoch = 0
        self.loss = self.accuracy = float("nan")
        self._manifest = {"config": config.to_dict(), "data": data.sha256, "model": {**asdict(info), "training": {}}}

    @property
    def final(self) -> nn.Module:
        """The module whose weights go into the bundle."""
        return self.module if self.average is None else self.average.module

    def run_epoch(self, epoch: int, start: float, on_progress: Callable[[TrainProgress], None] | None) -> None:
        """Make one pass over the training set; set `loss` and `accuracy` to its means under noise."""
        config, steps = self.config, self.steps_an_epoch
        order = self._permutation(epoch)
        # Sums of losses, hits and copies so far, on the device.
        sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        self.module.train()
        for number in range(steps):
            step = epoch * steps + number
            for group in self.optimizer.param_groups:
                group["lr"] = config.rate(step, steps * config.epochs)
            indices = order[number * config.batch_size : (number + 1) * config.batch_size]
            sums += self.team.total(self.step(indices, epoch, number))
            last = number == steps - 1
            if last or self.device.type == "cpu" or number % _STEPS_BETWEEN_LOOKS == 0:
                loss_sum, hits, copies = sums.tolist()
                self._check(loss_sum, epoch, number)
                self.loss, self.accuracy = loss_sum / copies, hits / copies
                if on_progress:
                    seconds = time.perf_counter() - start
                    place = (step + 1, steps * config.epochs, epoch + 1, config.epochs)
                    on_progress(TrainProgress(*place, self.loss, self.accuracy, seconds))
        self.epoch = epoch + 1

    def _check(self, loss_sum: float, epoch: int, number: int) -> None:
        if not math.isfinite(loss_sum):
            raise ClassifierError(
                f"the loss became {loss_sum} in epoch {epoch + 1}, by step {number + 1}: the training diverged. "
                f"Lower the learning rate (it is {self.config.learning_rate}), or train in float32"
            )

    def evaluate(self, held_out: DataSet) -> float:
        """The share of held-out examples classified correctly, each under one draw of the noise."""
        module = self.final.eval()
        inputs = Inputs(held_out, self.device, most_bytes=0)
        correct = 0
        with torch.no_grad(), self._own_randomness(self.config.epochs, 0):
            for first in range(0, len(held_out), self.config.batch_size):
                x, labels = inputs.batch(torch.arange(first, min(first + self.config.batch_size, len(held_out))))
                source = generator(self.config.seed, 0, Stream.TRAINING_CHECK, first, self.device)
                noisy = x if self.noise is None else self.noise.apply(x, self.noise.draw(x[0], len(x), source))
                correct += int((module(noisy).argmax(dim=1) == labels).sum())
        return correct / len(held_out)

    def begin(self) -> None:
        """Let the recipe set the weights that the first step starts from."""
        self.config.recipe.begin(self._look(self.module, self.config.epochs + 1))
        if self.average is not None:
            self.average.module.load_state_dict(self.module.state_dict())

    def finish(self) -> None:
        """Let the recipe set what steps do not learn."""
        self.config.recipe.finish(self._look(self.final, self.config.epochs))

    def _look(self, module: nn.Module, epoch: int) -> Look:
        """The training set as a recipe sees it outside steps; its randomness belongs to an epoch without steps."""
        images = len(self.inputs.data)
        source = generator(self.config.seed, epoch, Stream.TRAINING, 0, self.device)
        return Look(module.eval(), images, self.inputs.batch, self.config, self.space, source)

    def save(self, path: Below) -> None:
        """Write weights, optimizer state and position, completely or not at all."""
        states = {"module": self.module} if self.average is None else {"module": self.module, "average": self.average}
        tensors = {
            f"{part}.{key}": value.cpu().contiguous()
            for part, module in states.items()
            for key, value in module.state_dict().items()
        }
        for number, state in self.optimizer.state_dict()["state"].items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{number}.{key}"] = value.cpu().contiguous()
        position = {"epoch": self.epoch, "loss": self.loss, "accuracy": self.accuracy, "promise": self._manifest}
        write_tensors(path, tensors, {_KEY: json.dumps(position, allow_nan=False)})

    def load(self, path: Below) -> None:
        """Continue from a checkpoint.

        Raises:
            RunError: it belongs to another training.
        """
        tensors, header = read_tensors(path)
        position = position_of(path, header)
        stored = msgspec.to_builtins(position.promise)
        # Older versions did not record settings that came later and whose defaults are what they did.
        stored["config"] = {**json.loads(json.dumps(TrainConfig().to_dict())), **stored["config"]}
        if stored != json.loads(json.dumps(self._manifest)) or position.epoch > self.config.epochs:
            raise RunError(
                f"{path} is the checkpoint of a training with other settings or data. Repeat that training's call to "
                "finish it, delete the checkpoint to start again, or choose another place for the model"
            )
        self.module.load_state_dict(_with_prefix(tensors, "module."))
        if self.average is not None:
            self.average.load_state_dict(_with_prefix(tensors, "average."))
        trained = self.optimizer.param_groups[0]["params"]
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _with_prefix(tensors, "optimizer.").items():
            number, name = key.split(".", 1)
            weights = trained[int(number)]
            # The files have no memory layout, but fused steps need the same one for weights and their state.
            like = torch.empty_like(weights).copy_(value) if value.shape == weights.shape else value
            state.setdefault(int(number), {})[name] = like
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.epoch, self.loss, self.accuracy = position.epoch, position.loss, position.accuracy

    def step(self, indices: Tensor, epoch: int = 0, number: int = 0) -> Tensor:
        """Take one optimizer step; return this process's sums of losses, hits and noisy copies before it."""
        config = self.config
        # Block 0 of an epoch is its permutation.
        source = generator(config.seed, epoch, Stream.TRAINING, number + 1, self.device)
        x, labels = self._augmented(indices, source)
        images, copies = len(x), config.noise_copies
        share, weight = self.team.share(images)
        draws = None
        if self.noise is not None:
            draws = self.noise.draw(x[0], 1 if config.shared_noise else images * copies, source)
            if not config.shared_noise:
                draws = draws[share.start * copies : share.stop * copies]
        step = Step(
            model=self.model,
            module=self.module,
            x=x[share],
            labels=labels[share],
            config=config,
            space=self.space,
            progress=(epoch + number / self.steps_an_epoch) / config.epochs,
            noise=self.noise,
            draws=draws,
            randomness=partial(_shared_draw, images, share, source),
        )
        with (
            self._own_randomness(epoch, number),
            torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"),
        ):
            loss, logits, targets = config.recipe.outcome(step)
        self.optimizer.zero_grad(set_to_none=True)
        self.team.backward(loss if weight == 1.0 else weight * loss)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.module)
        seen = len(targets) if weight else 0
        hits = (logits.argmax(dim=1) == targets).sum()
        return torch.stack(
            [loss.detach().double() * seen, hits.double() * bool(weight), hits.new_tensor(seen).double()]
        )

    @contextmanager
    def _own_randomness(self, epoch: int, number: int) -> Iterator[None]:
        """Within the block, torch's global generator, from which random defences draw, is that of this step."""
        seed = int(np.random.SeedSequence((self.config.seed, epoch, number)).generate_state(1, np.uint64)[0] >> 1)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            yield

    def _augmented(self, indices: Tensor, source: Generator) -> tuple[Tensor, Tensor]:
        """Images and labels at these positions, with the augmentation of the settings."""
        crop = self.config.random_crop
        if crop is None:
            x, labels = self.inputs.batch(indices)
        else:
            size = (len(indices), UNIFORMS)
            uniforms = torch.rand(size, dtype=torch.float64, device=self.device, generator=source)
            x, labels = self.inputs.cropped(indices, crop, uniforms)
        return augment(x, self.config, source), labels

    def _permutation(self, epoch: int) -> Tensor:
        source = generator(self.config.seed, epoch, Stream.TRAINING, 0, torch.device("cpu"))
        return torch.randperm(len(self.inputs.data), generator=source)


def _shared_draw(images: int, share: slice, source: Generator, make: Callable[[int, Generator], Tensor]) -> Tensor:
    return make(images, source)[share]


def _average(module: nn.Module, decay: float) -> AveragedModel | None:
    """The moving average of weights and buffers, if requested."""
    if not decay:
        return None
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]


def _optimizer(module: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
    return torch.optim.SGD(
        trained,
        lr=config.learning_rate,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
        fused=True,
    )


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
