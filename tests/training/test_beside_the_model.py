"""Hostile files beside the model in training: where the checkpoint and the lock go."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from holdfast.data import open_data
from holdfast.errors import RunError
from holdfast.noises.gaussian import Gaussian
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.workflows.train import begun_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.training.trainer import TrainProgress

CONFIG = TrainConfig(epochs=2, batch_size=256, learning_rate=0.1)
CHECKPOINT, LOCK = "m.safetensors.checkpoint", ".m.safetensors.lock"


class Killed(Exception):
    """Stands for the end of the process between two steps."""


def trained(out: Path, die: bool = False) -> None:
    data = open_data("digits", None, "train", {})
    info = replace(begun_bundle(data, Gaussian(0.25), "digits-mlp"), arguments={"widths": [8]})

    def show(progress: TrainProgress) -> None:
        if die and progress.epoch == 2:
            raise Killed

    train(info, CONFIG, data, out, on_progress=show)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of the first of two epochs."""
    folder = tmp_path_factory.mktemp("training")
    with pytest.raises(Killed):
        trained(folder / "m.safetensors", die=True)
    return (folder / CHECKPOINT).read_bytes()


@pytest.mark.parametrize("name", [CHECKPOINT, LOCK])
@pytest.mark.parametrize(
    ("obstacle", "words"),
    [
        ("link", "is a symbolic link"),
        ("link to nothing", "is a symbolic link"),
        ("pipe", "is a pipe"),
        ("folder", "is a folder"),
        ("hard link", "is a file with 2 names"),
    ],
)
def test_nothing_beside_a_model_leads_elsewhere(
    tmp_path: Path, checkpoint: bytes, name: str, obstacle: str, words: str
) -> None:
    target, out = tmp_path / "target", tmp_path / "models" / "m.safetensors"
    out.parent.mkdir()
    target.write_bytes(checkpoint)
    before = target.stat().st_mtime_ns
    makers = {
        "link": lambda place: place.symlink_to(target),
        "link to nothing": lambda place: place.symlink_to(tmp_path / "nothing"),
        "pipe": os.mkfifo,
        "folder": os.mkdir,
        "hard link": lambda place: os.link(target, place),
    }
    makers[obstacle](out.parent / name)
    if (obstacle, name) == ("hard link", CHECKPOINT):
        # It is read, replaced as a whole, and then removed.
        trained(out)
    else:
        with pytest.raises(RunError, match=rf"{name} {words}.* then repeat the same command"):
            trained(out)
        assert not out.exists()
    assert (target.read_bytes(), target.stat().st_mtime_ns) == (checkpoint, before)
    assert not (tmp_path / "nothing").exists()


def test_a_model_that_the_user_names_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").symlink_to("there.safetensors")
    trained(tmp_path / "m.safetensors")
    assert (tmp_path / "m.safetensors").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.safetensors", "there.safetensors"]
