"""Training on two processes: the weights of one, up to rounding; a killed training can be resumed."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from holdfast.errors import MissingExtraError, UsageError
from holdfast.training.devices import Team, team

pytest.importorskip("lightning_fabric", reason="the extra 'fabric' is not installed", exc_type=ImportError)

# 1,437 images in minibatches of 359: the last one has a single image, fewer than there are processes.
TRAIN = [sys.executable, "-m", "holdfast", "train", "--noise", "gaussian:sigma=0.25"]
TRAIN += ["--arch", "digits-mlp", "--train-batch", "359", "--learning-rate", "0.05", "--quiet"]
PATIENCE = 120.0


def train(out: Path, *more: str) -> dict[str, torch.Tensor]:
    done = subprocess.run([*TRAIN, "--out", str(out), *more], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return load_file(out)


def test_two_processes_train_what_one_trains_and_a_killed_training_goes_on(tmp_path: Path) -> None:
    one = train(tmp_path / "one.safetensors", "--epochs", "3")
    out = tmp_path / "two.safetensors"
    command = [*TRAIN, "--out", str(out), "--epochs", "3", "--devices", "2"]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + PATIENCE
    while not out.with_name(out.name + ".checkpoint").exists() and killed.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.001)
    killed.kill()
    killed.wait()
    two = train(out, "--epochs", "3", "--devices", "2")
    for name, weights in one.items():
        torch.testing.assert_close(two[name], weights, rtol=1e-3, atol=1e-5)


def test_shares_cover_each_step_once() -> None:
    for size, count in ((1, 5), (2, 5), (3, 7), (4, 2)):
        shares = [Team(rank, size).share(count) for rank in range(size)]
        taken = [index for share, weight in shares if weight for index in range(count)[share]]
        assert taken == list(range(count))
        assert sum(weight for _, weight in shares) == pytest.approx(size)
        assert all(range(count)[share] for share, _ in shares), "each process takes part"


def test_teams_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(UsageError, match="the kind of device is 'cpu' or 'cuda', got 'cuda:1'"),
        team(2, "cuda:1", train, ()),
    ):
        pass
    with pytest.raises(UsageError, match="99 devices were requested"), team(99, "cuda", train, ()):
        pass
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with (
        pytest.raises(MissingExtraError, match=r"pip install 'holdfast-robustness\[fabric\]'"),
        team(2, "cpu", train, ()),
    ):
        pass
