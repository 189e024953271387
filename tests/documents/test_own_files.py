"""The tutorial about a module of one's own: every command of it, on a folder of PNG files, with a kill in between."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pages import ROOT

from holdfast.store.run import read_run
from holdfast.workflows.python import load_data

PAGE = ROOT / "docs" / "tutorials" / "own-files.md"
EXAMPLE = ROOT / "examples" / "own_module"


def commands() -> list[list[str]]:
    """What the shell blocks of the page say, with this Python."""
    blocks = PAGE.read_text(encoding="utf-8").split("```sh\n")[1:]
    lines = [line.partition("#")[0] for block in blocks for line in block.partition("```")[0].splitlines()]
    programs = {"python": [sys.executable], "holdfast": [sys.executable, "-m", "holdfast"]}
    return [programs[words[0]] + words[1:] for words in map(shlex.split, lines) if words]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example, and the digits as PNG files by split and class."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    for file in EXAMPLE.glob("*.py"):
        shutil.copy(file, tmp_path)
    for split in ("train", "test"):
        data = load_data("digits", split)
        for index, example in enumerate(data):
            place = tmp_path / "photos" / split / str(example.label)
            place.mkdir(parents=True, exist_ok=True)
            image.fromarray((example.x[0] * 255).astype("uint8")).save(place / f"{index:04}.png")
    return tmp_path


def run(words: list[str], folder: Path) -> str:
    found = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def test_the_tutorial_works_and_a_killed_run_goes_on(folder: Path) -> None:
    training, certify, verify, *others = commands()
    assert [words[3] for words in (certify, verify, *others)] == ["certify", "verify", "attack", "report", "bundle"]
    run(training, folder)
    program = subprocess.Popen(
        certify, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    end = time.monotonic() + 120
    while not (folder / "runs" / "mine" / "manifest.json").exists():
        assert program.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    assert len(read_run(folder / "runs" / "mine").records) < 100
    run(certify, folder)
    found = read_run(folder / "runs" / "mine")
    assert len(found.records) == 100
    right = sum(each.label == each.selection.votes.index(max(each.selection.votes)) for each in found.records)
    assert right >= 85, "the network has learned the digits"
    assert "5 records" in run(verify, folder)
    for words in others:
        run(words, folder)
    assert (folder / "mine.html").stat().st_size > 10_000
    assert run([sys.executable, "-m", "holdfast", "predict", "--model", "mine.safetensors", "--data",
                "images:photos,mode=grey", "--noise", "none", "--limit", "5"], folder)  # fmt: skip
    # Another normalization is another model.
    code = (folder / "my_net.py").read_text(encoding="utf-8")
    (folder / "my_net.py").write_text(code.replace("(x - 0.3)", "(x - 0.2)"), encoding="utf-8")
    refused = subprocess.run(certify, cwd=folder, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "my_net" in refused.stderr
    assert "has changed" in " ".join(refused.stderr.split())
