"""The training loop: it learns, it resumes to the same weights, and it reports divergence."""

import json
import os
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from holdfast.data import DataSet, open_data
from holdfast.errors import ClassifierError, RunError, RunLockedError, UsageError
from holdfast.models.bundle import BundleInfo, load_bundle
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import Noise
from holdfast.noises.gaussian import Gaussian
from holdfast.noises.laplace import Laplace
from holdfast.noises.lattice_gaussian import LatticeGaussian
from holdfast.noises.splitting import Splitting
from holdfast.noises.uniform_flip import UniformFlip
from holdfast.outputs import alone_at
from holdfast.training.config import TrainConfig
from holdfast.training.devices import Team
from holdfast.training.loop import train
from holdfast.training.recipes import Consistency, Denoise, Standard
from holdfast.training.trainer import Trainer, TrainProgress
from holdfast.workflows.train import begun_bundle

QUICK = TrainConfig(epochs=3, batch_size=256, learning_rate=0.1)


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return open_data("digits", None, "train", {})


def start(data: DataSet, noise: Noise) -> BundleInfo:
    return replace(begun_bundle(data, noise, "digits-mlp"), arguments={"widths": [32]})


class Killed(Exception):
    """Stands for the end of the process between two steps."""


@pytest.mark.parametrize("smoothing", [Gaussian(0.25), Ablation(16), Ablation(16, null="mean")], ids=str)
def test_it_learns_under_each_noise(tmp_path: Path, digits: DataSet, smoothing: Noise) -> None:
    seen: list[TrainProgress] = []
    held_out = open_data("digits", None, "test", {})
    config = replace(QUICK, epochs=40)
    trained = train(
        start(digits, smoothing), config, digits, tmp_path / "m.safetensors", held_out=held_out, on_progress=seen.append
    )
    assert seen[-1].step == seen[-1].steps == 40 * 6
    assert seen[-1].loss < 0.8 * seen[0].loss
    assert trained.training["held_out_accuracy_under_noise"] > 0.5
    assert trained.training["data"]["sha256"] == digits.sha256
    assert not (tmp_path / "m.safetensors.checkpoint").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "sgd"},
        {"optimizer": "adamw", "shared_noise": True},
        {"optimizer": "adamw", "ema": 0.9, "crop": 1, "flip": True, "recipe": Consistency(), "noise_copies": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("architecture", ["digits-mlp", "digits-cnn"])
def test_a_killed_training_resumes_to_the_same_weights(
    tmp_path: Path, digits: DataSet, settings: dict[str, Any], architecture: str
) -> None:
    config = replace(QUICK, learning_rate=0.01, **settings)
    info = begun_bundle(digits, Gaussian(0.25), architecture)
    train(info, config, digits, tmp_path / "whole.safetensors")

    def die(progress: TrainProgress) -> None:
        if progress.step == 10:
            raise Killed

    with pytest.raises(Killed):
        train(info, config, digits, tmp_path / "resumed.safetensors", on_progress=die)
    assert (tmp_path / "resumed.safetensors.checkpoint").exists()
    steps: list[int] = []
    train(
        info, config, digits, tmp_path / "resumed.safetensors", on_progress=lambda progress: steps.append(progress.step)
    )
    assert steps[0] == 7
    whole, resumed = (load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "resumed"))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path, digits: DataSet) -> None:
    def die(progress: TrainProgress) -> None:
        if progress.step == 7:
            raise Killed

    with pytest.raises(Killed):
        train(start(digits, Gaussian(0.25)), QUICK, digits, tmp_path / "m.safetensors", on_progress=die)
    with pytest.raises(RunError, match="checkpoint of a training with other settings"):
        train(start(digits, Gaussian(0.5)), QUICK, digits, tmp_path / "m.safetensors")


def test_a_bundle_is_trained_by_one_process_at_a_time(tmp_path: Path, digits: DataSet) -> None:
    out = tmp_path / "m.safetensors"
    with (
        alone_at(out, "is training it"),
        pytest.raises(RunLockedError, match=rf"another process \(process {os.getpid()}\) is training {out}"),
    ):
        train(start(digits, Gaussian(0.25)), QUICK, digits, out)
    train(start(digits, Gaussian(0.25)), QUICK, digits, out)
    assert [file.name for file in tmp_path.iterdir()] == [out.name]


def test_a_denoiser_goes_on_with_the_same_classifier_only(tmp_path: Path, digits: DataSet) -> None:
    plain, out = tmp_path / "plain.safetensors", tmp_path / "m.safetensors"
    config = replace(QUICK, epochs=2, recipe=Denoise(str(plain)), optimizer="adamw", learning_rate=0.01)
    network = replace(begun_bundle(digits, Gaussian(0.5), "denoised"), arguments={"depth": 2, "width": 4})

    def classifier(seed: int) -> None:
        info = begun_bundle(digits, None, "digits-mlp")
        train(info, replace(QUICK, epochs=1, seed=seed, recipe=Standard()), digits, plain)

    def stop(progress: TrainProgress) -> None:
        if progress.epoch == 2:
            raise Killed

    classifier(0)
    with pytest.raises(Killed):
        train(network, config, digits, out, on_progress=stop)
    classifier(1)
    with pytest.raises(RunError, match="is the checkpoint of a training with other settings"):
        train(network, config, digits, out)
    classifier(0)
    info = train(network, config, digits, out)
    assert info.arguments["classifier"]["sha256"] == load_bundle(plain).sha256


def test_shared_noise_differs_from_noise_for_each_image(tmp_path: Path, digits: DataSet) -> None:
    weights = []
    for shared in (False, True):
        train(start(digits, Ablation(16)), replace(QUICK, epochs=1, shared_noise=shared), digits, tmp_path / "m")
        weights.append(load_file(tmp_path / "m"))
    assert any(not torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_bfloat16_training_learns(tmp_path: Path, digits: DataSet) -> None:
    config = replace(QUICK, epochs=6, precision="bfloat16")
    trained = train(start(digits, Gaussian(0.25)), config, digits, tmp_path / "m.safetensors")
    assert trained.training["training_accuracy_under_noise"] > 0.5


def test_a_diverged_training_is_an_error(tmp_path: Path, digits: DataSet) -> None:
    with pytest.raises(ClassifierError, match=r"training diverged. Lower the learning rate \(it is 1e\+20\)"):
        train(start(digits, Gaussian(0.25)), replace(QUICK, learning_rate=1e20), digits, tmp_path / "m.safetensors")


def test_training_leaves_the_global_random_state_alone(tmp_path: Path, digits: DataSet) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(start(digits, Gaussian(0.25)), replace(QUICK, epochs=1), digits, tmp_path / "m.safetensors")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "lion"}, "the optimizer is one of sgd, adamw"),
        ({"schedule": "warm"}, "the schedule is one of cosine"),
        ({"precision": "int8"}, "the precision is one of"),
        ({"epochs": 0}, "epochs is at least 1"),
        ({"batch_size": 0}, "batch_size is at least 1"),
        ({"noise_copies": 0}, "noise_copies is at least 1"),
        ({"learning_rate": float("nan")}, "learning rate is a positive number"),
        ({"learning_rate": 0.0}, "learning rate is a positive number"),
        ({"weight_decay": -1.0}, "weight decay"),
        ({"label_smoothing": 1.0}, "label smoothing lies in"),
        ({"schedule": "step"}, "the schedule 'step' needs milestones"),
        ({"milestones": (1,)}, "and no other one has them; got 'one-cycle'"),
        ({"schedule": "step", "milestones": (2, 1)}, "in ascending order, from 1 to 2 for 3 epochs"),
        ({"schedule": "step", "milestones": (1, 1)}, "in ascending order"),
        ({"schedule": "step", "milestones": (0,)}, "in ascending order"),
        ({"schedule": "step", "milestones": (3,)}, "in ascending order"),
        ({"schedule": "step", "milestones": (1.5,)}, "milestones are numbers of epochs"),
        ({"schedule": "step", "milestones": 1}, "milestones are numbers of epochs in a tuple, got 1"),
        ({"schedule": "step", "milestones": (1,), "factor": 0.0}, "factor, which the learning rate is multiplied by"),
        ({"factor": float("nan")}, "factor, which the learning rate is multiplied by"),
        ({"momentum": 1.0}, "momentum lies in"),
        ({"momentum": 0.0}, "Nesterov's momentum needs one above 0"),
        ({"resized_crop": (0.0, 1.0)}, "resized_crop is the smallest and the largest share"),
        ({"resized_crop": (0.5,)}, "resized_crop is the smallest and the largest share"),
        ({"resized_crop": (0.5, 0.4)}, "resized_crop is the smallest and the largest share"),
        ({"resized_crop": (0.5, 1.5)}, "resized_crop is the smallest and the largest share"),
        ({"resized_crop": 0.5}, "resized_crop are shares of the area in a tuple, got 0.5"),
        ({"crop_ratio": (0.0, 1.0)}, "crop_ratio is the smallest and the largest ratio"),
        ({"crop_ratio": (2.0, 1.0)}, "crop_ratio is the smallest and the largest ratio"),
        ({"resized_crop": (0.5, 1.0), "crop": 1}, "take one of them"),
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(QUICK, **change)


def test_schedules_begin_and_end_where_they_should() -> None:
    steps = 100
    cosine = [replace(QUICK, schedule="cosine").rate(step, steps) for step in range(steps)]
    cycle = [replace(QUICK, schedule="one-cycle").rate(step, steps) for step in range(steps)]
    constant = {replace(QUICK, schedule="constant").rate(step, steps) for step in range(steps)}
    assert cosine[0] == 0.1
    assert cosine == sorted(cosine, reverse=True)
    assert cosine[-1] < 1e-4
    assert cycle.index(max(cycle)) == 25
    assert cycle[0] < 0.01 > cycle[-1]
    assert constant == {0.1}


@pytest.mark.parametrize(("epochs", "milestones"), [(400, (200,)), (36, (21, 31)), (90, (30, 60)), (5, (1, 2, 4))])
def test_the_step_schedule_has_the_rates_of_torch(epochs: int, milestones: tuple[int, ...]) -> None:
    config = replace(QUICK, epochs=epochs, schedule="step", milestones=milestones)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=config.learning_rate)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.1)
    steps_an_epoch = 7
    for epoch in range(epochs):
        rates = {config.rate(epoch * steps_an_epoch + step, epochs * steps_an_epoch) for step in range(steps_an_epoch)}
        assert rates == set(scheduler.get_last_lr())
        optimizer.step()
        scheduler.step()
    assert config.rate(0, epochs) == 0.1
    assert config.rate(epochs - 1, epochs) == pytest.approx(0.1 ** (1 + len(milestones)), rel=1e-12)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_that_of_torch_with_steps_of_the_learning_rate(digits: DataSet, nesterov: bool) -> None:
    config = replace(
        QUICK, schedule="step", milestones=(1, 2), factor=0.3, nesterov=nesterov, momentum=0.8, weight_decay=0.01
    )
    config = replace(config, recipe=Standard())
    trainer = Trainer(begun_bundle(digits, None, "digits-mlp"), config, digits, torch.device("cpu"), Team())
    network = deepcopy(trainer.module)
    weights = dict(network.named_parameters())
    velocity: dict[str, torch.Tensor] = {}
    for epoch in range(config.epochs):
        order = trainer._permutation(epoch)
        trainer.run_epoch(epoch, 0.0, None)
        for first in range(0, len(digits), config.batch_size):
            rows = order[first : first + config.batch_size].numpy()
            logits = network(torch.from_numpy(digits.batch(rows)))
            network.zero_grad()
            torch.nn.functional.cross_entropy(logits, torch.from_numpy(digits.labels[rows])).backward()
            for name, weight in weights.items():
                assert weight.grad is not None
                slope = weight.grad + 0.01 * weight.detach()
                velocity[name] = 0.8 * velocity[name] + slope if name in velocity else slope.clone()
                change = slope + 0.8 * velocity[name] if nesterov else velocity[name]
                weight.data -= 0.1 * 0.3**epoch * change
    for name, weight in trainer.module.named_parameters():
        torch.testing.assert_close(weight, weights[name], rtol=1e-3, atol=1e-5)


def test_the_checkpoint_of_an_older_version_is_continued(tmp_path: Path, digits: DataSet) -> None:
    """It lacks the settings that came later, whose defaults are what it did."""
    out = tmp_path / "m.safetensors"

    def die(progress: TrainProgress) -> None:
        if progress.step == 7:
            raise Killed

    info = start(digits, Gaussian(0.25))
    with pytest.raises(Killed):
        train(info, QUICK, digits, out, on_progress=die)
    checkpoint = tmp_path / "m.safetensors.checkpoint"
    with safe_open(checkpoint, framework="pt") as file:
        header = file.metadata()
    position = json.loads(header["holdfast-checkpoint"])
    for later in ("milestones", "factor", "momentum", "nesterov", "resized_crop", "crop_ratio"):
        del position["promise"]["config"][later]
    save_file(load_file(checkpoint), checkpoint, {"holdfast-checkpoint": json.dumps(position)})
    with pytest.raises(RunError, match="checkpoint of a training with other settings"):
        train(info, replace(QUICK, nesterov=False), digits, out)
    steps: list[int] = []
    train(info, QUICK, digits, out, on_progress=lambda progress: steps.append(progress.step))
    assert steps[0] == 7


@pytest.mark.parametrize(
    ("noise", "normalized"),
    [
        (Gaussian(0.5), True),
        (Laplace(0.3), True),
        (LatticeGaussian(0.5, 17), True),
        (Splitting(0.5, 17), True),
        (UniformFlip(0.8, 17), False),
    ],
    ids=str,
)
def test_noise_that_is_added_to_the_values_gets_a_normalization(
    digits: DataSet, noise: Noise, normalized: bool
) -> None:
    space = begun_bundle(digits, noise, None).input_space
    assert (space.mean is not None, space.std is not None) == (normalized, normalized)


def test_data_without_a_default_architecture_ask_for_one() -> None:
    class Wide:
        shape, low, high = (1, 9, 9), 0.0, 1.0

        def channel_statistics(self) -> tuple[tuple[float], tuple[float]]:
            return (0.5,), (0.5,)

    with pytest.raises(UsageError, match="no default architecture for inputs of shape"):
        begun_bundle(Wide(), Gaussian(0.5), None)  # type: ignore[arg-type]


def test_the_bundle_gets_the_moving_average_of_the_weights(tmp_path: Path, digits: DataSet) -> None:
    config = replace(QUICK, epochs=2, ema=0.9)
    info = start(digits, Gaussian(0.25))
    train(info, config, digits, tmp_path / "average.safetensors")
    train(info, replace(config, ema=0.0), digits, tmp_path / "last.safetensors")
    averaged, last = (load_file(tmp_path / f"{name}.safetensors") for name in ("average", "last"))
    assert averaged.keys() == last.keys()
    # One epoch of six steps fewer: the average ends near the earlier weights, not at the present ones.
    assert all(not torch.equal(averaged[key], last[key]) for key in averaged if averaged[key].is_floating_point())
    # The same steps were taken.
    train(info, replace(config, ema=1e-9), digits, tmp_path / "none.safetensors")
    none = load_file(tmp_path / "none.safetensors")
    for key, weights in last.items():
        torch.testing.assert_close(none[key], weights, rtol=1e-5, atol=1e-7)


def test_training_without_noise_learns_the_images(tmp_path: Path, digits: DataSet) -> None:
    held_out = open_data("digits", None, "test", {})
    info = replace(begun_bundle(digits, None, "digits-mlp"), arguments={"widths": [32]})
    assert info.noise is None
    assert info.input_space.mean is not None
    config = replace(QUICK, epochs=15, recipe=Standard())
    trained = train(info, config, digits, tmp_path / "m.safetensors", held_out=held_out)
    assert trained.training["recipe"] == "standard"
    assert trained.training["held_out_accuracy_under_noise"] > 0.9


def test_augmentation_is_for_images(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((20, 5), dtype=np.float32)
    features = DataSet.in_memory(
        source="made", split="train", class_names=("a", "b"), labels=np.arange(20) % 2, values=values, bounds=(0.0, 1.0)
    )
    with pytest.raises(UsageError, match=r"crop and flip are for images .* got inputs of shape \(5,\)"):
        train(start(features, Gaussian(0.25)), replace(QUICK, crop=2), features, tmp_path / "m.safetensors")
