"""Names of files and terminals in other encodings: escaped characters, and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from program import Call

PROGRAM = [sys.executable, "-m", "holdfast"]
ASCII = {"PYTHONIOENCODING": "ascii"}
LATIN = {"PYTHONIOENCODING": "latin-1"}
# The C locale as Python had it before it took UTF-8 instead.
C = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def imported(call: Call, log: Path, out: Path) -> None:
    log.write_text("idx\tlabel\tpredict\tradius\n0\t1\t1\t0.1\n1\t2\t1\t0.1\n")
    options = ("--noise", "gaussian:sigma=0.25", "--n", 100, "--alpha", 0.1, "--out", out)
    assert call("import-log", log, *options)[0] == 0


def run(folder: Path, environment: dict[str, str], *arguments: bytes | str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*PROGRAM, *arguments], cwd=folder, env={**os.environ, **environment}, capture_output=True, check=False
    )


@pytest.mark.parametrize(
    ("environment", "shown"), [(ASCII, b"\\u03c3 run"), (LATIN, b"\\u03c3 run"), (C, b"\\u03c3 run")]
)
def test_what_the_terminal_cannot_show_is_escaped(
    call: Call, tmp_path: Path, environment: dict[str, str], shown: bytes
) -> None:
    imported(call, tmp_path / "log.tsv", tmp_path / "\u03c3 run")
    done = run(tmp_path, environment, "table", "\u03c3 run".encode())
    assert done.returncode == 0, done.stderr.decode()
    assert shown in done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith((b"|", b"+"))]
    assert len(lines) > 5
    assert len({len(line) for line in lines}) == 1
    done = run(tmp_path, environment, "info", "no \u03c3".encode())
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"no \\u03c3" in done.stderr


def test_exported_logs_are_verified_in_other_encodings_or_refused(call: Call, tmp_path: Path) -> None:
    run_folder, log = tmp_path / "run", tmp_path / "exported.tsv"
    imported(call, tmp_path / "log.tsv", run_folder)
    assert call("export-log", run_folder, "--out", log)[0] == 0
    text = log.read_text()
    log.write_bytes(text.encode("utf-8-sig"))
    code, out, err = call("verify", run_folder, "--log", log, "--require", "claims")
    assert code == 0, err
    assert "2 lines of the log compared" in out
    log.write_bytes(text.encode("utf-16"))
    code, _, err = call("verify", run_folder, "--log", log)
    assert code == 1
    assert "is UTF-16 or not text; a log is UTF-8" in err


@pytest.mark.parametrize("radius", ["1e-999999999", "1e999999999", "nan"])
def test_a_radius_in_an_exported_log_costs_no_more_than_its_text(call: Call, tmp_path: Path, radius: str) -> None:
    run_folder, log = tmp_path / "run", tmp_path / "exported.tsv"
    imported(call, tmp_path / "log.tsv", run_folder)
    call("export-log", run_folder, "--out", log)
    log.write_text(log.read_text().replace("0.100000", radius))
    code, _, err = call("verify", run_folder, "--log", log)
    assert code == 1
    assert f"radius {radius}, the votes give 0.1" in err


def test_a_folder_whose_name_is_no_utf_8(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes no such names")
    out = folder / os.fsdecode(b"r\xe9")
    imported(call, tmp_path / "log.tsv", out)
    code, text, err = call("table", out)
    assert (code, err) == (0, "")
    assert "r\\xe9" in text
    assert json.loads(call("table", out, "--json")[1])[0]["run"] == "r\\xe9"
    assert call("table", out, "--format", "csv")[1].splitlines()[1].startswith('"r\\xe9",')
    assert call("table", out, "--format", "markdown")[0] == 0
    report = folder / "report.html"
    code, text, err = call("report", out, "--out", report, "--title", os.fsdecode(b"caf\xe9"))
    assert code == 0, err
    page = report.read_bytes().decode("utf-8")
    assert "<title>caf\\xe9" in page
    assert "r\\xe9" in page
    assert json.loads(call("verify", out, "--require", "claims", "--json")[1])["ok"]
    code, text, err = call("verify", out, "--require", "claims")
    assert code == 0
    assert "caf\\xe9" in text
    code, _, err = call("table", folder / "none")
    assert code == 1
    assert "caf\\xe9/none; check the path" in err
