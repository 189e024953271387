"""The program in this process, and small models for it."""

import subprocess
import sys
from pathlib import Path

import pytest
from program import Call
from published_files import idx_files

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


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set in the likeness of MNIST: the class is the row that is bright."""
    return idx_files(tmp_path_factory.mktemp("mnist"))
