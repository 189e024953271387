"""The precision of a training: measured if worthwhile, the same after resuming, and without effect on the weights."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from holdfast.data import DataSet, open_data
from holdfast.models.precision import Speeds, settled
from holdfast.noises.gaussian import Gaussian
from holdfast.training import loop, precision
from holdfast.training.config import TrainConfig
from holdfast.training.devices import Team
from holdfast.training.loop import step_speeds, train
from holdfast.training.precision import speeds
from holdfast.training.recipes import Memorize
from holdfast.training.trainer import TrainProgress
from holdfast.workflows.train import begun_bundle

QUICK = TrainConfig(epochs=4, batch_size=128, learning_rate=0.05)


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return open_data("digits", None, "train", {})


class Machine:
    """Takes a given time for an image in each precision, and notes its calls."""

    def __init__(self, float32: float, bfloat16: float) -> None:
        self.seconds = {"float32": float32, "bfloat16": bfloat16}
        self.asked: list[tuple[str, int]] = []

    def step(self, name: str, images: int) -> float:
        self.asked.append((name, images))
        return self.seconds[name] * images

    def work(self, name: str) -> int:
        """Images of all steps in a precision."""
        return sum(images for each, images in self.asked if each == name)


@pytest.mark.parametrize(
    ("times", "chosen"), [(0.4, "bfloat16"), (0.95, "float32"), (1.5, "float32"), (15.0, "float32")]
)
def test_the_faster_precision_is_taken(times: float, chosen: str) -> None:
    machine = Machine(0.003, 0.003 * times)
    found = speeds(machine.step, 128, 1_000)
    assert found is not None
    assert found.faster == chosen
    assert found.ratio == pytest.approx(times)
    assert machine.asked[0][0] == "float32"


def test_a_hopeless_precision_is_cut_off_at_once() -> None:
    """As measured on a CPU without AMX: 0.4 s for a step in float32, 6 s in bfloat16."""
    machine = Machine(0.4 / 128, 6.0 / 128)
    assert speeds(machine.step, 128, 10_000) is not None
    assert machine.work("bfloat16") <= 32, "less than 1.5 s"
    slow = Machine(0.4, 6.0)
    assert speeds(slow.step, 128, 10_000) is not None
    assert slow.work("bfloat16") == 16, "one step on a part of the minibatch"


@pytest.mark.parametrize(("seconds", "steps"), [(0.001, 200), (1.0, 5)])
def test_a_short_training_is_not_measured(seconds: float, steps: int) -> None:
    machine = Machine(seconds, seconds)
    assert speeds(machine.step, 128, steps) is None
    assert machine.work("bfloat16") == 0


def test_what_cannot_be_computed_in_bfloat16_is_done_in_float32() -> None:
    def step(name: str, images: int) -> float:
        if name == "bfloat16":
            raise RuntimeError("not implemented for 'BFloat16'")
        return 1.0

    notes: list[str] = []
    assert settled("auto", None, lambda name: None, lambda: speeds(step, 128, 1_000), notes.append) == "float32"
    assert "cannot be computed in bfloat16" in notes[0]


def slow() -> Speeds:
    return Speeds(0.4, 6.0, "a step")


def never() -> Speeds:
    raise AssertionError("nothing is to be measured")


def anything(name: str) -> None:
    """A recipe that accepts every precision."""


def test_a_slow_precision_that_is_named_is_taken_with_a_warning() -> None:
    with pytest.warns(RuntimeWarning, match=r"bfloat16 takes 15.0 times as long as float32 here: .*Precision 'auto'"):
        assert settled("bfloat16", None, anything, slow) == "bfloat16"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert settled("bfloat16", None, anything, lambda: Speeds(0.4, 0.2, "a step")) == "bfloat16"
        assert settled("bfloat16", None, anything, lambda: None) == "bfloat16"
        assert settled("auto", None, anything, slow) == "float32"
        assert settled("float32", None, anything, never) == "float32"


def test_a_training_that_is_gone_on_with_is_not_measured_again() -> None:
    assert settled("auto", "bfloat16", anything, never) == "bfloat16"
    assert settled("bfloat16", "bfloat16", anything, never) == "bfloat16"
    assert settled("bfloat16", "float32", anything, never) == "bfloat16", "which the checkpoint then refuses"


class Others(Team):
    """A team of two, seen from the process of that rank; the first one has chosen."""

    chose = 1.0

    def total(self, values: torch.Tensor) -> torch.Tensor:
        return values if self.rank == 0 else values + self.chose


def test_a_team_takes_the_choice_of_its_first_process(
    tmp_path: Path, digits: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    info, config = begun_bundle(digits, Gaussian(0.25), "digits-mlp"), replace(QUICK, precision="auto")
    given = (info, config, digits, tmp_path / "m.safetensors", torch.device("cpu"))
    monkeypatch.setattr(loop, "step_speeds", lambda *_: never())
    assert loop._precision(*given, Others(1, 2), None) == "bfloat16"
    monkeypatch.setattr(Others, "chose", 0.0)
    assert loop._precision(*given, Others(1, 2), None) == "float32"
    monkeypatch.setattr(loop, "step_speeds", lambda *_: Speeds(1.0, 0.5, "a step"))
    assert loop._precision(*given, Others(0, 2), None) == "bfloat16"


class Killed(Exception):
    """Stands for the end of the process between two steps."""


@pytest.mark.parametrize("first", ["float32", "bfloat16"])
def test_a_resumed_training_keeps_its_precision_and_ends_with_the_same_weights(
    tmp_path: Path, digits: DataSet, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    info, config = begun_bundle(digits, Gaussian(0.25), "digits-mlp"), replace(QUICK, precision="auto")
    train(info, replace(QUICK, precision=first), digits, tmp_path / "named.safetensors")
    factor = 0.5 if first == "bfloat16" else 2.0
    monkeypatch.setattr(loop, "step_speeds", lambda *_: Speeds(1.0, factor, "a step"))

    def die(progress: TrainProgress) -> None:
        if progress.epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        train(info, config, digits, tmp_path / "auto.safetensors", on_progress=die)
    monkeypatch.setattr(loop, "step_speeds", lambda *_: never())
    notes: list[str] = []
    done = train(info, config, digits, tmp_path / "auto.safetensors", on_precision=notes.append)
    assert done.training["precision"] == first
    assert notes == [f"precision {first}: as it began"]
    one, two = (load_file(tmp_path / f"{name}.safetensors") for name in ("named", "auto"))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_measuring_leaves_no_trace(tmp_path: Path, digits: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are those of a training without a measurement; so is the state of torch's own generator."""
    taken: list[tuple[str, int]] = []

    def thorough(step: Callable[[str, int], float], images: int, steps: int) -> Speeds:
        for name in ("float32", "bfloat16"):
            assert step(name, images) > 0.0
            taken.append((name, images))
        return Speeds(1.0, 3.0, "a step")

    info, config = begun_bundle(digits, Gaussian(0.25), "digits-cnn"), replace(QUICK, epochs=2, optimizer="adamw")
    train(info, config, digits, tmp_path / "plain.safetensors")
    monkeypatch.setattr(loop, "speeds", thorough)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(info, replace(config, precision="auto"), digits, tmp_path / "auto.safetensors")
    assert torch.equal(torch.rand(3), expected)
    assert taken == [("float32", 128), ("bfloat16", 128)]
    assert (tmp_path / "plain.safetensors").read_bytes() == (tmp_path / "auto.safetensors").read_bytes()


def test_steps_are_really_taken(digits: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_SHORT_SECONDS", 0.0)
    found = step_speeds(begun_bundle(digits, Gaussian(0.25), "digits-cnn"), QUICK, digits, torch.device("cpu"))
    assert found is not None
    assert min(found.float32, found.bfloat16) > 0.0
    assert found.what in ("a step on 16 images", "a step on 128 images")


def test_a_recipe_for_float32_alone_is_not_measured(
    tmp_path: Path, digits: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "step_speeds", lambda *_: never())
    config = replace(QUICK, epochs=1, recipe=Memorize(), precision="auto")
    done = train(begun_bundle(digits, None, "nearest-neighbour"), config, digits, tmp_path / "m.safetensors")
    assert done.training["precision"] == "float32"


def test_a_named_precision_that_is_slow_is_said_on_the_spot(
    tmp_path: Path, digits: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "step_speeds", lambda *_: slow())
    with pytest.warns(RuntimeWarning, match=r"15.0 times as long"):
        done = train(
            begun_bundle(digits, Gaussian(0.25), "digits-mlp"),
            replace(QUICK, epochs=1, precision="bfloat16"),
            digits,
            tmp_path / "m.safetensors",
        )
    assert done.training["precision"] == "bfloat16"
