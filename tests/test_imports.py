"""Who may import whom, where import-linter does not look: tests and benchmarks use the library, or the program."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return found


def of_the_command_line(path: Path) -> bool:
    return any(name == "holdfast.cli" or name.startswith("holdfast.cli.") for name in imported(path))


def test_nothing_but_its_own_tests_imports_the_command_line() -> None:
    places = [path for folder in ("tests", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py")]
    assert len(places) > 150
    others = [path for path in places if of_the_command_line(path) and (ROOT / "tests" / "cli") not in path.parents]
    assert others == []


def test_the_search_for_imports_finds_them(tmp_path: Path) -> None:
    for number, text in enumerate(
        ("import holdfast.cli.main", "from holdfast import cli", "from holdfast.cli import x")
    ):
        file = tmp_path / f"{number}.py"
        file.write_text(text)
        assert of_the_command_line(file)


def test_the_package_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "holdfast", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("holdfast ")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_shells_can_complete_commands() -> None:
    """The shell is the one that runs the command."""
    program = ["bash", "-c", '"$0" -m holdfast --show-completion; exit "$?"', sys.executable]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert "_COMPLETE=complete_bash" in done.stdout
