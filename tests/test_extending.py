"""docs/extending.md: its package is installed, and each of its commands run, as the page says."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import brought
import numpy as np
import pytest

PAGE = "extending.md"
ROOT = Path(__file__).parent.parent
# The exit code of the last command: no radius could be checked.
UNKNOWN = 4


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    return brought.install(folder, "toy", brought.modules_of(PAGE), brought.points_of(PAGE))


@pytest.fixture(scope="module")
def done(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all commands of the page were run, one after the other, with what they said."""
    cwd = tmp_path_factory.mktemp("work")
    # Class 0 where even rows are bright, class 1 where even columns are.
    stripes = np.zeros((2, 8, 8))
    stripes[0, ::2], stripes[1, :, ::2] = 1.0, 1.0
    np.savetxt(cwd / "rows.csv", np.hstack([stripes.reshape(2, 64), np.zeros((2, 1))]), delimiter=",")
    (commands,) = brought.blocks(PAGE, "sh")
    lines = commands.strip().splitlines()
    said = []
    for number, line in enumerate(lines, 1):
        found = brought.program(site, cwd, *shlex.split(line)[1:])
        expected = UNKNOWN if number == len(lines) else 0
        if "runs/l2" in line and line.startswith("holdfast verify"):
            expected = 0
        assert found.returncode == expected, (line, found.stdout, found.stderr)
        said.append(f"{line}\n{found.stdout}{found.stderr}")
    (cwd / "said.txt").write_text("\n".join(said))
    return cwd


def test_each_file_of_the_page_is_short() -> None:
    files = brought.modules_of(PAGE)
    assert {Path(name).stem for name in files} == {"noise", "attack", "data", "model", "network", "bound", "command"}
    for name, code in files.items():
        assert len(code.splitlines()) < 40, name


def test_every_command_of_the_page_runs(done: Path) -> None:
    said = (done / "said.txt").read_text()
    assert "rows: " in said
    assert "60 of 60 correct" in said
    assert "triangular:width=0.5" in said
    assert json.loads((done / "runs" / "l1" / "manifest.json").read_text())["noise"] == {
        "name": "triangular",
        "width": 0.5,
    }
    assert "UNKNOWN: no radius was checked" in said
    assert "Verify does not know theorem 'triangular_l1' of noise 'triangular'" in said
    assert "10 of 60 records drawn again" in said
    assert "random-signs" in (done / "runs" / "signs" / "attack.json").read_text()
    assert "toy.network" in json.loads((done / "runs" / "l2" / "manifest.json").read_text())["model"]["code"]


def test_without_the_package_a_run_of_its_noise_is_unknown_too(done: Path, tmp_path: Path) -> None:
    """An auditor may not have it: that is no fault of the run. Whatever needs the theorem says what is missing."""
    run = str(done / "runs" / "l1")
    found = brought.program(tmp_path, tmp_path, "verify", run, "--require", "claims")
    assert (found.returncode, "UNKNOWN: no radius was checked" in found.stdout) == (UNKNOWN, True), found.stderr
    document = json.loads(brought.program(tmp_path, tmp_path, "verify", run, "--json").stdout)
    assert (document["ok"], document["exit_code"], document["failures"]) == (False, UNKNOWN, [])
    assert document["unknown"].startswith("verify does not know theorem 'triangular_l1'")
    table = brought.program(tmp_path, tmp_path, "table", run)
    assert (table.returncode, "unknown noise 'triangular'; known are ablation" in table.stderr) == (1, True), (
        table.stderr
    )


def test_help_and_lists_name_what_the_package_brings(site: Path, tmp_path: Path) -> None:
    said = " ".join(brought.program(site, tmp_path, "certify", "--help").stdout.split())
    assert "triangular:width=1" in said
    assert "stripes[:count=150]" in said
    assert "Count the examples of each class." in brought.program(site, tmp_path, "--help").stdout
    assert "random-signs" in brought.program(site, tmp_path, "attack").stdout
    assert "frobenius" in brought.program(site, tmp_path, "bound").stdout
    failed = brought.program(
        site, tmp_path, "train", "--arch", "three-layers", "--out", "m.safetensors", "--recipe", "standard"
    )
    assert (failed.returncode, "two-layers" in failed.stderr) == (2, True), failed.stderr


def test_the_noise_takes_the_tests_of_all_noises(site: Path) -> None:
    """Nothing is changed for it: the contract tests find it in the registry."""
    files = ("tests/noises/test_contract.py", "tests/noises/test_draws.py", "tests/sampling/test_channel_layouts.py")
    found = brought.python(
        site,
        ROOT,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-vv",
        *files,
        "-k",
        "triangular or no_other or example or count_pixels",
    )
    assert found.returncode == 0, found.stdout
    assert found.stdout.count("triangular:width=1") > 30, found.stdout
