"""The program in this process, and small models for it."""

import gzip
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from program import Call

from holdfast.cli.main import main


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run the program in this process; exit code, standard output, standard error without line breaks."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["holdfast", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, " ".join(captured.err.split())

    return run


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small models, one for each noise."""
    folder = tmp_path_factory.mktemp("models")
    for name, noise in (("gaussian", "gaussian:sigma=0.25"), ("ablation", "ablation:k=20")):
        command = [sys.executable, "-m", "holdfast", "train", "--noise", noise]
        command += ["--out", str(folder / f"{name}.safetensors"), "--epochs", "12", "--arch", "digits-mlp", "--quiet"]
        subprocess.run([*command, "--learning-rate", "0.1"], check=True, capture_output=True)
    return folder


def _idx(values: np.ndarray) -> bytes:
    return gzip.compress(struct.pack(f">{1 + values.ndim}I", 0x800 + values.ndim, *values.shape) + values.tobytes())


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set in the likeness of MNIST: the class is the row that is bright."""
    folder = tmp_path_factory.mktemp("mnist")
    random = np.random.default_rng(5)
    for prefix, count in (("train", 500), ("t10k", 1000)):
        labels = random.integers(0, 10, count).astype(np.uint8)
        images = random.integers(0, 60, (count, 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[2 * label + 4] = 250
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(_idx(images))
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(_idx(labels))
    return folder
