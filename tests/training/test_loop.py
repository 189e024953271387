"""The training loop: it learns, it resumes to the same weights, and it says when it diverges."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from holdfast.cli.train import describe
from holdfast.data import DataSet, open_data
from holdfast.errors import ClassifierError, RunError, UsageError
from holdfast.models.bundle import BundleInfo
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import Noise
from holdfast.noises.gaussian import Gaussian
from holdfast.noises.laplace import Laplace
from holdfast.noises.lattice_gaussian import LatticeGaussian
from holdfast.noises.uniform_flip import UniformFlip
from holdfast.training.config import TrainConfig
from holdfast.training.loop import TrainProgress, train
from holdfast.training.recipes.noise import noise

QUICK = TrainConfig(epochs=3, batch_size=256, learning_rate=0.1)


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return open_data("digits", None, "train", {})


def start(data: DataSet, noise: Noise) -> BundleInfo:
    return replace(describe(data, noise, "digits-mlp"), arguments={"widths": [32]})


class Killed(Exception):
    """Stands for a process that ends between two steps."""


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


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("shared", [False, True])
def test_a_killed_training_resumes_to_the_same_weights(
    tmp_path: Path, digits: DataSet, optimizer: str, shared: bool
) -> None:
    config = replace(QUICK, optimizer=optimizer, shared_noise=shared, learning_rate=0.01)
    info = start(digits, Gaussian(0.25))
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


def test_shared_noise_differs_from_noise_for_each_image(tmp_path: Path, digits: DataSet) -> None:
    weights = []
    for shared in (False, True):
        train(start(digits, Ablation(16)), replace(QUICK, epochs=1, shared_noise=shared), digits, tmp_path / "m")
        weights.append(load_file(tmp_path / "m"))
    assert any(not torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_noise_copies_of_an_image_are_different_and_all_learnt_from(tmp_path: Path, digits: DataSet) -> None:
    x, labels = torch.from_numpy(digits.batch([0, 1])), torch.from_numpy(digits.labels[:2].copy())
    seen: list[torch.Tensor] = []

    class Watching(torch.nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            seen.append(z)
            return z.flatten(1)[:, :10]

    config = replace(QUICK, noise_copies=3)
    _, logits, targets = noise(Watching(), x, labels, Gaussian(0.25), config, torch.Generator().manual_seed(0))
    assert targets.tolist() == [int(labels[0])] * 3 + [int(labels[1])] * 3
    assert logits.shape == (6, 10)
    assert len({tuple(row.flatten().tolist()) for row in seen[0]}) == 6
    assert (seen[0][:3] - x[0]).std() == pytest.approx(0.25, rel=0.2)


def test_bfloat16_training_learns(tmp_path: Path, digits: DataSet) -> None:
    config = replace(QUICK, epochs=6, precision="bfloat16")
    trained = train(start(digits, Gaussian(0.25)), config, digits, tmp_path / "m.safetensors")
    assert trained.training["training_accuracy_under_noise"] > 0.5


def test_a_diverged_training_is_an_error(tmp_path: Path, digits: DataSet) -> None:
    with pytest.raises(ClassifierError, match=r"training diverged. Lower --learning-rate \(it is 1e\+20\)"):
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
        ({"schedule": "step"}, "the schedule is one of cosine"),
        ({"precision": "int8"}, "the precision is one of"),
        ({"epochs": 0}, "epochs is at least 1"),
        ({"batch_size": 0}, "batch_size is at least 1"),
        ({"noise_copies": 0}, "noise_copies is at least 1"),
        ({"learning_rate": float("nan")}, "learning rate is a positive number"),
        ({"learning_rate": 0.0}, "learning rate is a positive number"),
        ({"weight_decay": -1.0}, "weight decay"),
        ({"label_smoothing": 1.0}, "label smoothing lies in"),
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


@pytest.mark.parametrize(
    ("noise", "normalized"),
    [(Gaussian(0.5), True), (Laplace(0.3), True), (LatticeGaussian(0.5, 17), True), (UniformFlip(0.8, 17), False)],
    ids=str,
)
def test_noise_that_is_added_to_the_values_gets_a_normalization(
    digits: DataSet, noise: Noise, normalized: bool
) -> None:
    space = describe(digits, noise, None).input_space
    assert (space.mean is not None, space.std is not None) == (normalized, normalized)


def test_data_without_a_default_architecture_ask_for_one() -> None:
    class Wide:
        shape, low, high = (1, 9, 9), 0.0, 1.0

        def channel_statistics(self) -> tuple[tuple[float], tuple[float]]:
            return (0.5,), (0.5,)

    with pytest.raises(UsageError, match="no default architecture for inputs of shape"):
        describe(Wide(), Gaussian(0.5), None)  # type: ignore[arg-type]
