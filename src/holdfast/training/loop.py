"""The one training loop: epochs, a checkpoint after each, and the bundle at the end; the same call resumes it."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from holdfast.folders import lies
from holdfast.models.bundle import BundleInfo, read_tensors, save_bundle
from holdfast.models.precision import AUTO, BFLOAT16, FLOAT32, Speeds, settled
from holdfast.outputs import alone_at, beside, remove
from holdfast.training.collapse import check_alive
from holdfast.training.devices import Team
from holdfast.training.precision import speeds
from holdfast.training.trainer import Trainer, position_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.data.base import DataSet
    from holdfast.folders import Below, Where
    from holdfast.training.config import TrainConfig
    from holdfast.training.trainer import TrainProgress


def train(
    info: BundleInfo,
    config: TrainConfig,
    data: DataSet,
    out: Where,
    *,
    held_out: DataSet | None = None,
    device: torch.device | None = None,
    on_progress: Callable[[TrainProgress], None] | None = None,
    team: Team | None = None,
    on_precision: Callable[[str], None] | None = None,
) -> BundleInfo:
    """Train a base classifier by the recipe of `config` and write its bundle to `out`.

    After each epoch `out` + `.checkpoint` holds everything needed to continue; the same call resumes from it.

    Args:
        info: architecture, input space and noise; its `training` entry is filled in here.
        config: how to train.
        data: the training split.
        out: the bundle file.
        held_out: the test split, for the accuracy under noise that the bundle states; never trained on.
        device: where to train; the CPU by default.
        on_progress: called after each step.
        team: the processes that share each step; all make this call, and the first one writes the files.
        on_precision: called with a sentence that says which precision "auto" chose.

    Returns:
        The description in the written bundle.

    Warns:
        RuntimeWarning: bfloat16 was requested and is much slower than float32 here.

    Raises:
        RunError: `out` has a checkpoint of another training.
        RunLockedError: another process is training `out`.
        ClassifierError: the loss became NaN or infinite, or the network constant.
        UsageError: the recipe cannot train for the noise of `info`, or inputs cannot be augmented.
    """
    team = team or Team()
    where = team.device or device or torch.device("cpu")
    with alone_at(out, f"is training {out}") if team.rank == 0 else nullcontext():
        info = config.recipe.start(info, len(data))
        config = replace(config, precision=_precision(info, config, data, out, where, team, on_precision))
        return _train(Trainer(info, config, data, where, team), info, out, held_out, on_progress)


def _train(
    trainer: Trainer,
    info: BundleInfo,
    out: Where,
    held_out: DataSet | None,
    on_progress: Callable[[TrainProgress], None] | None,
) -> BundleInfo:
    config, data, team = trainer.config, trainer.inputs.data, trainer.team
    checkpoint = _checkpoint(out)
    if lies(checkpoint):
        trainer.load(checkpoint)
    else:
        trainer.begin()
    start = time.perf_counter()
    for epoch in range(trainer.epoch, config.epochs):
        trainer.run_epoch(epoch, start, on_progress)
        if team.rank == 0:
            trainer.save(checkpoint)
    if team.rank:
        return info
    trainer.finish()
    check_alive(trainer.final.eval(), trainer.noise, data if held_out is None else held_out, config, trainer.device)
    majority = None if held_out is None else float(np.bincount(held_out.labels).max()) / len(held_out)
    training = {
        **config.to_dict(),
        "data": {"source": data.source, "split": data.split, "sha256": data.sha256, "size": len(data)},
        "training_loss": trainer.loss,
        "training_accuracy_under_noise": trainer.accuracy,
        "held_out_images": None if held_out is None else len(held_out),
        "held_out_majority": majority,
        "held_out_accuracy_under_noise": None if held_out is None else trainer.evaluate(held_out),
        "torch": torch.__version__,
    }
    trained = replace(info, training=training)
    save_bundle(out, trained, trainer.final)
    remove(checkpoint)
    return trained


def _precision(
    info: BundleInfo,
    config: TrainConfig,
    data: DataSet,
    out: Where,
    device: torch.device,
    team: Team,
    report: Callable[[str], None] | None,
) -> str:
    """The precision of the settings, or the one that "auto" chooses; in a team, the first process chooses."""
    chosen = config.precision
    if chosen == FLOAT32:
        return chosen
    if team.rank == 0:
        checkpoint = _checkpoint(out)
        stored = position_of(checkpoint, read_tensors(checkpoint)[1]).promise.config if lies(checkpoint) else {}
        precision = stored.get("precision")
        chosen = settled(
            config.precision,
            precision if isinstance(precision, str) else None,
            lambda name: config.recipe.check(info.trained_for, replace(config, precision=name)),
            lambda: step_speeds(info, config, data, device),
            report,
        )
    if config.precision != AUTO:
        return chosen
    from_first = team.total(torch.tensor(float(team.rank == 0 and chosen == BFLOAT16), device=device))
    return BFLOAT16 if bool(from_first) else FLOAT32


def step_speeds(info: BundleInfo, config: TrainConfig, data: DataSet, device: torch.device) -> Speeds | None:
    """Seconds per step of this training in float32 and in bfloat16; None if the whole training is short.

    The steps use weights of their own and a part of the data, and leave no trace.
    """
    images = min(config.batch_size, len(data))
    steps = config.epochs * -(-len(data) // config.batch_size)
    trainer: Trainer | None = None

    def step(precision: str, count: int) -> float:
        nonlocal trainer
        if trainer is None:
            few = data.part(max(1, len(data) // images))
            trainer = Trainer(info, replace(config, precision=FLOAT32), few, device, Team())
            trainer.module.train()
        trainer.config = replace(config, precision=precision)
        start = time.perf_counter()
        # Reading the result waits for a GPU.
        trainer.step(torch.arange(count)).tolist()
        return time.perf_counter() - start

    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        return speeds(step, images, steps)


def _checkpoint(out: Where) -> Below:
    return beside(out, out.name + ".checkpoint")
