"""What commands write: never in a run, nothing of it half, and in the folders of demo and reproduce through no link."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holdfast.cli import demo
from holdfast.reproductions import models as shared_models

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from program import Call

SECRET = b"of somebody else"
_MODEL = "m.safetensors"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    """A run."""
    from holdfast.estimators import FixedSize
    from holdfast.sampling.engines.local import LocalEngine
    from holdfast.workflows.certify import Settings, certify_into
    from holdfast.workflows.setup import Setup

    folder = tmp_path_factory.mktemp("run") / "run"
    setup = Setup.load(models / "gaussian.safetensors", "digits", None, "test", "cpu", "float32")
    settings = Settings(60, None, 20, FixedSize(100, 0.01), LocalEngine(batch_size=200), backend="torch")
    certify_into(folder, setup, settings)
    return folder


def _words(text: str) -> list[str]:
    return text.split()


def commands(run: Path, models: Path, out: Path) -> dict[str, tuple[tuple[object, ...], str]]:
    """Each command that writes a file where the user wants it, and the file's name."""
    gaussian = models / "gaussian.safetensors"
    return {
        "export-log": (("export-log", run, "--out", out / "log.tsv"), "log.tsv"),
        "export-log, json": (("export-log", run, "--format", "jsonl", "--out", out / "log.jsonl"), "log.jsonl"),
        "report": (("report", run, "--out", out / "report.html"), "report.html"),
        "plot": (("report", run, "--out", out.parent / "other.html", "--plot", out / "plot.svg"), "plot.svg"),
        "train": (
            (*_words("train --noise gaussian:sigma=0.25 --epochs 1 --arch digits-mlp --quiet --out"), out / _MODEL),
            "m.safetensors",
        ),
        "ensemble": (("ensemble", gaussian, gaussian, "--out", out / "m.safetensors"), "m.safetensors"),
        "import-weights": (
            (
                *("import-weights", out.parent / "weights.safetensors", "--out", out / "m.safetensors"),
                *_words("--arch digits-mlp --layout plain --data digits"),
            ),
            "m.safetensors",
        ),
        "attack": (
            (
                *("attack", run, "--model", gaussian, "--out", out.parent / "attack", "--plot", out / "plot.png"),
                *_words("--attack pgd:norm=l2,steps=2 --budget 1x --limit 2 --n 50 --quiet"),
            ),
            "plot.png",
        ),
        "reproduce": (("reproduce", "levine-delta", "--out", out, "--quiet"), "levine-delta.html"),
    }


NAMES = tuple(commands(Path(), Path(), Path()))


def weights(models: Path, folder: Path) -> None:
    """Those of a model, under plain names."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(models / "gaussian.safetensors")
    save_file(
        {key.removeprefix("1."): value for key, value in tensors.items() if key.startswith("1.")},
        folder / "weights.safetensors",
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_command_writes_into_a_run(call: Call, tmp_path: Path, made: Path, models: Path, name: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(made, run)
    weights(models, tmp_path)
    before = contents(run)
    code, _, err = call(*commands(made, models, run)[name][0])
    assert code == 1
    assert "which holds a run or an attack" in err
    assert "Nothing was written" in err
    assert contents(run) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "weights.safetensors"]


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Let no file grow beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_destroys_no_file_that_was_there(
    call: Call, tmp_path: Path, made: Path, models: Path, small_files: Callable[[int], None], name: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    weights(models, tmp_path)
    command, file = commands(made, models, out)[name]
    if name in ("attack", "plot"):
        # What is written before has room.
        assert call(*command)[0] == 0
    (out / file).write_bytes(SECRET)
    small_files(100 if name != "attack" else 3000)
    code, _, err = call(*command)
    small_files(resource.RLIM_INFINITY)
    assert code == 1, err
    assert "no space left for it" in err
    assert (out / file).read_bytes() == SECRET
    assert not [path.name for path in out.iterdir() if path.name.endswith((".tmp", ".lock"))]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    """A folder of a demo of one model, that was stopped before its report."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    folder.mkdir()
    shutil.copy(models / "gaussian.safetensors", folder)
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        demo.demo_command(folder, 1, True)
    (folder / "report.html").unlink()
    return folder


def quick(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(demo, "_JOBS", {"gaussian": ("gaussian:sigma=0.25", {})})
    patch.setattr(demo, "_N0", 5)
    patch.setattr(demo, "_N", 20)


def obstacle(place: Path, kind: str, outside: Path) -> None:
    """Put something in the place of a file or a folder, which goes outside."""
    outside.mkdir()
    if place.exists():
        shutil.move(place, outside / "moved")
    else:
        (outside / "moved").write_bytes(SECRET)
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(outside / "moved")


@pytest.mark.parametrize("kind", ["symbolic link", "pipe"])
@pytest.mark.parametrize(
    "name", ["gaussian.safetensors", "report.html", "runs", "runs/gaussian", "runs/gaussian/records.jsonl"]
)
def test_a_demo_goes_through_no_link(
    call: Call, tmp_path: Path, shown: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    quick(monkeypatch)
    folder = tmp_path / "demo"
    shutil.copytree(shown, folder)
    obstacle(folder / name, kind, tmp_path / "outside")
    before = contents(tmp_path / "outside")
    code, _, err = call("demo", "--out", folder, "--quiet")
    assert code == 1
    assert f"{name} is a {kind}" in err
    assert contents(tmp_path / "outside") == before


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory, mnist: Path) -> Path:
    """A folder of a reproduction."""
    from holdfast.cli.reproduce import reproduce_command

    folder = tmp_path_factory.mktemp("reproduction") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(shared_models._MNIST_EPOCHS, "smoke", 1)
        reproduce_command("levine-mnist", [f"mnist:{mnist}"], False, folder, "smoke", None, "cpu", 1, 1, False, True)
    return folder


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("levine-mnist.md", "symbolic link"),
        ("levine-mnist.html", "pipe"),
        ("models", "symbolic link"),
        ("models/mnist-k15.safetensors", "symbolic link"),
        ("models/mnist-k15.safetensors", "pipe"),
        ("runs", "symbolic link"),
        ("runs/mnist-k15", "symbolic link"),
        ("runs/mnist-k15/manifest.json", "symbolic link"),
        ("runs/mnist-k15/records.jsonl", "pipe"),
    ],
)
def test_a_reproduction_goes_through_no_link(
    call: Call, tmp_path: Path, reproduced: Path, mnist: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    monkeypatch.setitem(shared_models._MNIST_EPOCHS, "smoke", 1)
    folder = tmp_path / "out"
    shutil.copytree(reproduced, folder)
    obstacle(folder / name, kind, tmp_path / "outside")
    before = contents(tmp_path / "outside")
    command = ("reproduce", "levine-mnist", "--data", f"mnist:{mnist}", "--scale", "smoke", "--quiet")
    code, _, err = call(*command, "--out", folder)
    assert code == 1
    assert f"{name} is a {kind}" in err
    assert contents(tmp_path / "outside") == before
